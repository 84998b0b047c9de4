using Amari.Training;
using ScottPlot;

namespace Amari.Reporting;

/// <summary>The judged quantity and the training loss against seconds or steps, side by side: a bold line for the median over seeds, thin
/// lines for the seeds, a dashed line for the target, and a cross where a run came apart, diverged or failed.</summary>
internal static class LossFigure
{
    private const int DataWidth = 600, // of each of two panels
        PairHeight = 660;

    /// <summary>Writes <c>NAME.png</c> and <c>NAME.svg</c>.</summary>
    public static void Save(BenchmarkResult comparison, bool bySeconds, ResultFolder folder, string name)
    {
        using var figure = Of(comparison, bySeconds);
        figure.Save(folder, name);
    }

    /// <summary>The figure, with one panel if there are no held-out examples; the caller owns it.</summary>
    public static Figure Of(BenchmarkResult comparison, bool bySeconds)
    {
        var quantities = CurveQuantity.Judged(comparison);
        int lines = 1 + Summary.Of(comparison).Sum(s => 1 + Trouble.Count(s).Count(c => c == '\n')), // of the legend, in one column
            legend = 100 + 24 * lines;
        var panels = quantities.Select((q, i) => Panel(comparison, q, bySeconds, legend: i == quantities.Count - 1)).ToList();
        var figure = new Figure("loss", panels);
        return panels.Count == 1
            ? figure with
            {
                Size = (figure.Size.Width, Math.Max(figure.Size.Height, legend)),
            }
            : figure with
            {
                DataWidth = DataWidth,
                Size = (0, Math.Max(PairHeight, legend)),
            };
    }

    /// <summary>One panel; the caller owns it.</summary>
    public static Plot Panel(BenchmarkResult comparison, CurveQuantity quantity, bool bySeconds, bool legend = true)
    {
        var scale = CurveScale.Of(comparison, quantity);
        var colors = Palette.Of(comparison);
        var summaries = Summary.Of(comparison).ToDictionary(s => s.Optimizer);
        var plot = Figure.Panel(
            $"{comparison.Workload}: {quantity.Name}",
            bySeconds ? "training time (s), without evaluation" : "optimizer steps",
            scale.Title
        );

        var groups = comparison
            .Runs.GroupBy(r => r.Optimizer)
            .Select(g => (Name: g.Key, Curves: g.Select(r => Curve.Of(r, quantity, bySeconds)).ToList()))
            .ToList();
        foreach (var (name, curves) in groups.Where(g => g.Curves.Count > 1))
        foreach (var curve in curves)
            Draw(plot, curve, scale, Color.FromHex(colors[name]).WithAlpha(0.4), 1.2f);
        foreach (var (name, curves) in groups)
            if (Draw(plot, Curve.Median(curves, scale.Log), scale, Color.FromHex(colors[name]), 2.8f) is { } line)
                line.LegendText = name + Trouble.Count(summaries[name]);
        foreach (var run in comparison.Runs.Where(Trouble.IsIn))
            if (Curve.Of(run, quantity, bySeconds) is { X: [.., var x], Y: [.., var y] })
                Mark(plot, x, scale.Within(y), Color.FromHex(colors[run.Optimizer]));

        plot.Axes.SetLimitsY(scale.Limits.Bottom, scale.Limits.Top);
        plot.Axes.SetLimitsX(
            0,
            groups.SelectMany(g => g.Curves).SelectMany(c => c.X).DefaultIfEmpty(0).Max() is > 0 and var end ? 1.02 * end : 1
        );
        if (quantity.Target is { } target)
            DrawTarget(plot, target, scale.At(target));
        if (scale.Log)
            Figure.Mark(plot.Axes.Left, scale.Marks);
        if (legend)
            Figure.Legend(plot, Edge.Right);
        else
            plot.HideLegend();
        return plot;
    }

    private static void DrawTarget(Plot plot, double target, double y)
    {
        var line = plot.Add.HorizontalLine(y);
        line.LinePattern = LinePattern.Dashed;
        line.LineWidth = 1.8f;
        line.Color = Colors.DimGray;
        var text = plot.Add.Text($"target {Number.Short(target)}", 0, y); // at the start, where no curve has reached it yet
        text.LabelFontSize = 15;
        text.LabelFontColor = Colors.DimGray;
        text.LabelBackgroundColor = Colors.White.WithAlpha(0.7);
        bool below = 2 * y > plot.Axes.Left.Min + plot.Axes.Left.Max;
        text.LabelAlignment = below ? Alignment.UpperLeft : Alignment.LowerLeft;
        (text.OffsetX, text.OffsetY) = (4, below ? 4 : -2);
    }

    private static void Mark(Plot plot, double x, double y, Color color)
    {
        var cross = plot.Add.Marker(x, y, MarkerShape.Eks, 16, color);
        cross.MarkerLineWidth = 3;
        cross.MarkerLineColor = color;
    }

    private static ScottPlot.Plottables.Scatter? Draw(Plot plot, Curve curve, CurveScale scale, Color color, float width)
    {
        var points = curve.X.Zip(curve.Y, (x, y) => new Coordinates(x, scale.At(y))).Where(p => double.IsFinite(p.Y)).ToArray();
        if (points.Length == 0)
            return null;
        var line = plot.Add.ScatterLine(points, color);
        line.LineWidth = width;
        return line;
    }
}
