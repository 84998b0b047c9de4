using System.Text.Json;
using Spectre.Console;

namespace Amari.Reporting;

/// <summary>The output of <c>amari landscape</c>: a summary on the console, and the files.</summary>
internal static class LandscapeReport
{
    /// <returns>The exit code: 1 if it was stopped.</returns>
    public static int Write(LandscapeResult result, ResultFolder folder, TextWriter output)
    {
        var console = ReferenceEquals(output, Console.Out)
            ? AnsiConsole.Console
            : AnsiConsole.Create(new() { Out = new AnsiConsoleOutput(output) });
        var table = new Table().Border(TableBorder.Rounded).AddColumn("direction").AddColumn("from").AddColumn("to");
        foreach (var (name, steps) in new[] { (result.Axes[0], result.A), (result.Axes[1], result.B) })
            table.AddRow(Markup.Escape(name), Number.Short(steps[0]), Number.Short(steps[^1]));
        console.Write(table);
        console.WriteLine($"{result.Headline}: {result.Subtitle}");
        console.WriteLine(result.Summary);

        folder.WriteResult(result.ToJson());
        if (double.IsFinite(result.Lowest))
            LandscapeFigure.Save(result, folder, "landscape");
        folder.Write("report.html", Html(result));
        console.WriteLine();
        console.WriteLine($"Report: {folder.PathOf("report.html")} (in the same folder: result.json, landscape.png and landscape.svg)");
        return folder.ExitCode(result.Interrupted ? 1 : 0);
    }

    internal static string Html(LandscapeResult result)
    {
        var page = new HtmlPage($"Amari: {result.Headline}");
        page.Add(
            $"""
            <p class="sub">{HtmlPage.Text(result.Subtitle)}.</p>
            <p class="answer">{HtmlPage.Text(result.Summary)}</p>
            <h2>Loss over the plane</h2>
            <p class="switch" role="group" aria-label="kind of figure"><button id="heatmap" aria-pressed="true">heat map</button>
            <button id="contour" aria-pressed="false">contours</button>
            <button id="surface" aria-pressed="false">surface</button></p>

            """
        );
        page.Figure("plot", "curves", "Loss over the plane").Library("plotly-gl3d.min.js", "Spatial");
        bool log = LandscapeFigure.Log(result);
        string data = JsonSerializer.Serialize(
            new
            {
                a = result.A,
                b = result.B,
                log,
                marks = log
                    ? HtmlPage.Ticks(result.Lowest, result.Path.Select(p => p.Loss).Where(double.IsFinite).Append(result.Highest).Max())
                    : null,
                axes = result.Axes,
                loss = Enumerable
                    .Range(0, result.B.Length)
                    .Select(r =>
                        Enumerable
                            .Range(0, result.A.Length)
                            .Select(c => double.IsFinite(result.Losses[r, c]) ? result.Losses[r, c] : (double?)null)
                    ),
                path = result.Path.Select(p => new
                {
                    p.A,
                    p.B,
                    p.Step,
                    p.Loss,
                }),
            }
        );
        MachineSection.AddTo(page, []);
        return page.Finish($"const d = {data};\n", "landscape.js");
    }
}
