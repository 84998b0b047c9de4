using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Reporting;
using Spectre.Console;

namespace Amari.Cli.Lecture;

/// <summary>Writes a run to the console, and all runs as JSON with stable names.</summary>
internal static class LectureReport
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static void Write(LectureRun run, IAnsiConsole console)
    {
        console.WriteLine();
        console.Write(new Markup($"[bold]{Markup.Escape(run.Item.Id)}  {Markup.Escape(run.Item.Title)}[/]\n"));
        if (run.Result is not { } result)
        {
            console.WriteLine($"Failed: {run.Error}");
            return;
        }
        foreach (var numbers in result.Tables)
        {
            var table = new Table().Border(TableBorder.Rounded);
            foreach (string head in numbers.Heads)
                table.AddColumn(new TableColumn(Markup.Escape(head)));
            foreach (object[] row in numbers.Rows)
                table.AddRow([.. row.Select(Text).Select(Markup.Escape)]);
            console.Write(table);
        }
        console.WriteLine(result.Sentence);
        int good = result.Checks.Count(c => c.Passed);
        console.WriteLine(FormattableString.Invariant($"{good} of {result.Checks.Count} checks hold ({run.Seconds:F1} s)"));
        foreach (var check in result.Checks.Where(c => !c.Passed))
            console.WriteLine($"  failed: {check.Name} is {Number.Short(check.Value, 8)}, expected {Expectation(check)}");
        foreach (string png in run.Files.Where(f => f.EndsWith(".png", StringComparison.Ordinal)))
            console.WriteLine($"  {ResultFolder.Relative(png)} and .svg");
    }

    public static string Json(IEnumerable<LectureRun> runs) =>
        new JsonObject { ["items"] = new JsonArray([.. runs.Select(Of)]) }.ToJsonString(Indented);

    private static JsonObject Of(LectureRun run)
    {
        var item = new JsonObject
        {
            ["id"] = run.Item.Id,
            ["title"] = run.Item.Title,
            ["passed"] = run.Passed,
            ["checks"] = new JsonArray([
                .. (run.Result?.Checks ?? []).Select(c => new JsonObject
                {
                    ["name"] = c.Name,
                    ["value"] = Finite(c.Value),
                    ["expected"] = Finite(c.Expected),
                    ["relation"] = c.Relation.ToString(),
                    ["tolerance"] = c.Tolerance,
                    ["passed"] = c.Passed,
                }),
            ]),
            ["figures"] = new JsonArray([.. run.Files.Select(f => JsonValue.Create(f))]),
            ["seconds"] = run.Seconds,
        };
        if (run.Error is not null)
            item["error"] = run.Error;
        if (run.Result is not { } result)
            return item;
        item["sentence"] = result.Sentence;
        item["tables"] = new JsonArray([
            .. result.Tables.Select(t => new JsonObject
            {
                ["columns"] = new JsonArray([.. t.Heads.Select(h => JsonValue.Create(h))]),
                ["rows"] = new JsonArray([.. t.Rows.Select(row => new JsonArray([.. row.Select(Cell)]))]),
            }),
        ]);
        return item;
    }

    /// <summary>A cell for readers.</summary>
    public static string Text(object cell) =>
        cell is double number
            ? Number.Short(double.IsSubnormal(number) ? 0 : number, 4)
            : Convert.ToString(cell, System.Globalization.CultureInfo.InvariantCulture)!;

    private static JsonValue? Cell(object cell) =>
        cell switch
        {
            double number => Finite(number),
            int number => JsonValue.Create(number),
            long number => JsonValue.Create(number),
            _ => JsonValue.Create(Text(cell)),
        };

    private static JsonValue? Finite(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;

    /// <summary>What a value must be.</summary>
    public static string Expectation(Check check) =>
        check.Relation switch
        {
            Relation.AtLeast => ">= " + Number.Short(check.Expected, 8),
            Relation.AtMost => "<= " + Number.Short(check.Expected, 8),
            _ => $"{Number.Short(check.Expected, 8)} within {Number.Short(check.Tolerance)}",
        };
}
