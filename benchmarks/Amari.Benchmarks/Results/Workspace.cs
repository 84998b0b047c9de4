using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Training;

namespace Amari.Benchmarks.Results;

/// <summary>The files of recipes: work folders, in which a recipe continues, and the JSON of complete recipes.</summary>
/// <param name="Work">The folder of whole results, figures, checkpoints and logs, one folder a recipe.</param>
/// <param name="Out">The folder of one JSON file a recipe.</param>
internal sealed record Workspace(string Work, string Out)
{
    private const string Document = "document.json",
        WorkName = "artifacts/results";

    /// <summary>The folder of a part.</summary>
    public string FolderOf(Recipe recipe, Part part) => Path.Combine(Work, recipe.Id, part.Name);

    /// <summary>What a benchmark writes.</summary>
    public string DocumentOf(Recipe recipe, Part part) => Path.Combine(FolderOf(recipe, part), Document);

    /// <summary>The output of a part.</summary>
    public string LogOf(Recipe recipe, Part part) => FolderOf(recipe, part) + ".log";

    /// <summary>The JSON of a recipe.</summary>
    public string JsonOf(Recipe recipe) => Path.Combine(Out, recipe.Id + ".json");

    /// <summary>Whether a recipe has its JSON, made by the same commands.</summary>
    public bool IsComplete(Recipe recipe) =>
        Read(recipe) is { } json && json["commands"]!.AsArray().Select(c => (string?)c).SequenceEqual(recipe.Commands);

    /// <summary>The JSON of a recipe; null if there is none.</summary>
    /// <exception cref="JsonException">It is damaged.</exception>
    public JsonObject? Read(Recipe recipe) =>
        File.Exists(JsonOf(recipe)) ? JsonNode.Parse(File.ReadAllText(JsonOf(recipe)))!.AsObject() : null;

    /// <summary>Writes the JSON of a recipe, without the place of the work folder on this machine.</summary>
    public void Write(Recipe recipe, JsonObject json)
    {
        Directory.CreateDirectory(Out);
        AtomicFile.Write(
            JsonOf(recipe),
            System.Text.Encoding.UTF8.GetBytes(CompactJson.Text(json).Replace(Work, WorkName, StringComparison.Ordinal))
        );
    }

    /// <summary>Deletes the JSON and the work folder of a recipe.</summary>
    public void Delete(Recipe recipe)
    {
        File.Delete(JsonOf(recipe));
        if (Directory.Exists(Path.Combine(Work, recipe.Id)))
            Directory.Delete(Path.Combine(Work, recipe.Id), recursive: true);
    }

    /// <summary>Prepares a part. What another command left in its folder is deleted.</summary>
    public void Prepare(Recipe recipe, Part part)
    {
        string folder = FolderOf(recipe, part),
            command = folder + ".command";
        Directory.CreateDirectory(Path.Combine(Work, recipe.Id));
        if (File.Exists(command) && File.ReadAllText(command) == part.Command)
            return;
        if (Directory.Exists(folder))
            Directory.Delete(folder, recursive: true);
        File.Delete(LogOf(recipe, part));
        AtomicFile.Write(command, System.Text.Encoding.UTF8.GetBytes(part.Command));
    }

    /// <summary>Records the provenance of a benchmark at its start.</summary>
    public void Begin(Recipe recipe, Part part)
    {
        Directory.CreateDirectory(FolderOf(recipe, part));
        var start = ProgramStart.Of(part.Command) with { Ranks = part.Kind == PartKind.RankedBenchmark ? 2 : 1 };
        if (part.Arguments[0] is "endurance" or "scaling")
            start = start with { Threads = 1 }; // they set it themselves
        AtomicFile.Write(
            StartOf(recipe, part),
            System.Text.Encoding.UTF8.GetBytes(ProvenanceJson.Of(new Provenance(start, [])).ToJsonString())
        );
    }

    /// <summary>The file of <see cref="Begin"/>.</summary>
    public string StartOf(Recipe recipe, Part part) => FolderOf(recipe, part) + ".start.json";

    /// <summary>Whether a prepared part has nothing left to do.</summary>
    public bool IsDone(Recipe recipe, Part part) =>
        part.Kind != PartKind.Comparison
            ? File.Exists(DocumentOf(recipe, part))
            : Path.Combine(FolderOf(recipe, part), ResultFolder.Document) is var file
                && File.Exists(file)
                && !ResultJson.Read(File.ReadAllText(file)).Partial;

    /// <summary>Whether a comparison was begun, so that it continues.</summary>
    public bool IsBegun(Recipe recipe, Part part) => File.Exists(Path.Combine(FolderOf(recipe, part), ComparisonFile.FileName));
}
