using System.Globalization;
using System.Text.Json.Nodes;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>A <see cref="Provenance"/> in JSON.</summary>
internal static class ProvenanceJson
{
    /// <summary>The properties, in order.</summary>
    public static JsonObject Of(Provenance provenance)
    {
        var json = Of(provenance.First);
        json["seeds"] = new JsonArray([.. provenance.Seeds.Select(s => JsonValue.Create(s))]);
        json["continued"] = new JsonArray([.. provenance.Continued.Select(Of)]);
        return json;
    }

    /// <summary>Reads the properties that <see cref="Of(Provenance)"/> wrote; null if there are none.</summary>
    public static Provenance? Read(JsonPart json) =>
        json["started"].IsNull
            ? null
            : new(StartOf(json), [.. json["seeds"].Items().Select(s => s.SmallCount())])
            {
                Continued = [.. json["continued"].Items().Select(StartOf)],
            };

    /// <summary>A time to the second.</summary>
    public static string Time(DateTimeOffset time) => time.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss'Z'", CultureInfo.InvariantCulture);

    private static JsonObject Of(ProgramStart start) =>
        new()
        {
            ["version"] = start.Version,
            ["commit"] = start.Commit,
            ["commandLine"] = start.CommandLine,
            ["started"] = Time(start.Started),
            ["machine"] = new JsonObject
            {
                ["processor"] = start.Machine.Processor,
                ["cores"] = start.Machine.Cores,
                ["systemCores"] = start.Machine.SystemCores,
                ["instructionSets"] = new JsonArray([.. start.Machine.InstructionSets.Select(s => JsonValue.Create(s))]),
                ["os"] = start.Machine.System,
                ["dotnet"] = start.Machine.Runtime,
                ["libtorch"] = start.Machine.LibTorch,
            },
            ["threads"] = start.Threads,
            ["ranks"] = start.Ranks,
        };

    private static ProgramStart StartOf(JsonPart json)
    {
        var machine = json["machine"];
        return new(
            json["version"].Text(),
            json["commit"].OptionalText(),
            json["commandLine"].Text(),
            json["started"].Time(),
            new(
                machine["processor"].Text(),
                machine["cores"].SmallCount(),
                [.. machine["instructionSets"].Items().Select(s => s.Text())],
                machine["os"].Text(),
                machine["dotnet"].Text(),
                machine["libtorch"].OptionalText()
            )
            {
                SystemCores = (int?)machine["systemCores"].OptionalCount(),
            },
            json["threads"].SmallCount(),
            json["ranks"].SmallCount()
        );
    }
}
