using System.Globalization;
using System.Reflection;
using System.Text.Json.Serialization;

namespace Amari.Optimizers;

/// <summary>Options records from and to the names and values of a command line.</summary>
internal static class Settings
{
    /// <summary>An options record with some options set; later settings override earlier ones.</summary>
    /// <exception cref="ArgumentException">An unknown option or a bad value, in one sentence.</exception>
    public static OptimizerOptions Apply(Type options, params IEnumerable<KeyValuePair<string, string>> settings)
    {
        object result = Activator.CreateInstance(options)!;
        foreach (var (name, value) in settings)
            Set(result, name, value);
        return (OptimizerOptions)result;
    }

    /// <summary>Options that a run or a state was saved with, perhaps by a version that had fewer of them: see
    /// <see cref="SavedState"/>.</summary>
    /// <param name="options">The record.</param>
    /// <param name="saved">As <see cref="Describe"/> gave them.</param>
    /// <exception cref="InvalidDataException">An unknown option, or a bad value.</exception>
    public static OptimizerOptions Restore(Type options, IReadOnlyDictionary<string, string> saved)
    {
        saved = new Dictionary<string, string>(saved.Select(EarlierNames.Update));
        try
        {
            // the names depend on the methods that an option may choose
            var shape = Apply(options, saved.Where(s => options.GetProperty(s.Key)?.PropertyType == typeof(OptimizerOptions)));
            var known = Describe(shape);
            SavedState.RefuseUnknown([.. saved.Keys.Where(k => !known.ContainsKey(k))], "option", options.DeclaringType?.Name);
            var result = Apply(options, [.. saved, .. Before(shape, "").Where(b => !saved.ContainsKey(b.Key))]);
            result.Validate();
            return result;
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException($"The saved options of {options.DeclaringType?.Name} are not valid: {e.Message}", e);
        }
    }

    /// <summary>What the options that were added later were before.</summary>
    private static IEnumerable<KeyValuePair<string, string>> Before(OptimizerOptions record, string prefix)
    {
        foreach (var property in Properties(record.GetType()))
            if (property.GetValue(record) is OptimizerOptions inner)
                foreach (var before in Before(inner, prefix + property.Name + "."))
                    yield return before;
            else if (property.GetCustomAttribute<BeforeAddedAttribute>() is { } before)
                yield return KeyValuePair.Create(prefix + property.Name, TextOf(before.Value));
    }

    private static string TextOf(object? value) =>
        Convert.ToString(value, CultureInfo.InvariantCulture) is { Length: > 0 } text ? text : "none";

    /// <summary>The options' names and values, nested ones as <c>Outer.Inner</c>.</summary>
    public static IReadOnlyDictionary<string, string> Describe(OptimizerOptions options)
    {
        var result = new Dictionary<string, string>();
        Add(options, "");
        return result;

        void Add(OptimizerOptions record, string prefix)
        {
            foreach (var property in Properties(record.GetType()))
            {
                object? value = property.GetValue(record);
                if (property.PropertyType == typeof(OptimizerOptions))
                    result[prefix + property.Name] = NameOf(value!.GetType());
                if (value is OptimizerOptions inner)
                    Add(inner, prefix + property.Name + ".");
                else
                    result[prefix + property.Name] = TextOf(value);
            }
        }
    }

    /// <summary>One spelling of an option's name: without hyphens, lower case, in full.</summary>
    public static string Canonical(string name)
    {
        string plain = name.Replace("-", "", StringComparison.Ordinal).ToLowerInvariant();
        return plain == "lr" ? "learningrate"
            : plain.EndsWith(".lr", StringComparison.Ordinal) ? plain[..^2] + "learningrate"
            : plain;
    }

    /// <summary>An optimizer among the options of another one: its name in lower case.</summary>
    private static string NameOf(Type options) => options.DeclaringType!.Name.ToLowerInvariant();

    private static Type Find(string optimizer) =>
        Known.FirstOrDefault(o => NameOf(o) == Canonical(optimizer))
        ?? throw new ArgumentException($"There is no optimizer '{optimizer}'; there are {string.Join(", ", Known.Select(NameOf))}.");

    private static readonly IReadOnlyList<Type> Known =
    [
        .. typeof(Settings)
            .Assembly.GetTypes()
            .Where(t =>
                t.IsSubclassOf(typeof(OptimizerOptions))
                && t is { IsAbstract: false, DeclaringType: not null }
                && t.GetConstructor([]) is not null
            )
            .OrderBy(NameOf, StringComparer.Ordinal),
    ];

    private static void Set(object record, string name, string value)
    {
        string[] path = Canonical(name).Split('.', 2);
        var property =
            Properties(record.GetType()).FirstOrDefault(p => Canonical(p.Name) == path[0])
            ?? throw new ArgumentException(
                $"There is no option '{name}' for {record.GetType().DeclaringType?.Name}; there are "
                    + $"{string.Join(", ", Properties(record.GetType()).Select(p => p.Name))}."
            );
        if (path.Length == 2)
        {
            if (property.GetValue(record) is not OptimizerOptions inner)
                throw new ArgumentException($"The option '{property.Name}' has no parts: '{name}' is not an option.");
            object copy = Activator.CreateInstance(inner.GetType())!;
            foreach (var (key, old) in Describe(inner))
                Set(copy, key, old);
            Set(copy, path[1], value);
            property.SetValue(record, copy);
            return;
        }
        try
        {
            property.SetValue(record, Parse(property, value));
        }
        catch (TargetInvocationException e) when (e.InnerException is ArgumentException inner)
        {
            throw new ArgumentException(inner.Message.Split(" (Parameter")[0]);
        }
    }

    private static object? Parse(PropertyInfo property, string text)
    {
        var type = Nullable.GetUnderlyingType(property.PropertyType);
        if (type is not null && text.Equals("none", StringComparison.OrdinalIgnoreCase))
            return null;
        type ??= property.PropertyType;
        if (type == typeof(OptimizerOptions))
            return Activator.CreateInstance(Find(text));
        var culture = CultureInfo.InvariantCulture;
        if (
            type.IsEnum
            && Enum.TryParse(type, text.Replace("-", "", StringComparison.Ordinal), ignoreCase: true, out object? named)
            && Enum.IsDefined(type, named)
        )
            return named;
        if (type == typeof(double) && double.TryParse(text, NumberStyles.Float, culture, out double number))
            return number;
        if (type == typeof(int) && int.TryParse(text, NumberStyles.AllowLeadingSign, culture, out int integer))
            return integer;
        if (type == typeof(long) && long.TryParse(text, NumberStyles.AllowLeadingSign, culture, out long big))
            return big;
        if (type == typeof(bool) && bool.TryParse(text, out bool flag))
            return flag;
        string wanted =
            type.IsEnum ? string.Join(", ", Enum.GetNames(type))
            : type == typeof(bool) ? "true or false"
            : type == typeof(double) ? "a number"
            : "an integer";
        throw new ArgumentException($"{property.Name} is '{text}'; it must be {wanted}.");
    }

    private static IEnumerable<PropertyInfo> Properties(Type options) =>
        options
            .GetProperties()
            .Where(p => p.CanWrite && p.GetCustomAttribute<JsonIgnoreAttribute>() is null)
            .OrderBy(p => p.DeclaringType == options)
            .ThenBy(p => p.MetadataToken);
}
