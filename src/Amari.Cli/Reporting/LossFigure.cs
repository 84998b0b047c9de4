using Amari.Training;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace Amari.Cli.Reporting;

/// <summary>Loss against seconds or steps: a bold line for the median over seeds, thin ones for the seeds, the target dashed.</summary>
internal static class LossFigure
{
    private const int Width = 1200, Height = 750;
    private const string Font = "DejaVu Sans";
    private static readonly Lazy<bool> FontReady = new(RegisterFont);

    /// <summary>Writes <c>STEM.png</c> and <c>STEM.svg</c>.</summary>
    public static void Save(Comparison comparison, string title, bool bySeconds, string stem)
    {
        using var plot = new Plot();
        if (FontReady.Value) plot.Font.Set(Font);
        plot.Title(title, 20);
        plot.XLabel(bySeconds ? "training time (s), evaluation not counted" : "optimizer steps", 16);
        var scale = LossScale.Of(comparison);
        plot.YLabel(scale.Log ? "training loss (log scale)" : "training loss", 16);

        var groups = comparison.Runs.GroupBy(r => r.Optimizer).Select(g => (Name: g.Key, Curves: g.Select(r => Curve.Of(r, bySeconds)).ToList())).ToList();
        foreach (var (name, curves) in groups.Where(g => g.Curves.Count > 1))
            foreach (var curve in curves) Draw(plot, curve, scale, Color.FromHex(Palette.Of(name)).WithAlpha(0.4), 1.2f);
        foreach (var (name, curves) in groups)
            if (Draw(plot, Curve.Median(curves), scale, Color.FromHex(Palette.Of(name)), 2.8f) is { } line) line.LegendText = name;

        var target = plot.Add.HorizontalLine(scale.At(comparison.Target.Value));
        target.LinePattern = LinePattern.Dashed;
        target.LineWidth = 1.8f;
        target.Color = Colors.DimGray;
        target.LegendText = $"target {Number.Short(comparison.Target.Value)}";

        plot.Axes.SetLimitsY(scale.At(scale.Low), scale.At(scale.High));
        plot.Axes.SetLimitsX(0, groups.SelectMany(g => g.Curves).SelectMany(c => c.X).DefaultIfEmpty(0).Max() is > 0 and var end ? 1.02 * end : 1);
        if (scale.Log) plot.Axes.Left.TickGenerator = LogTicks(scale);
        plot.Axes.Bottom.TickGenerator = new NumericAutomatic { TickDensity = 0.5 };
        plot.Axes.Bottom.TickLabelStyle.FontSize = 14;
        plot.Axes.Left.TickLabelStyle.FontSize = 14;
        plot.Axes.Left.MinimumSize = 95;
        plot.Axes.Left.Label.OffsetX = 14;                       // away from the edge
        plot.Axes.Right.IsVisible = plot.Axes.Top.FrameLineStyle.IsVisible = false;
        plot.Grid.MajorLineColor = Colors.Black.WithAlpha(0.12);
        plot.ShowLegend(Edge.Right);
        plot.Legend.FontSize = 15;
        plot.Legend.SymbolWidth = 32;                            // long enough to see dashes
        plot.Legend.OutlineWidth = 0;
        plot.Legend.ShadowColor = Colors.Transparent;
        plot.SavePng(stem + ".png", Width, Height);
        // A viewer without the font takes one that is as wide.
        File.WriteAllText(stem + ".svg", plot.GetSvgXml(Width, Height).Replace($"font-family=\"{Font}\"", $"font-family=\"{Font}, Verdana, sans-serif\"", StringComparison.Ordinal));
    }

    private static ScottPlot.Plottables.Scatter? Draw(Plot plot, Curve curve, LossScale scale, Color color, float width)
    {
        var points = curve.X.Zip(curve.Y, (x, y) => new Coordinates(x, scale.At(y))).Where(p => double.IsFinite(p.Y)).ToArray();
        if (points.Length == 0) return null;
        var line = plot.Add.ScatterLine(points, color);
        line.LineWidth = width;
        return line;
    }

    private static NumericManual LogTicks(LossScale scale)
    {
        var ticks = new NumericManual();
        foreach (var (at, label) in scale.LogMarks())
            if (label is null) ticks.AddMinor(at);
            else ticks.AddMajor(at, label);
        return ticks;
    }

    /// <summary>A bare machine has no fonts at all: the program brings one.</summary>
    private static bool RegisterFont()
    {
        string file = Path.Combine(Path.GetTempPath(), $"amari-{Environment.ProcessId}-DejaVuSans.ttf");
        using (var source = typeof(LossFigure).Assembly.GetManifestResourceStream("DejaVuSans.ttf")!)
        using (var target = File.Create(file)) source.CopyTo(target);
        Fonts.AddFontFile(Font, file);
        AppDomain.CurrentDomain.ProcessExit += (_, _) => File.Delete(file);
        return true;
    }
}
