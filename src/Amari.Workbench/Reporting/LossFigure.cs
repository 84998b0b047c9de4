using Amari.Training;
using Amari.Workloads;
using ScottPlot;

namespace Amari.Reporting;

/// <summary>Loss against seconds or steps: a bold line for the median over seeds, thin lines for the seeds, a dashed line for the target,
/// and a cross where a run came apart, diverged or failed.</summary>
internal static class LossFigure
{
    /// <summary>Writes <c>NAME.png</c> and <c>NAME.svg</c>.</summary>
    public static void Save(BenchmarkResult comparison, string title, bool bySeconds, ResultFolder folder, string name)
    {
        int legend = 1 + Summary.Of(comparison).Sum(s => 1 + Trouble.Count(s).Count(c => c == '\n')); // lines of the legend, in one column
        using var figure = new Figure(title, Panel(comparison, title, bySeconds)) { Size = (1200, Math.Max(750, 100 + 24 * legend)) };
        figure.Save(folder, name);
    }

    /// <summary>The panel; the caller owns it.</summary>
    public static Plot Panel(BenchmarkResult comparison, string title, bool bySeconds)
    {
        var scale = LossScale.Of(comparison);
        var colors = Palette.Of(comparison);
        var summaries = Summary.Of(comparison).ToDictionary(s => s.Optimizer);
        var plot = Figure.Panel(title, bySeconds ? "training time (s), without evaluation" : "optimizer steps", scale.Title);

        var groups = comparison
            .Runs.GroupBy(r => r.Optimizer)
            .Select(g => (Name: g.Key, Curves: g.Select(r => Curve.Of(r, bySeconds)).ToList()))
            .ToList();
        foreach (var (name, curves) in groups.Where(g => g.Curves.Count > 1))
        foreach (var curve in curves)
            Draw(plot, curve, scale, Color.FromHex(colors[name]).WithAlpha(0.4), 1.2f);
        foreach (var (name, curves) in groups)
            if (Draw(plot, Curve.Median(curves), scale, Color.FromHex(colors[name]), 2.8f) is { } line)
                line.LegendText = name + Trouble.Count(summaries[name]);
        foreach (var run in comparison.Runs.Where(Trouble.IsIn))
            if (Curve.Of(run, bySeconds) is { X: [.., var x], Y: [.., var y] })
                Mark(plot, x, Math.Min(scale.At(y), scale.Limits.Top), Color.FromHex(colors[run.Optimizer]));

        var target = plot.Add.HorizontalLine(scale.At(comparison.Target.Value));
        target.LinePattern = LinePattern.Dashed;
        target.LineWidth = 1.8f;
        target.Color = Colors.DimGray;
        target.LegendText = $"target {Number.Short(comparison.Target.Value)}";

        plot.Axes.SetLimitsY(scale.Limits.Bottom, scale.Limits.Top);
        plot.Axes.SetLimitsX(
            0,
            groups.SelectMany(g => g.Curves).SelectMany(c => c.X).DefaultIfEmpty(0).Max() is > 0 and var end ? 1.02 * end : 1
        );
        if (scale.Log)
            Figure.Mark(plot.Axes.Left, scale.Marks);
        Figure.Legend(plot, Edge.Right);
        return plot;
    }

    private static void Mark(Plot plot, double x, double y, Color color)
    {
        var cross = plot.Add.Marker(x, y, MarkerShape.Eks, 16, color);
        cross.MarkerLineWidth = 3;
        cross.MarkerLineColor = color;
    }

    private static ScottPlot.Plottables.Scatter? Draw(Plot plot, Curve curve, LossScale scale, Color color, float width)
    {
        var points = curve.X.Zip(curve.Y, (x, y) => new Coordinates(x, scale.At(y))).Where(p => double.IsFinite(p.Y)).ToArray();
        if (points.Length == 0)
            return null;
        var line = plot.Add.ScatterLine(points, color);
        line.LineWidth = width;
        return line;
    }
}
