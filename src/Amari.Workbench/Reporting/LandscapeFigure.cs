using ScottPlot;

namespace Amari.Reporting;

/// <summary>Two panels of one plane: the loss as colors and as contours, both with the training path.</summary>
internal static class LandscapeFigure
{
    private const int Levels = 14;
    private const double LogRatio = 5; // ratio of losses above which the scale is logarithmic
    private const string Accent = "#D55E00";

    /// <summary>Writes <c>NAME.png</c> and <c>NAME.svg</c>.</summary>
    public static void Save(LandscapeResult result, ResultFolder folder, string name)
    {
        using var figure = new Figure("landscape", Heat(result), Contours(result));
        figure.Save(folder, name);
    }

    /// <summary>Whether the loss scale is logarithmic.</summary>
    public static bool Log(LandscapeResult result) => result.Lowest > 0 && result.Highest / result.Lowest > LogRatio;

    private static double Height(LandscapeResult result, double loss) => Log(result) ? Math.Log10(loss) : loss;

    private static Plot Heat(LandscapeResult result)
    {
        var plot = Panel(result, result.Headline);
        int rows = result.B.Length,
            columns = result.A.Length;
        var heights = new double[rows, columns];
        for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++)
            heights[rows - 1 - r, c] = double.IsFinite(result.Losses[r, c]) ? Height(result, result.Losses[r, c]) : double.NaN;
        var map = plot.Add.Heatmap(heights);
        map.Colormap = new ScottPlot.Colormaps.Viridis();
        map.Extent = Cells(result);
        map.NaNCellColor = Colors.LightGray;
        var bar = Figure.Bar(plot, map, Log(result) ? "loss (log scale)" : "loss");
        if (Log(result))
            Figure.Logarithmic(bar.Axis, result.Lowest, result.Highest);
        Path(plot, result, "#FFFFFF");
        plot.HideLegend(); // the other panel has the legend of both
        return plot;
    }

    private static Plot Contours(LandscapeResult result)
    {
        var plot = Panel(result, "Contours");
        bool whole = result.Losses.Cast<double>().All(double.IsFinite);
        if (whole && result.Highest > result.Lowest)
        {
            double low = Height(result, result.Lowest),
                high = Height(result, result.Highest);
            var points = new Coordinates3d[result.B.Length, result.A.Length];
            for (int r = 0; r < result.B.Length; r++)
            for (int c = 0; c < result.A.Length; c++)
                points[r, c] = new(result.A[c], result.B[r], Height(result, result.Losses[r, c]));
            var lines = plot.Add.ContourLines(points);
            lines.ContourLineLevels = [.. Enumerable.Range(1, Levels).Select(i => low + (high - low) * i / (Levels + 1))];
            lines.Colormap = new ScottPlot.Colormaps.Viridis();
            lines.LineWidth = 1.8f;
            lines.LabelStyle.IsVisible = false;
            lines.Update(points);
        }
        Path(plot, result, Accent);
        Figure.Legend(plot, corner: Free(result));
        return plot;
    }

    /// <summary>A corner away from the start of the path.</summary>
    private static Alignment Free(LandscapeResult result) =>
        result.Path.Count > 0 && result.Path[0] is { A: > 0, B: > 0 } ? Alignment.UpperLeft : Alignment.UpperRight;

    private static Plot Panel(LandscapeResult result, string title)
    {
        var plot = Figure.Panel(title, result.Axes[0], result.Axes[1]);
        var cells = Cells(result);
        plot.Axes.SetLimits(cells.Left, cells.Right, cells.Bottom, cells.Top);
        return plot;
    }

    /// <summary>The plane with half a cell around it.</summary>
    private static CoordinateRect Cells(LandscapeResult result)
    {
        double a = (result.A[1] - result.A[0]) / 2,
            b = (result.B[1] - result.B[0]) / 2;
        return new(result.A[0] - a, result.A[^1] + a, result.B[0] - b, result.B[^1] + b);
    }

    private static void Path(Plot plot, LandscapeResult result, string color)
    {
        if (result.Path.Count > 0)
        {
            var line = Figure.Line(plot, result.Path.Select(p => p.A), result.Path.Select(p => p.B), color, "training path", 2.2f);
            (line.MarkerSize, line.MarkerShape) = (5, MarkerShape.FilledCircle);
            var start = plot.Add.Marker(result.Path[0].A, result.Path[0].B, MarkerShape.OpenSquare, 12, Color.FromHex(color));
            (start.LegendText, start.LineWidth) = ("start", 2.5f);
        }
        var end = plot.Add.Marker(0, 0, MarkerShape.FilledDiamond, 13, Color.FromHex(color));
        end.LegendText = "weights";
    }
}
