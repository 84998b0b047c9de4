using System.Text.Json;
using System.Text.Json.Nodes;
using Spectre.Console;

namespace Amari.Reporting;

/// <summary>The output of <c>amari report</c>: a table and an answer for each workload on the console, and the files.</summary>
internal static class OverlayReport
{
    /// <summary>The machine-readable report.</summary>
    public const string Document = "report.json";

    private const string Page = "report.html",
        SecondsFigure = "loss-seconds",
        StepsFigure = "loss-steps";
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>The files, by patterns.</summary>
    public static string[] Files { get; } = [Document, Page, .. Figure.Files(SecondsFigure + "*"), .. Figure.Files(StepsFigure + "*")];

    /// <param name="overlays">At least one.</param>
    /// <param name="folder">The folder of the files.</param>
    /// <param name="output">The console.</param>
    /// <returns>The exit code.</returns>
    public static int Write(IReadOnlyList<Overlay> overlays, ResultFolder folder, TextWriter output)
    {
        var console = Report.ConsoleOf(output);
        folder.WriteResult(Json(overlays));
        foreach (var (i, overlay) in overlays.Index())
        {
            console.WriteLine($"{overlay.Comparison.Workload}: {string.Join(", ", overlay.Names)}");
            Report.Show(overlay.Comparison, console);
            foreach (string note in overlay.Notes)
                console.WriteLine(note);
            console.WriteLine();
            string end = overlays.Count == 1 ? "" : FormattableString.Invariant($"-{i + 1}"),
                seconds = SecondsFigure + end,
                steps = StepsFigure + end;
            LossFigure.Save(overlay.Comparison, bySeconds: true, folder, seconds);
            LossFigure.Save(overlay.Comparison, bySeconds: false, folder, steps);
        }
        folder.Write(Page, HtmlReport.Of([.. overlays.Select(SectionOf)]));
        console.WriteLine(
            $"Report: {folder.PathOf(Page)} (in the same folder: {Document}, {SecondsFigure} and {StepsFigure} as PNG and SVG)"
        );
        return folder.ExitCode(0);
    }

    private static ReportSection SectionOf(Overlay overlay) =>
        new(overlay.Comparison, overlay.Comparison.Description, overlay.Comparison.BatchSize)
        {
            Notes = [string.Join(", ", overlay.Names), .. overlay.Notes],
            Provenances =
            [
                .. overlay
                    .Results.Zip(overlay.Names)
                    .Where(r => r.First.Comparison.Provenance is not null)
                    .Select(r => (r.Second, r.First.Comparison.Provenance!)),
            ],
        };

    /// <summary>The report as JSON: for each workload a result as <c>compare</c> writes it, with the notes and the sources.</summary>
    public static string Json(IReadOnlyList<Overlay> overlays) =>
        new JsonObject { ["schema"] = ResultJson.Schema, ["comparisons"] = new JsonArray([.. overlays.Select(Of)]) }.ToJsonString(Indented);

    private static JsonObject Of(Overlay overlay)
    {
        var json = ResultJson.ObjectOf(overlay.Comparison with { Provenance = null }, overlay.Partial);
        json["notes"] = new JsonArray([.. overlay.Notes.Select(n => JsonValue.Create(n))]);
        json["sources"] = new JsonArray([.. overlay.Results.Zip(overlay.Names, SourceOf)]);
        return json;
    }

    private static JsonObject SourceOf(LoadedResult result, string name)
    {
        var json = new JsonObject
        {
            ["name"] = name,
            ["path"] = result.Path,
            ["partial"] = result.Partial,
            ["budget"] = ResultJson.BudgetOf(result.Comparison.Budget),
            ["settings"] = ResultJson.NameOf(result.Comparison.Settings),
        };
        if (result.Comparison.Provenance is { } provenance)
            foreach (var (property, value) in ProvenanceJson.Of(provenance))
                json[property] = value?.DeepClone();
        return json;
    }
}
