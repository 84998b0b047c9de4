using Amari.Training;
using ScottPlot;

namespace Amari.Reporting;

/// <summary>The solution of an equation, the network at the end of the best run, and its error, as colors.</summary>
internal static class SolutionFigure
{
    private const int Height = 560;

    /// <summary>Writes <c>NAME.png</c> and <c>NAME.svg</c>.</summary>
    /// <returns>Whether there was anything to draw.</returns>
    public static bool Save(BenchmarkResult comparison, ResultFolder folder, string name)
    {
        if (BestOf(comparison) is not { Solution: { } field } run)
            return false;
        using var figure = Of(run, field);
        figure.Save(folder, name);
        return true;
    }

    /// <summary>The run with the lowest error at its end, of those that recorded a solution.</summary>
    private static TrainingRun? BestOf(BenchmarkResult comparison) =>
        comparison.Runs.Where(r => r.Solution is not null && double.IsFinite(r.FinalMetric)).MinBy(r => r.FinalMetric);

    /// <summary>The figure; the caller owns it.</summary>
    public static Figure Of(TrainingRun run, SolutionField field)
    {
        var error = field.Frames[^1].Error;
        string end = FormattableString.Invariant($"{run.Optimizer}, {Number.Short(run.Seconds)} s");
        var network = field.Solution.Zip(error, (u, e) => u + e).ToArray();
        return new(
            "solution",
            Panel(field, "Solution u", "", field.Solution, new ScottPlot.Colormaps.Viridis()),
            Panel(field, $"Network: {end}", "", network, new ScottPlot.Colormaps.Viridis(), Range(field.Solution)),
            Panel(
                field,
                $"Error: relative L2 {Number.Short(run.FinalMetric)}",
                "network - solution",
                error,
                Figure.Diverging(),
                Around(error)
            )
        )
        {
            Size = (3 * Figure.PanelWidth, Height),
        };
    }

    private static Plot Panel(
        SolutionField field,
        string title,
        string what,
        IReadOnlyList<float> values,
        IColormap colors,
        ScottPlot.Range? range = null
    )
    {
        int columns = field.X.Count,
            rows = field.Y.Count;
        var cells = new double[rows, columns]; // row 0 at the top
        for (int i = 0; i < columns; i++)
        for (int j = 0; j < rows; j++)
            cells[rows - 1 - j, i] = values[i * rows + j];
        var plot = Figure.Panel(title, field.Axes[0] + (field.Where.Length > 0 ? $"   ({field.Where})" : ""), field.Axes[1]);
        double dx = (field.X[1] - field.X[0]) / 2,
            dy = (field.Y[1] - field.Y[0]) / 2;
        var map = plot.Add.Heatmap(cells);
        map.Colormap = colors;
        map.Extent = new CoordinateRect(field.X[0] - dx, field.X[^1] + dx, field.Y[0] - dy, field.Y[^1] + dy);
        map.NaNCellColor = Colors.LightGray;
        map.ManualRange = range ?? Range(values);
        var bar = plot.Add.ColorBar(map);
        bar.Label = what;
        bar.LabelStyle.FontSize = 14;
        bar.Axis.TickLabelStyle.FontSize = 13;
        bar.Axis.TickGenerator = new ScottPlot.TickGenerators.NumericAutomatic { TickDensity = 0.4 };
        plot.HideGrid();
        plot.Axes.SetLimits(field.X[0] - dx, field.X[^1] + dx, field.Y[0] - dy, field.Y[^1] + dy);
        return plot;
    }

    private static ScottPlot.Range Range(IReadOnlyList<float> values)
    {
        var finite = values.Where(float.IsFinite).DefaultIfEmpty(0).ToList();
        double low = finite.Min(),
            high = finite.Max();
        return high > low ? new(low, high) : new(low - 1, low + 1);
    }

    private static ScottPlot.Range Around(IReadOnlyList<float> values) =>
        values.Where(float.IsFinite).Select(Math.Abs).DefaultIfEmpty(0).Max() is > 0 and var top ? new(-top, top) : new(-1, 1);
}
