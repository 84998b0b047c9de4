using System.Text.Json;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>The curves of a comparison as data of its page.</summary>
internal static class CurveTraces
{
    /// <summary>The quantities with their axes, the frames of a solution, and the lines: for each optimizer a thin one per seed and a bold
    /// median, with the points of every quantity. JSON escapes text that could end the script.</summary>
    /// <param name="comparison">The results.</param>
    /// <param name="colors">The colors of the optimizers.</param>
    /// <param name="panels">The monitor's figures.</param>
    public static string Json(BenchmarkResult comparison, IReadOnlyDictionary<string, string> colors, IReadOnlyList<MonitorPanel> panels)
    {
        var quantities = CurveQuantity.Of(comparison);
        return JsonSerializer.Serialize(
            new
            {
                quantities = quantities.Select(q => new
                {
                    q.Name,
                    q.IsRate,
                    q.Target,
                    scale = CurveScale.Of(comparison, q),
                }),
                curves = comparison
                    .Runs.GroupBy(r => r.Optimizer)
                    .SelectMany(g => Lines([.. g], colors[g.Key], quantities, q => CurveScale.Of(comparison, q).Log)),
                panels,
                solution = SolutionFrames.Of(comparison),
            },
            JsonSerializerOptions.Web
        );
    }

    private static IEnumerable<object> Lines(
        List<TrainingRun> runs,
        string color,
        IReadOnlyList<CurveQuantity> quantities,
        Func<CurveQuantity, bool> isLogarithmic
    )
    {
        string name = runs[0].Optimizer,
            legend = name + Trouble.Count(new(name, runs)).Replace("\n", ", ", StringComparison.Ordinal);
        object Line(string label, bool bold, bool trouble, Func<CurveQuantity, bool, Curve> curve) =>
            new
            {
                name,
                legend,
                label,
                color,
                bold,
                trouble,
                points = quantities.Select(q => new { seconds = Points(curve(q, true)), steps = Points(curve(q, false)) }),
            };
        if (runs is [var only])
            return [Line($"seed {only.Seed}", true, Trouble.IsIn(only), (q, bySeconds) => Curve.Of(only, q, bySeconds))];
        var median = Line(
            "median",
            true,
            false,
            (q, bySeconds) => Curve.Median([.. runs.Select(r => Curve.Of(r, q, bySeconds))], isLogarithmic(q))
        );
        return [.. runs.Select(r => Line($"seed {r.Seed}", false, Trouble.IsIn(r), (q, bySeconds) => Curve.Of(r, q, bySeconds))), median];
    }

    private static object Points(Curve curve) => new { x = curve.X, y = curve.Y };
}
