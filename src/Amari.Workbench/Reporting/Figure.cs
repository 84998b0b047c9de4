using Amari.Native;
using ScottPlot;
using ScottPlot.TickGenerators;
using SkiaSharp;

namespace Amari.Reporting;

/// <summary>Panels side by side or in rows, in the common style, as PNG and SVG. Owns its panels.</summary>
/// <param name="Name">The stem of the file names.</param>
/// <param name="Panels">From left to right, then down.</param>
internal sealed record Figure(string Name, params IReadOnlyList<Plot> Panels) : IDisposable
{
    public const int PanelWidth = 800,
        PanelHeight = 600;
    private const int Margin = 24; // to the right of a panel, for the label of the last tick

    /// <summary>Panels per row.</summary>
    public int Columns { get; init; } = Panels.Count;

    /// <summary>Size of the figure in pixels. A single panel is wider.</summary>
    public (int Width, int Height) Size { get; init; } = Panels.Count == 1 ? (1200, 750) : (0, 0);

    /// <summary>Width in pixels of the data area of every panel of a single row: the columns are as much wider as their axes and legends
    /// need. By default the columns share the width equally.</summary>
    public int? DataWidth { get; init; }

    /// <summary>An empty panel with titles, readable ticks, a light grid, and no frame at the top and right.</summary>
    public static Plot Panel(string title, string x, string y)
    {
        var plot = new Plot();
        if (EmbeddedFont.Registered.Value)
            plot.Font.Set(EmbeddedFont.Family);
        plot.Title(title, 20);
        plot.XLabel(x, 16);
        plot.YLabel(y, 16);
        plot.Axes.Bottom.TickGenerator = new NumericAutomatic { TickDensity = 0.5 };
        plot.Axes.Left.TickGenerator = new NumericAutomatic { TickDensity = 0.5 };
        plot.Axes.Bottom.TickLabelStyle.FontSize = 14;
        plot.Axes.Left.TickLabelStyle.FontSize = 14;
        plot.Axes.Left.MinimumSize = 95;
        plot.Axes.Left.Label.OffsetX = 14; // away from the edge
        plot.Axes.Right.FrameLineStyle.IsVisible = plot.Axes.Top.FrameLineStyle.IsVisible = false;
        plot.Axes.Right.MinimumSize = Margin;
        plot.Grid.MajorLineColor = Colors.Black.WithAlpha(0.12);
        return plot;
    }

    /// <summary>Shows the legend inside at a corner or outside at an edge.</summary>
    public static void Legend(Plot plot, Edge? edge = null, Alignment corner = Alignment.UpperRight)
    {
        if (edge is { } side)
            plot.ShowLegend(side);
        else
            plot.ShowLegend(corner);
        plot.Legend.FontSize = 15;
        plot.Legend.SymbolWidth = 32; // long enough to see dashes
        plot.Legend.OutlineWidth = 0;
        plot.Legend.ShadowColor = Colors.Transparent;
        plot.Legend.BackgroundColor = Colors.White.WithAlpha(0.8);
    }

    /// <summary>A line through the points with finite coordinates.</summary>
    public static ScottPlot.Plottables.Scatter Line(
        Plot plot,
        IEnumerable<double> x,
        IEnumerable<double> y,
        string color,
        string? legend = null,
        float width = 2.8f,
        LinePattern? pattern = null
    )
    {
        var points = x.Zip(y, (a, b) => new Coordinates(a, b)).Where(p => double.IsFinite(p.X) && double.IsFinite(p.Y)).ToArray();
        var line = plot.Add.ScatterLine(points, Color.FromHex(color));
        (line.LineWidth, line.LegendText, line.LinePattern) = (width, legend ?? "", pattern ?? LinePattern.Solid);
        return line;
    }

    /// <summary>Markers without a line.</summary>
    public static ScottPlot.Plottables.Scatter Marks(
        Plot plot,
        IEnumerable<double> x,
        IEnumerable<double> y,
        string color,
        string? legend = null,
        float size = 9
    )
    {
        var marks = plot.Add.ScatterPoints(x.ToArray(), y.ToArray(), Color.FromHex(color));
        (marks.MarkerSize, marks.LegendText) = (size, legend ?? "");
        return marks;
    }

    /// <summary>White markers with a black outline, visible on any color.</summary>
    public static void OutlinedMarks(Plot plot, IEnumerable<double> x, IEnumerable<double> y, string legend)
    {
        var style = Marks(plot, x, y, "#FFFFFF", legend, 13).MarkerStyle;
        (style.OutlineColor, style.OutlineWidth) = (Colors.Black, 1.8f);
    }

    /// <summary>A matrix as colors, row 1 at the top, with a color bar: white at 0, blue below, red above.</summary>
    /// <param name="plot">A panel. Its ticks become numbers of rows and columns.</param>
    /// <param name="matrix">[rows, columns].</param>
    /// <param name="limit">The value of the strongest color, which larger entries have too; by default the largest absolute entry.</param>
    public static void Matrix(Plot plot, double[,] matrix, double? limit = null)
    {
        double top = limit ?? matrix.Cast<double>().Max(Math.Abs);
        var map = plot.Add.Heatmap(matrix);
        map.Colormap = Diverging();
        map.ManualRange = new ScottPlot.Range(-top, top);
        Bar(plot, map, limit is null ? "entry" : $"entry (the colors end at ±{Number.Short(top, 2)})");
        plot.HideGrid();
        int rows = matrix.GetLength(0),
            columns = matrix.GetLength(1);
        Mark(plot.Axes.Bottom, Counted(columns).Select(c => new Mark(c - 1, $"{c}")));
        Mark(plot.Axes.Left, Counted(rows).Select(r => new Mark(rows - r, $"{r}")));
        plot.Axes.Left.MinimumSize = 70;
        plot.Axes.SetLimits(-0.5, columns - 0.5, -0.5, rows - 0.5);
    }

    /// <summary>Round numbers from 1 to a count, at most seven.</summary>
    private static IEnumerable<int> Counted(int count)
    {
        int[] steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000];
        int step = steps.First(s => count / s <= 7);
        return Enumerable.Range(1, count / step).Select(i => i * step);
    }

    /// <summary>The color bar of a panel.</summary>
    public static ScottPlot.Panels.ColorBar Bar(Plot plot, IHasColorAxis colors, string label)
    {
        var bar = plot.Add.ColorBar(colors);
        bar.Label = label;
        bar.LabelStyle.FontSize = 14;
        bar.Axis.TickLabelStyle.FontSize = 13;
        return bar;
    }

    /// <summary>Blue, white, red.</summary>
    public static IColormap Diverging() =>
        new ScottPlot.Colormaps.CustomInterpolated([
            Color.FromHex("#2166AC"),
            Color.FromHex("#92C5DE"),
            Colors.White,
            Color.FromHex("#F4A582"),
            Color.FromHex("#B2182B"),
        ]);

    /// <summary>The logarithm of a function of two variables as colors, dark for small values, with contours and a color bar.</summary>
    /// <param name="plot">A panel.</param>
    /// <param name="values">log₁₀ of the function, [rows, columns], row 0 at the minimum of y. Values are at the corners of cells.</param>
    /// <param name="x">The x of the first and the last column.</param>
    /// <param name="y">The y of the first and the last row.</param>
    /// <param name="name">The function, in a few words.</param>
    public static void Surface(Plot plot, double[,] values, (double Low, double High) x, (double Low, double High) y, string name)
    {
        int rows = values.GetLength(0),
            columns = values.GetLength(1);
        double dx = (x.High - x.Low) / (columns - 1),
            dy = (y.High - y.Low) / (rows - 1);
        var flipped = new double[rows, columns]; // heat maps have row 0 at the top
        var grid = new Coordinates3d[rows, columns];
        for (int r = 0; r < rows; r++)
        for (int c = 0; c < columns; c++)
        {
            flipped[rows - 1 - r, c] = values[r, c];
            grid[r, c] = new(x.Low + c * dx, y.Low + r * dy, values[r, c]);
        }
        var map = plot.Add.Heatmap(flipped);
        map.Colormap = new ScottPlot.Colormaps.CustomInterpolated([
            Color.FromHex("#4C566A"),
            Color.FromHex("#A3ACBD"),
            Color.FromHex("#E8EAEE"),
            Colors.White,
        ]);
        map.Position = new CoordinateRect(x.Low - dx / 2, x.High + dx / 2, y.Low - dy / 2, y.High + dy / 2);
        map.Smooth = true;
        var all = values.Cast<double>();
        Logarithmic(Bar(plot, map, name + " (log scale)").Axis, Math.Pow(10, all.Min()), Math.Pow(10, all.Max()));
        var lines = plot.Add.ContourLines(grid);
        lines.LineColor = Colors.Black.WithAlpha(0.25);
        lines.ContourLineCount = 16;
        lines.LabelStyle.IsVisible = false;
        plot.HideGrid();
        plot.Axes.SetLimits(x.Low, x.High, y.Low, y.High);
    }

    /// <summary>A tensor [rows, columns] as an array.</summary>
    public static double[,] Array(torch.Tensor matrix)
    {
        var flat = matrix.Elements<double>();
        var result = new double[matrix.shape[0], matrix.shape[1]];
        Buffer.BlockCopy(flat, 0, result, 0, flat.Length * sizeof(double));
        return result;
    }

    /// <summary>Labels an axis with log₁₀ coordinates at decades, and at 2 and 5 if there are few decades.</summary>
    public static void Logarithmic(IAxis axis, double low, double high)
    {
        Mark(axis, Decades.Marks(low, high));
        (axis.Min, axis.Max) = (Math.Log10(low), Math.Log10(high));
    }

    /// <summary>Sets the ticks of an axis. Ticks without a label are minor.</summary>
    public static void Mark(IAxis axis, IEnumerable<Mark> marks)
    {
        var ticks = new NumericManual();
        foreach (var (at, label) in marks)
            if (label is null)
                ticks.AddMinor(at);
            else
                ticks.AddMajor(at, label);
        axis.TickGenerator = ticks;
    }

    /// <summary>The file names of a figure.</summary>
    public static string[] Files(string name) => [name + ".png", name + ".svg"];

    /// <summary>Writes <c>NAME.png</c> and <c>NAME.svg</c>.</summary>
    /// <returns>Both paths.</returns>
    public IReadOnlyList<string> Save(ResultFolder folder, string name)
    {
        int rows = (Panels.Count + Columns - 1) / Columns,
            height = Size.Height > 0 ? Size.Height : rows * PanelHeight;
        int[] columns = ColumnWidths(height);
        int width = columns.Sum();
        string png;
        using (var surface = SKSurface.Create(new SKImageInfo(width, height)))
        {
            Draw(surface.Canvas, columns, height);
            using var image = surface.Snapshot();
            using var encoded = image.Encode(SKEncodedImageFormat.Png, 100);
            png = folder.Write(name + ".png", encoded.ToArray());
        }
        using (var svg = new MemoryStream())
        {
            using (var canvas = SKSvgCanvas.Create(new SKRect(0, 0, width, height), svg))
                Draw(canvas, columns, height);
            // A viewer without the font uses one of the same width.
            return
            [
                png,
                folder.Write(
                    name + ".svg",
                    System
                        .Text.Encoding.UTF8.GetString(svg.ToArray())
                        .Replace(
                            $"font-family=\"{EmbeddedFont.Family}\"",
                            $"font-family=\"{EmbeddedFont.Family}, Verdana, sans-serif\"",
                            StringComparison.Ordinal
                        )
                ),
            ];
        }
    }

    private int[] ColumnWidths(int height) =>
        DataWidth is { } data
            ? [.. Panels.Select(p => data + Frame(p, height))]
            : [.. Enumerable.Range(1, Columns).Select(i => i * Width / Columns - (i - 1) * Width / Columns)];

    private int Width => Size.Width > 0 ? Size.Width : Columns * PanelWidth;

    /// <summary>The width of a panel's axes and legend.</summary>
    private static int Frame(Plot panel, int height)
    {
        panel.RenderInMemory(PanelWidth, height);
        var drawn = panel.RenderManager.LastRender;
        return (int)Math.Ceiling(drawn.FigureRect.Width - drawn.DataRect.Width);
    }

    private void Draw(SKCanvas canvas, int[] columns, int height)
    {
        canvas.Clear(SKColors.White);
        int rows = (Panels.Count + Columns - 1) / Columns;
        float h = (float)height / rows;
        for (int i = 0; i < Panels.Count; i++)
        {
            float left = columns.Take(i % Columns).Sum(),
                top = i / Columns * h;
            Panels[i].RenderManager.ClearCanvasBeforeEachRender = false;
            Panels[i].Render(canvas, new PixelRect(left, left + columns[i % Columns], top + h, top));
        }
    }

    public void Dispose()
    {
        foreach (var panel in Panels)
            panel.Dispose();
    }
}
