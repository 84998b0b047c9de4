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
        List<KeyValuePair<string, string>> later = []; // what a setting after it may make an option of
        foreach (var setting in settings)
            if (Set(result, setting) is { } next)
                result = next;
            else
                later.Add(setting);
        foreach (var setting in later)
            result = Set(result, setting) ?? throw Unknown(result, setting.Key);
        return (OptimizerOptions)result;
    }

    /// <summary>Options that a run or a state was saved with, perhaps by a version that had fewer of them: see
    /// <see cref="SavedState"/>.</summary>
    /// <param name="options">The record.</param>
    /// <param name="saved">As <see cref="Describe"/> gave them.</param>
    /// <exception cref="InvalidDataException">An unknown option, or a bad value.</exception>
    public static OptimizerOptions Restore(Type options, IReadOnlyDictionary<string, string> saved)
    {
        saved = EarlierNames.Update(options, saved);
        try
        {
            // the names depend on what is chosen, and that comes before its parts
            object result = Activator.CreateInstance(options)!;
            List<string> unknown = [];
            foreach (var (name, value) in saved.OrderBy(s => s.Key.Count(c => c == '.')))
                if (Place.Of(result, name.Split('.')) is { } place)
                    result = place.With(value);
                else
                    unknown.Add(name);
            SavedState.RefuseUnknown([.. saved.Keys.Where(unknown.Contains)], "option", options.DeclaringType?.Name);
            foreach (var (name, value) in Before(result, "").Where(b => !saved.ContainsKey(b.Key)).ToList())
                result = Place.Of(result, name.Split('.'))!.With(value);
            ((OptimizerOptions)result).Validate();
            return (OptimizerOptions)result;
        }
        catch (ArgumentException e)
        {
            throw new InvalidDataException($"The saved options of {options.DeclaringType?.Name} are not valid: {e.Message}", e);
        }
    }

    /// <summary>What the options that were added later were before.</summary>
    private static IEnumerable<KeyValuePair<string, string>> Before(object record, string prefix)
    {
        foreach (var property in Properties(record.GetType()))
            if (IsRecord(property.PropertyType))
                foreach (var before in property.GetValue(record) is { } inner ? Before(inner, prefix + property.Name + ".") : [])
                    yield return before;
            else if (property.GetCustomAttribute<BeforeAddedAttribute>() is { } before)
                yield return KeyValuePair.Create(prefix + property.Name, TextOf(before.Value));
    }

    private static string TextOf(object? value) =>
        Convert.ToString(value, CultureInfo.InvariantCulture) is { Length: > 0 } text ? text : None;

    /// <summary>The options' names and values, nested ones as <c>Outer.Inner</c>; where a record can be one of several, its name is the
    /// value of <c>Outer</c>, and where it can be left out, whether it is there.</summary>
    public static IReadOnlyDictionary<string, string> Describe(OptimizerOptions options)
    {
        var result = new Dictionary<string, string>();
        Add(options, "");
        return result;

        void Add(object record, string prefix)
        {
            foreach (var property in Properties(record.GetType()))
            {
                object? value = property.GetValue(record);
                if (!IsRecord(property.PropertyType) || (value is null && property.PropertyType.IsAbstract))
                    result[prefix + property.Name] = TextOf(value);
                else if (value is null)
                    result[prefix + property.Name] = bool.FalseString;
                else
                {
                    if (property.PropertyType.IsAbstract)
                        result[prefix + property.Name] = Kinds(property.PropertyType).First(k => k.Type == value.GetType()).Name;
                    else if (IsOptional(property))
                        result[prefix + property.Name] = bool.TrueString;
                    Add(value, prefix + property.Name + ".");
                }
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

    private const string None = "none";

    /// <summary>A part of the options that is a record itself.</summary>
    private static bool IsRecord(Type type) => type.IsClass && type != typeof(string);

    /// <summary>What a part can be: optimizers by their name in lower case, other records as they are saved.</summary>
    private static IReadOnlyList<(string Name, Type Type)> Kinds(Type type) =>
        type == typeof(OptimizerOptions)
            ? Methods
            : [.. type.GetCustomAttributes<JsonDerivedTypeAttribute>().Select(k => ((string)k.TypeDiscriminator!, k.DerivedType))];

    private static readonly IReadOnlyList<(string Name, Type Type)> Methods =
    [
        .. typeof(Settings)
            .Assembly.GetTypes()
            .Where(t =>
                t.IsSubclassOf(typeof(OptimizerOptions))
                && t is { IsAbstract: false, DeclaringType: not null, Name: "Options" }
                && t.GetConstructor([]) is not null
            )
            .Select(t => (Name: t.DeclaringType!.Name.ToLowerInvariant(), t))
            .OrderBy(t => t.Name, StringComparer.Ordinal),
    ];

    /// <summary>An option in a record, perhaps in a part of it.</summary>
    /// <param name="Record">The whole.</param>
    /// <param name="Path">The parts that lead to it, and itself.</param>
    private sealed record Place(object Record, IReadOnlyList<PropertyInfo> Path)
    {
        /// <summary>By its names from outside to inside; null if there is none.</summary>
        /// <param name="record">The whole.</param>
        /// <param name="names">In any spelling.</param>
        /// <param name="begins">Whether a part that is not there begins with the option.</param>
        public static Place? Of(object record, string[] names, bool begins = true)
        {
            List<PropertyInfo> path = [];
            object? part = record;
            foreach (string name in names)
            {
                if (
                    part is null
                    || Properties(part.GetType()).FirstOrDefault(p => Canonical(p.Name) == Canonical(name)) is not { } property
                )
                    return null;
                path.Add(property);
                part = IsRecord(property.PropertyType) ? property.GetValue(part) ?? (begins ? Begin(property.PropertyType) : null) : null;
            }
            return new(record, path);
        }

        /// <summary>By the one name that it has in a record or, if not there, in its parts; those of another optimizer do not
        /// count.</summary>
        /// <exception cref="ArgumentException">Several parts have one.</exception>
        public static Place? Find(object record, string[] names)
        {
            if (Of(record, names) is { } place)
                return place;
            List<Place> found = [];
            foreach (var property in Properties(record.GetType()).Where(p => IsPart(p.PropertyType)))
                if (property.GetValue(record) is { } inner && Find(inner, names) is { } within)
                    found.Add(new(record, [property, .. within.Path]));
            return found.Count > 1
                ? throw new ArgumentException($"'{names[^1]}' is not one option: say which, {string.Join(" or ", found)}.")
                : found.FirstOrDefault();
        }

        private static bool IsPart(Type type) => IsRecord(type) && !type.IsAssignableTo(typeof(OptimizerOptions));

        /// <summary>A part that is not there, as it begins when one of its options is given.</summary>
        private static object? Begin(Type type) => type.IsAbstract ? null : Activator.CreateInstance(type);

        public override string ToString() => string.Join('.', Path.Select(p => p.Name));

        /// <summary>The record with another value here.</summary>
        public object With(string text) => With(Record, 0, (property, now) => Parse(property, text, now));

        /// <summary>The record with another part here.</summary>
        public object WithPart(object part) => With(Record, 0, (_, _) => part);

        private object With(object record, int at, Func<PropertyInfo, object?, object?> change)
        {
            var property = Path[at];
            object? now = property.GetValue(record);
            object? next = at == Path.Count - 1 ? change(property, now) : With(now ?? Begin(property.PropertyType)!, at + 1, change);
            object copy = record.GetType().GetMethod("<Clone>$")!.Invoke(record, null)!;
            try
            {
                property.SetValue(copy, next);
            }
            catch (TargetInvocationException e) when (e.InnerException is ArgumentException inner)
            {
                throw new ArgumentException(inner.Message.Split(" (Parameter")[0]);
            }
            return copy;
        }
    }

    /// <summary>The record with another value; null if it has no such option.</summary>
    private static object? Set(object record, KeyValuePair<string, string> setting)
    {
        var (name, value) = setting;
        if (Place.Find(record, name.Split('.')) is { } place)
            return place.With(value);
        if (Inner(record, name) is var (method, inner, rest)) // it has flat names of its own
            return Set(inner, KeyValuePair.Create(rest, value)) is { } set ? method.WithPart(set) : null;
        object? result = null;
        foreach (var (path, now) in EarlierNames.Flat(Canonical(name), value))
            if (Place.Of(result ?? record, path.Split('.'), begins: false) is { } today)
                result = today.With(now);
        return result;
    }

    /// <summary>Another optimizer among the options that a name begins with, and the rest of the name.</summary>
    private static (Place Method, OptimizerOptions Inner, string Name)? Inner(object record, string name) =>
        name.Split('.', 2) is [var first, var rest]
        && Place.Of(record, [first]) is { Path: [var property] } method
        && property.GetValue(record) is OptimizerOptions inner
            ? (method, inner, rest)
            : null;

    private static UnknownOptionException Unknown(object record, string name)
    {
        if (Inner(record, name) is var (_, inner, rest))
            return Unknown(inner, rest);
        string[] outer = name.Split('.');
        if (outer.Length > 1 && Place.Of(record, [outer[0]]) is { Path: [var only] } && !IsRecord(only.PropertyType))
            return new($"The option '{only.Name}' has no parts: '{name}' is not an option.");
        string of = record.GetType().DeclaringType?.Name ?? record.GetType().Name;
        string[] last = [outer[^1], .. EarlierNames.Flat(Canonical(name), "").Select(f => f.Path.Split('.')[^1])];
        if (Elsewhere(record, [.. last.Select(Canonical)]).FirstOrDefault() is { } hint)
            return new($"There is no option '{name}' for {of}: {hint}.");
        var names = Properties(record.GetType()).Select(p => p.Name);
        return new($"There is no option '{name}' for {of}; there are {string.Join(", ", names)}.");
    }

    /// <summary>What else would have to be chosen for an option of one of these names.</summary>
    private static IEnumerable<string> Elsewhere(object record, string[] names)
    {
        foreach (var property in Properties(record.GetType()).Where(p => IsRecord(p.PropertyType)))
        {
            object? now = property.GetValue(record);
            if (property.PropertyType.IsAbstract && property.PropertyType != typeof(OptimizerOptions))
            {
                var kinds = Kinds(property.PropertyType);
                var having = kinds.Where(k => Properties(k.Type).Any(p => names.Contains(Canonical(p.Name)))).Select(k => k.Name).ToList();
                string chosen = kinds.FirstOrDefault(k => k.Type == now?.GetType()).Name ?? None;
                if (having.Count > 0)
                    yield return $"it is one of {property.Name}={string.Join(" or ", having)}, and {property.Name} is {chosen}";
            }
            foreach (string inner in now is null or OptimizerOptions ? [] : Elsewhere(now, names))
                yield return inner;
        }
    }

    private static object? Parse(PropertyInfo property, string text, object? now)
    {
        var type = Nullable.GetUnderlyingType(property.PropertyType);
        bool none = text.Equals(None, StringComparison.OrdinalIgnoreCase);
        if (IsRecord(property.PropertyType))
            return ParseRecord(property, text, none, now);
        if (type is not null && none)
            return null;
        type ??= property.PropertyType;
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
            : type == typeof(int) ? $"an integer from {int.MinValue} to {int.MaxValue}"
            : $"an integer from {long.MinValue} to {long.MaxValue}";
        throw new ArgumentException($"{property.Name} is '{text}'; it must be {wanted}.");
    }

    /// <summary>One of the kinds of a record by its name, as it is if it is in force already; or, where there is only one kind, true or
    /// false.</summary>
    private static object? ParseRecord(PropertyInfo property, string text, bool none, object? now)
    {
        var type = property.PropertyType;
        bool optional = IsOptional(property);
        if (optional && (none || (!type.IsAbstract && bool.TryParse(text, out bool on) && !on)))
            return null;
        if (!type.IsAbstract)
            return optional && bool.TryParse(text, out bool wanted) && wanted
                ? now ?? Activator.CreateInstance(type)
                : throw new ArgumentException(
                    optional
                        ? $"{property.Name} is '{text}'; it must be true or false."
                        : $"{property.Name} has parts: {string.Join(", ", Properties(type).Select(p => $"{property.Name}.{p.Name}"))}."
                );
        var kinds = Kinds(type);
        if (kinds.FirstOrDefault(k => Canonical(k.Name) == Canonical(text)) is not (not null, var kind))
            throw new ArgumentException(
                type == typeof(OptimizerOptions)
                    ? $"There is no optimizer '{text}'; there are {string.Join(", ", kinds.Select(k => k.Name))}."
                    : $"{property.Name} is '{text}'; it must be {string.Join(", ", kinds.Select(k => k.Name))}"
                        + (optional ? " or none." : ".")
            );
        return now?.GetType() == kind ? now : Activator.CreateInstance(kind);
    }

    /// <summary>Whether a part may be left out.</summary>
    private static bool IsOptional(PropertyInfo property) =>
        new NullabilityInfoContext().Create(property).WriteState == NullabilityState.Nullable;

    private static IEnumerable<PropertyInfo> Properties(Type options) =>
        options
            .GetProperties()
            .Where(p => p.CanWrite && p.GetCustomAttribute<JsonIgnoreAttribute>() is null)
            .OrderBy(p => Depth(p.DeclaringType!))
            .ThenBy(p => p.MetadataToken);

    private static int Depth(Type type) => type.BaseType is { } outer ? 1 + Depth(outer) : 0;
}
