using System.Globalization;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Amari.Serialization;

namespace Amari.Optimizers;

/// <summary>Marks an option, or a part of a state, that states saved before it existed lack, where its default would change a run that
/// continues from one.</summary>
/// <param name="value">What such a state was trained with. Of a part of a state: not used, it begins as in a new state.</param>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class BeforeAddedAttribute(object? value = null) : Attribute
{
    public object? Value => value;
}

/// <summary>Marks an option that says which tensors a state is made of, and in which shapes.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class ShapesStateAttribute : Attribute;

/// <summary>Marks a tensor of a state that has no negative number, as a mean of squares has none; or, of a matrix of products, none on its
/// diagonal.</summary>
[AttributeUsage(AttributeTargets.Property)]
internal sealed class NonNegativeAttribute : Attribute
{
    public bool OnDiagonal { get; init; }
}

/// <summary>What saved states have in common: a schema, and options by name.</summary>
/// <remarks>A state names all options of the version that saved it. One that it lacks was added later: it takes its default or, where that
/// would change the run, what <see cref="BeforeAddedAttribute"/> says. One that is unknown here is of a newer version, and is
/// refused.</remarks>
internal static class SavedState
{
    /// <summary>Of the schema of states: it rises when what is saved changes. States without a version are of schema 1.</summary>
    public const int Schema = 3;

    /// <summary>The most that a count of steps can be: all below are exact as a double.</summary>
    private const long MostSteps = 1L << 53;

    private static readonly JsonSerializerOptions Json = new() { Converters = { new JsonStringEnumConverter() } };

    /// <summary>All options by name.</summary>
    public static JsonObject Write(OptimizerOptions options) =>
        JsonSerializer.SerializeToNode(options, options.GetType(), Json)!.AsObject();

    /// <summary>Those options that shape a state and differ from the options in force; null if none does.</summary>
    /// <param name="made">What the state was made with.</param>
    /// <param name="now">The options in force.</param>
    public static JsonObject? Shaping<T>(T made, T now)
        where T : OptimizerOptions
    {
        if (ReferenceEquals(made, now))
            return null;
        var result = new JsonObject();
        foreach (var p in typeof(T).GetProperties().Where(p => p.IsDefined(typeof(ShapesStateAttribute))))
            if (p.GetValue(made) is var value && !Equals(value, p.GetValue(now)))
                result[p.Name] = JsonSerializer.SerializeToNode(value, p.PropertyType, Json);
        return result.Count > 0 ? result : null;
    }

    /// <summary>Options as <see cref="Write"/> wrote them, some perhaps replaced by those of <see cref="Shaping"/>.</summary>
    /// <exception cref="InvalidDataException">An unknown option, or a bad value.</exception>
    public static T Read<T>(JsonNode? saved, JsonNode? shaping = null)
        where T : OptimizerOptions
    {
        var options = saved as JsonObject ?? throw new InvalidDataException("The state lacks its options.");
        options = options.DeepClone().AsObject();
        foreach (var (name, value) in shaping as JsonObject ?? [])
            options[name] = value?.DeepClone();
        if (KfacNames.IsFlat(options, typeof(T)))
            return (T)Settings.Restore(typeof(T), KfacNames.Texts(options, "").ToDictionary());
        EarlierNames.Update(options, typeof(T));
        var unknown = new List<string>();
        Complete(options, typeof(T), "", unknown);
        RefuseUnknown(unknown, "option", typeof(T).DeclaringType?.Name);
        try
        {
            var result = options.Deserialize<T>(Json)!;
            result.Validate();
            return result;
        }
        catch (Exception e) when (e is JsonException or ArgumentException)
        {
            string why = e.Message.Split(" (Parameter")[0];
            throw new InvalidDataException($"The state's options of {typeof(T).DeclaringType?.Name} are not valid: {why}", e);
        }
    }

    /// <summary>What a state holds beyond what this version knows.</summary>
    /// <exception cref="InvalidDataException">There is something.</exception>
    public static void RefuseUnknown(IReadOnlyCollection<string> names, string kind, string? of)
    {
        if (names.Count > 0)
            throw new InvalidDataException(
                $"The state of {of} has the {kind}{(names.Count > 1 ? "s" : "")} {string.Join(", ", names)}, "
                    + "which this version of Amari does not know: load it with the version that saved it, or a newer one."
            );
    }

    /// <summary>A value that every state has.</summary>
    /// <exception cref="InvalidDataException">This one has not.</exception>
    public static JsonNode Required(JsonNode values, string name) =>
        values[name] ?? throw new InvalidDataException($"The state lacks '{name}'.");

    /// <summary>Refuses the state of another optimizer, or of a newer version; one that says no schema is of schema 1.</summary>
    /// <exception cref="InvalidDataException">The type is another one, or the schema is not one that this version reads.</exception>
    public static void RequireHeader(JsonNode values, string optimizer)
    {
        if (EarlierNames.TypeOf((string?)values["type"]) != optimizer)
            throw new InvalidDataException($"The state is of the optimizer {values["type"]}, not of {optimizer}.");
        if (values["schema"] is not { } schema)
            return;
        if (Whole(schema) is not (> 0 and var version))
            throw new InvalidDataException($"The state's schema is {Short(schema)}; it must be a whole number from 1 to {Schema}.");
        if (version > Schema)
            throw new InvalidDataException(
                $"The state is of schema {version}, this version of Amari reads the schemas 1 to {Schema}: "
                    + "load it with the version that saved it, or a newer one."
            );
    }

    /// <summary>A saved count of steps.</summary>
    /// <param name="values">Where it is saved.</param>
    /// <param name="name">Its name there.</param>
    /// <param name="optional">Whether it is 0 where it lacks.</param>
    /// <exception cref="InvalidDataException">It lacks, or is no whole number from 0 to 2^53.</exception>
    public static long Count(JsonNode values, string name, bool optional = false)
    {
        if (optional && values[name] is null)
            return 0;
        var value = Required(values, name);
        return Whole(value) is <= MostSteps and var count
            ? count
            : throw new InvalidDataException($"The saved '{name}' is {Short(value)}; it must be a whole number from 0 to {MostSteps}.");
    }

    /// <summary>A whole number ≥ 0; null if it is something else.</summary>
    private static long? Whole(JsonNode node) =>
        long.TryParse(node.ToJsonString(), NumberStyles.None, CultureInfo.InvariantCulture, out long value) ? value : null;

    private static string Short(JsonNode node)
    {
        const int most = 40;
        string text = node.ToJsonString();
        return text.Length <= most ? text : text[..most] + "...";
    }

    /// <summary>Refuses tensors of a file that have numbers which are not finite: none such is saved by a run.</summary>
    /// <exception cref="InvalidDataException">There is one; the message names it.</exception>
    public static void RequireFinite(IReadOnlyDictionary<string, Tensor> tensors)
    {
        if (NotFinite.First(tensors) is { } name)
            throw new InvalidDataException($"'{name}' has numbers that are infinite or NaN.");
    }

    /// <summary>The names and values of metadata.</summary>
    /// <exception cref="InvalidDataException">It is no JSON object.</exception>
    public static JsonObject Parse(string text, string what)
    {
        try
        {
            return JsonNode.Parse(text, documentOptions: new() { AllowTrailingCommas = true }) as JsonObject
                ?? throw new JsonException("it is no object");
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"The metadata '{what}' is malformed: {e.Message}", e);
        }
    }

    private static void Complete(JsonObject options, Type type, string prefix, List<string> unknown)
    {
        var known = type.GetProperties().ToDictionary(p => p.Name);
        unknown.AddRange(options.Select(o => o.Key).Where(n => n != "$type" && !known.ContainsKey(n)).Select(n => prefix + n));
        foreach (var (name, property) in known)
            if (!options.TryGetPropertyValue(name, out var value))
            {
                if (property.GetCustomAttribute<BeforeAddedAttribute>() is { } before)
                    options[name] = JsonSerializer.SerializeToNode(before.Value, property.PropertyType, Json);
            }
            else if (value is JsonObject inner && KindOf(property.PropertyType, inner) is { } kind)
                Complete(inner, kind, name + ".", unknown);
    }

    /// <summary>The type of a nested record, by the name that is saved with it where it can be one of several; null for what is none, or
    /// has a name that is not known.</summary>
    private static Type? KindOf(Type type, JsonObject saved) =>
        !type.IsClass || type == typeof(string) ? null
        : !type.IsAbstract ? type
        : type.GetCustomAttributes<JsonDerivedTypeAttribute>()
            .FirstOrDefault(k => (string?)saved["$type"] == (string?)k.TypeDiscriminator)
            ?.DerivedType;
}
