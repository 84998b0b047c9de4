using System.Text.Json;
using System.Text.Json.Serialization;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Converts a comparison to text and back, exactly, so that it can be continued.</summary>
internal static class SavedComparison
{
    private static readonly JsonSerializerOptions Json = new()
    {
        RespectNullableAnnotations = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        Converters = { new BudgetConverter(), new FailureConverter(), new JsonStringEnumConverter() },
    };

    /// <summary>The comparison as JSON.</summary>
    public static string Write(BenchmarkResult comparison) => JsonSerializer.Serialize(comparison, Json);

    /// <summary>Reads the output of <see cref="Write"/>.</summary>
    /// <exception cref="InvalidDataException">The text is malformed; the message says how.</exception>
    public static BenchmarkResult Read(string json)
    {
        try
        {
            var read = JsonSerializer.Deserialize<BenchmarkResult>(json, Json);
            return
                read is { Workload: not null, Target: not null, Budget: not null, Runs: not null, Trials: not null }
                && !read.Runs.Contains(null!)
                && !read.Trials.Contains(null!)
                ? read
                : throw new JsonException("its workload, target, budget, runs or trials are missing");
        }
        catch (Exception e) when (e is JsonException or ArgumentException or NotSupportedException)
        {
            throw new InvalidDataException(
                $"a comparison cannot be read: {e.Message.Split(" | ")[0].Split(" (Parameter")[0].TrimEnd('.')}",
                e
            );
        }
    }

    private sealed class BudgetConverter : JsonConverter<Budget>
    {
        private sealed record Parts(double? Seconds, int? Epochs);

        public override Budget Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
            JsonSerializer.Deserialize<Parts>(ref reader, options) switch
            {
                { Seconds: { } seconds } => Budget.OfSeconds(seconds),
                { Epochs: { } epochs } => Budget.OfEpochs(epochs),
                _ => throw new JsonException("a budget needs seconds or epochs"),
            };

        public override void Write(Utf8JsonWriter writer, Budget value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, new Parts(value.Seconds, value.Epochs), options);
    }

    private sealed class FailureConverter : JsonConverter<Exception>
    {
        private sealed record Parts(string Kind, string Message, string Trace);

        public override bool CanConvert(Type type) => typeof(Exception).IsAssignableFrom(type);

        public override Exception Read(ref Utf8JsonReader reader, Type type, JsonSerializerOptions options) =>
            JsonSerializer.Deserialize<Parts>(ref reader, options) is var (kind, message, trace)
                ? new EarlierFailure(kind, message, trace)
                : throw new JsonException("a failure has no properties");

        public override void Write(Utf8JsonWriter writer, Exception value, JsonSerializerOptions options) =>
            JsonSerializer.Serialize(writer, new Parts(EarlierFailure.KindOf(value), value.Message, value.ToString()), options);
    }
}

/// <summary>The exception that ended a run of an earlier process.</summary>
/// <param name="kind">The name of its type.</param>
/// <param name="message">Its message.</param>
/// <param name="trace">Its full text.</param>
internal sealed class EarlierFailure(string kind, string message, string trace) : Exception(message)
{
    /// <summary>The name of an exception's type, or of the type of the earlier exception.</summary>
    public static string KindOf(Exception failure) => failure is EarlierFailure earlier ? earlier.Kind : failure.GetType().Name;

    /// <summary>The name of the earlier exception's type.</summary>
    public string Kind => kind;

    /// <inheritdoc/>
    public override string ToString() => trace;
}
