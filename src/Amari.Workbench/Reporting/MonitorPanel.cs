using System.Globalization;
using System.Text.Json;
using Amari.Training;
using ScottPlot;

namespace Amari.Reporting;

/// <summary>One figure of the monitors' measurements, for the image and the page: positive values on a logarithmic scale against time or
/// steps.</summary>
/// <param name="Title">The title.</param>
/// <param name="Axis">The name of the values.</param>
/// <param name="Traces">The lines.</param>
internal sealed record MonitorPanel(string Title, string Axis, IReadOnlyList<MonitorPanel.Trace> Traces)
{
    private static readonly JsonSerializerOptions CamelCase = new(JsonSerializerDefaults.Web);
    private static readonly string[] LayerColors =
    [
        "#0072B2",
        "#D55E00",
        "#009E73",
        "#CC79A7",
        "#E69F00",
        "#56B4E9",
        "#882255",
        "#999933",
        "#332288",
        "#44AA99",
    ];

    /// <param name="Name">The name in the legend; empty for none.</param>
    /// <param name="Color">The color of the line.</param>
    /// <param name="Dashed">Whether it is dashed, as a bound is.</param>
    /// <param name="Seconds">The training time of each point.</param>
    /// <param name="Steps">The steps of each point.</param>
    /// <param name="Values">Positive values.</param>
    internal sealed record Trace(string Name, string Color, bool Dashed, double[] Seconds, double[] Steps, double[] Values);

    public double Low => Traces.SelectMany(t => t.Values).Min() / 1.5;
    public double High => Traces.SelectMany(t => t.Values).Max() * 1.5;
    public IEnumerable<Mark> Marks => Decades.Marks(Low, High);

    /// <summary>The panels that have data.</summary>
    /// <param name="comparison">The results.</param>
    /// <param name="colors">The colors of the optimizers.</param>
    public static IReadOnlyList<MonitorPanel> Of(BenchmarkResult comparison, IReadOnlyDictionary<string, string> colors)
    {
        var runs = comparison.Runs.Where(r => r.Monitor is not null).ToList();
        var first = runs.DistinctBy(r => r.Optimizer).ToList(); // for panels where a run has many lines
        string ofFirstSeed = runs.Count == first.Count ? "" : $" (seed {first[0].Seed})";
        MonitorPanel[] all =
        [
            new(
                "Sharpness: largest eigenvalue of the Hessian",
                "eigenvalue (log scale)",
                [.. Lines(m => m.Sharpness), .. Bounds(runs, first)]
            ),
            new("Largest eigenvalues of the Hessian" + ofFirstSeed, "eigenvalue (log scale)", [.. first.SelectMany(Eigenvalues)]),
            new(
                "Gradient noise scale, in examples",
                "examples (log scale)",
                [.. Lines(m => m.NoiseScale is { } noise && noise.StandardError < noise.Value ? noise.Value : null)]
            ),
            new("KL between predictions before and after a step", "KL, nats per term (log scale)", [.. Lines(m => m.Kl)]),
            new(
                "K-FAC: condition of each layer's damped factors" + ofFirstSeed,
                "condition number (log scale)",
                [.. first.SelectMany(Conditions)]
            ),
        ];
        return
        [
            .. all.Select(p => p with { Traces = [.. p.Traces.Where(t => t.Values.Length > 0)] }).Where(p => p.Traces.Any(t => !t.Dashed)),
        ];

        IEnumerable<Trace> Lines(Func<MonitorRow, double?> value) =>
            runs.Select(r => Line(r, first.Contains(r) ? r.Optimizer : "", colors[r.Optimizer], value)); // one legend entry per optimizer

        IEnumerable<Trace> Eigenvalues(TrainingRun run) =>
            Enumerable
                .Range(0, run.Monitor!.Rows.Max(r => r.Eigenvalues?.Count ?? 0))
                .Select(i => Line(run, i == 0 ? run.Optimizer : "", colors[run.Optimizer], r => r.Eigenvalues?.ElementAtOrDefault(i)));
    }

    /// <summary>The stability bounds of optimizers with the same bound in all runs.</summary>
    private static IEnumerable<Trace> Bounds(List<TrainingRun> runs, List<TrainingRun> first) =>
        from run in first
        where runs.TrueForAll(r => r.Optimizer != run.Optimizer || r.Monitor!.BoundRule == run.Monitor!.BoundRule)
        select Bound(run, $"{run.Optimizer}: edge {run.Monitor!.BoundRule}");

    /// <summary>The bound at each recorded rate, which it is inverse to; between measurements the rate may turn.</summary>
    private static Trace Bound(TrainingRun run, string name)
    {
        const string color = "#777777";
        var measured = Line(run, name, color, r => r.StabilityBound, dashed: true);
        double[] products =
        [
            .. run.Monitor!.Rows.Where(r => r.StabilityBound is > 0 and < double.PositiveInfinity)
                .Select(r => r.StabilityBound!.Value * (r.LearningRate ?? double.NaN)),
        ];
        var rates = run.Rates.Where(p => p.Rate > 0).ToList();
        if (rates.Count == 0 || products.Length == 0 || products.Max() > 1.1 * products.Min())
            return measured;
        return new(
            name,
            color,
            true,
            [.. rates.Select(p => p.Seconds)],
            [.. rates.Select(p => (double)p.Step)],
            [.. rates.Select(p => products[0] / p.Rate)]
        );
    }

    private static IEnumerable<Trace> Conditions(TrainingRun run)
    {
        var layers = run.Monitor!.Rows.SelectMany(r => r.Factors ?? []).Select(f => f.Layer).Distinct().ToList();
        return layers.Select(
            (layer, i) =>
                Line(run, layer, LayerColors[i % LayerColors.Length], r => r.Factors?.FirstOrDefault(f => f.Layer == layer)?.Damped)
        );
    }

    /// <summary>The cost of the monitors in a sentence; null if there was none.</summary>
    public static string? Cost(BenchmarkResult comparison)
    {
        var all = comparison.Runs.Select(r => r.Monitor).OfType<MonitorResult>().ToList();
        if (all.Count == 0)
            return null;
        double spent = all.Sum(m => m.Seconds),
            trained = comparison.Runs.Where(r => r.Monitor is not null).Sum(r => r.Seconds);
        return string.Create(
                CultureInfo.InvariantCulture,
                $"The monitor measured {all.Sum(m => m.Rows.Count)} times and took {100 * spent / (spent + trained):F1} % of the run time "
                    + $"({100 * all[0].TargetShare:0.##} % requested)"
            )
            + $", and {Number.Short(all.Average(m => m.EndSeconds))} s for the first and the last "
            + $"measurement{(all.Count > 1 ? " of a run" : "")}; the training time excludes it.";
    }

    /// <summary>Explains the figures in words.</summary>
    public static string Explanation(BenchmarkResult comparison)
    {
        var monitored = comparison.Runs.Where(r => r.Monitor is not null).DistinctBy(r => r.Optimizer).ToList();
        var text = new List<string>
        {
            "All quantities are measured on one fixed sample of the training data, with the model in evaluation mode.",
        };
        if (IsMonitored(MonitorQuantities.Noise))
            text.Add("Noise scales are omitted if their standard error is as large as they are: --monitor-examples sets a larger sample.");
        int absent = comparison
            .Runs.SelectMany(r => r.Monitor?.Rows ?? [])
            .Count(r => r.Sharpness <= 0 || r.Kl <= 0 || (r.Eigenvalues?.Any(e => e <= 0) ?? false));
        if (absent > 0)
            text.Add(
                $"In {absent} measurement{(absent == 1 ? "" : "s")} a value that is 0 or negative is omitted, because the scales are "
                    + "logarithmic."
            );
        if (!IsMonitored(MonitorQuantities.Sharpness))
            return string.Join(" ", text);
        foreach (var run in monitored.Where(r => r.Monitor!.BoundRule is not null))
            text.Add(
                $"Dashed: the sharpness {run.Monitor!.BoundRule} above which {run.Optimizer} is unstable on a quadratic, the edge of "
                    + "stability."
            );
        var others = monitored.Where(r => r.Monitor!.BoundRule is null).Select(r => r.Optimizer).ToList();
        if (others.Count > 0)
            text.Add($"There is no such bound for {string.Join(", ", others)}: the steps are not multiples of the gradient.");
        return string.Join(" ", text);

        bool IsMonitored(MonitorQuantities what) => monitored.Exists(r => (r.Monitor!.Quantities & what) != 0);
    }

    /// <summary>The panels as a JavaScript literal.</summary>
    public static string Json(IReadOnlyList<MonitorPanel> panels) => JsonSerializer.Serialize(panels, CamelCase);

    /// <summary>Writes <c>NAME.png</c> and <c>NAME.svg</c> against training time, if there is data.</summary>
    public static bool Save(BenchmarkResult comparison, ResultFolder folder, string name)
    {
        var panels = Of(comparison, Palette.Of(comparison));
        if (panels.Count == 0)
            return false;
        int columns = Math.Min(2, panels.Count),
            rows = (panels.Count + columns - 1) / columns;
        using var figure = new Figure("monitor", [.. panels.Select(p => p.Draw(comparison.Runs.Max(r => r.Seconds)))])
        {
            Columns = columns,
            Size = (1000 * columns, 560 * rows),
        };
        figure.Save(folder, name);
        return true;
    }

    private Plot Draw(double end)
    {
        var plot = Figure.Panel(Title, "training time (s), without the monitor", Axis);
        foreach (var trace in Traces)
        {
            var line = Figure.Line(
                plot,
                trace.Seconds,
                trace.Values.Select(Math.Log10),
                trace.Color,
                trace.Name,
                trace.Dashed ? 1.8f : 2.2f,
                trace.Dashed ? LinePattern.Dashed : null
            );
            if (!trace.Dashed)
                line.MarkerSize = 6;
        }
        Figure.Logarithmic(plot.Axes.Left, Low, High);
        plot.Axes.SetLimitsY(Math.Log10(Low), Math.Log10(High));
        plot.Axes.SetLimitsX(0, end > 0 ? 1.02 * end : 1);
        if (Traces.Any(t => t.Name.Length > 0))
            Figure.Legend(plot, Edge.Right);
        return plot;
    }

    private static Trace Line(TrainingRun run, string name, string color, Func<MonitorRow, double?> value, bool dashed = false)
    {
        var points = run.Monitor!.Rows.Where(r => value(r) is > 0 and < double.PositiveInfinity).ToList();
        return new(
            name,
            color,
            dashed,
            [.. points.Select(r => r.Seconds)],
            [.. points.Select(r => (double)r.Step)],
            [.. points.Select(r => value(r)!.Value)]
        );
    }
}
