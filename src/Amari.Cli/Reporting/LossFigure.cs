using System.Globalization;
using Amari.Training;
using ScottPlot;
using ScottPlot.TickGenerators;

namespace Amari.Cli.Reporting;

/// <summary>Loss against seconds or steps, a line a run (logarithmic in the loss), the target dashed.</summary>
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
        plot.YLabel("training loss", 16);
        foreach (var group in comparison.Runs.GroupBy(r => r.Optimizer))
        {
            bool named = false;
            foreach (var run in group)
            {
                var points = run.Losses.Where(p => double.IsFinite(p.Loss) && p.Loss > 0)
                    .Select(p => new Coordinates(bySeconds ? p.Seconds : p.Step, Math.Log10(p.Loss))).ToArray();
                if (points.Length == 0) continue;
                var line = plot.Add.ScatterLine(points);
                line.Color = Color.FromHex(Palette.Of(group.Key)).WithAlpha(group.Count() > 1 ? 0.75 : 1);
                line.LineWidth = 2.2f;
                if (!named) line.LegendText = group.Key;
                named = true;
            }
        }
        var target = plot.Add.HorizontalLine(Math.Log10(comparison.Target.Value));
        target.LinePattern = LinePattern.Dashed;
        target.LineWidth = 1.5f;
        target.Color = Colors.Gray;
        target.LegendText = string.Create(CultureInfo.InvariantCulture, $"target {comparison.Target.Value:G3}");
        target.EnableAutoscale = true;

        plot.Axes.Left.TickGenerator = new NumericAutomatic
        {
            MinorTickGenerator = new LogMinorTickGenerator(),
            IntegerTicksOnly = true,
            LabelFormatter = y => Math.Pow(10, y).ToString(Math.Abs(y) <= 3 ? "G4" : "0e0", CultureInfo.InvariantCulture),
        };
        plot.Axes.Bottom.TickLabelStyle.FontSize = 14;
        plot.Axes.Left.TickLabelStyle.FontSize = 14;
        plot.Grid.MajorLineColor = Colors.Black.WithAlpha(0.12);
        plot.Axes.Margins(left: 0, right: 0.02);
        plot.ShowLegend(Edge.Right);
        plot.Legend.FontSize = 15;
        plot.Legend.OutlineWidth = 0;
        plot.Legend.ShadowColor = Colors.Transparent;
        plot.SavePng(stem + ".png", Width, Height);
        plot.SaveSvg(stem + ".svg", Width, Height);
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
