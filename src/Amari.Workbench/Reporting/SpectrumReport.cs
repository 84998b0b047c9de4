using System.Text.Json;
using Amari.Spectrum;
using Spectre.Console;

namespace Amari.Reporting;

/// <summary>The output of <c>amari spectrum</c>: the table and a summary on the console, and the files.</summary>
internal static class SpectrumReport
{
    /// <returns>The exit code: 1 if it was stopped or found nothing.</returns>
    public static int Write(SpectrumResult result, ResultFolder folder, TextWriter output)
    {
        var console = ReferenceEquals(output, Console.Out)
            ? AnsiConsole.Console
            : AnsiConsole.Create(new() { Out = new AnsiConsoleOutput(output) });
        var table = new Table().Border(TableBorder.Rounded).AddColumn("rank").AddColumn("eigenvalue").AddColumn("residual").AddColumn("");
        foreach (var row in Rows(result))
            table.AddRow([.. row.Select(Markup.Escape)]);
        if (result.Largest.Values.Count > 0)
            console.Write(table);
        console.WriteLine($"{result.Headline}: {result.Subtitle}");
        foreach (var (name, value) in Numbers(result))
            console.WriteLine($"{name, -28} {value}");
        console.WriteLine($"Outliers: {Outliers.Rule}.");
        console.WriteLine(result.Summary);

        folder.WriteResult(result.ToJson());
        if (result.Largest.Values.Count > 0)
            SpectrumFigure.Save(result, folder, "spectrum");
        folder.Write("report.html", Html(result));
        console.WriteLine();
        console.WriteLine($"Report: {folder.PathOf("report.html")} (in the same folder: result.json, spectrum.png and spectrum.svg)");
        return folder.ExitCode(result.Interrupted || result.Largest.Values.Count == 0 ? 1 : 0);
    }

    private static IEnumerable<string[]> Rows(SpectrumResult result)
    {
        for (int i = 0; i < result.Largest.Values.Count; i++)
            yield return
            [
                FormattableString.Invariant($"{i + 1}"),
                Number.Short(result.Largest.Values[i], 4),
                Number.Short(result.Largest.Residuals[i], 2),
                i < result.Outliers.Count ? "outlier" : "",
            ];
        if (result.Smallest is { } s)
            yield return
            [
                FormattableString.Invariant($"{result.Dimension}"),
                Number.Short(s.Value, 4),
                Number.Short(s.StandardError, 2),
                "smallest",
            ];
    }

    private static IEnumerable<(string Name, string Value)> Numbers(SpectrumResult result)
    {
        if (result.TrainedSteps is { } steps)
            yield return ("training steps", steps.ToString("N0", System.Globalization.CultureInfo.InvariantCulture));
        yield return ("dimension", result.Dimension.ToString("N0", System.Globalization.CultureInfo.InvariantCulture));
        yield return ("outliers", result.Outliers.IsConclusive ? $"{result.Outliers.Count}" : $"{result.Outliers.Count} or more");
        if (result.Trace is { } trace)
            yield return ($"trace ({result.TraceEstimator})", Text(trace));
        if (result.FrobeniusNorm is { } norm)
            yield return ("Frobenius norm", Text(norm));
        if (result.Density is { } density)
            yield return ("effective rank", Text(density.EffectiveRank()));
        if (result.EffectiveDimension is { } effective)
            yield return (
                $"eigenvalues above ~{Number.Short(result.Alpha)}",
                $"{Text(effective)} (effective dimensionality, α = λ₁ / 1000)"
            );
        if (result.Condition is { } k)
            yield return ("condition number", double.IsFinite(k.Value) ? Text(k) : "infinite");
        yield return ("products", $"{result.Largest.Products} for the largest eigenvalues");
        if (result.Density is { Reorthogonalised: false })
            yield return ("density", "without reorthogonalisation, to save memory");
    }

    private static string Text(Estimate e) =>
        double.IsNaN(e.StandardError) ? Number.Short(e.Value, 4) : $"{Number.Short(e.Value, 4)} ± {Number.Short(e.StandardError, 2)}";

    private static string Html(SpectrumResult result)
    {
        var page = new HtmlPage($"Amari: {result.Headline}");
        page.Add(
            $"""
            <p class="sub">{HtmlPage.Text(result.Subtitle)}.</p>
            <p class="answer">{HtmlPage.Text(result.Summary)}</p>
            <h2>Density of eigenvalues</h2>
            <p class="sub">Stochastic Lanczos quadrature, smoothed by a Gaussian; the band is one standard error over
            {result.Density?.Probes.Count ?? 0} probes. The marks are the largest eigenvalues.</p>

            """
        );
        page.Figure("density", "", "Density of eigenvalues");
        page.Add(
            $"""
            <h2>The largest eigenvalues</h2>
            <p class="sub">Outliers: {HtmlPage.Text(Outliers.Rule)}.</p>

            """
        );
        page.Figure("scree", "", "The largest eigenvalues").Add("<h2>Numbers</h2>\n");
        page.Table(
            "Numbers",
            ["quantity", "value ± standard error"],
            Numbers(result).Select(n => (IReadOnlyList<string>)[HtmlPage.Text(n.Name), HtmlPage.Text(n.Value)])
        );
        page.Add("<h2>Eigenvalues</h2>\n");
        page.Table("Eigenvalues", ["rank", "eigenvalue", "residual", "remark"], Rows(result));
        var shown = SpectrumFigure.Shown(result);
        double[] tail = double.IsNaN(result.Outliers.Scale) ? [] : [.. result.Largest.Values.Select((_, i) => result.Outliers.Tail(i + 1))];
        string data = JsonSerializer.Serialize(
            new
            {
                x = shown.Select(p => p.X),
                y = shown.Select(p => p.Y),
                low = shown.Select(p => p.Low),
                high = shown.Select(p => p.High),
                floor = SpectrumFigure.Floor(result),
                marks = Ticks(shown.Select(p => p.High)),
                values = result.Largest.Values,
                eigenvalueMarks = Ticks(result.Largest.Values.Concat(tail)),
                rankMarks = Ticks([1, result.Largest.Values.Count]),
                outliers = result.Outliers.Count,
                tail,
            }
        );
        MachineSection.AddTo(page, []);
        return page.Finish($"const d = {data};\n", "spectrum.js");

        static object Ticks(IEnumerable<double> values)
        {
            var positive = values.Where(v => v > 0).DefaultIfEmpty(1).ToList();
            return HtmlPage.Ticks(positive.Min() / 1.2, 1.2 * positive.Max());
        }
    }
}
