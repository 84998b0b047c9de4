using Amari.Spectrum;
using ScottPlot;

namespace Amari.Reporting;

/// <summary>Two panels: the density of eigenvalues on a logarithmic scale, which shows both bulk and outliers, and the largest eigenvalues
/// by rank.</summary>
internal static class SpectrumFigure
{
    private const string Blue = "#0072B2",
        Accent = "#D55E00",
        Grey = "#777777";

    /// <summary>A tenth of the density of a single eigenvalue. Smaller values count as zero.</summary>
    public static double Floor(SpectrumResult result)
    {
        if (result.Points.Count == 0)
            return 0;
        double step = result.Points[1].Lambda - result.Points[0].Lambda,
            one = 1.0 / result.Dimension;
        // The kernel: a hundredth of the range, with tails of four widths.
        double sigma = (result.Points[^1].Lambda - result.Points[0].Lambda) / 108;
        return 0.1 * one / (Math.Max(sigma, step) * Math.Sqrt(2 * Math.PI));
    }

    /// <summary>The density with its band of one standard error if it is above the floor; otherwise the floor.</summary>
    public static IReadOnlyList<(double X, double Y, double Low, double High)> Shown(SpectrumResult result)
    {
        double floor = Floor(result);
        return
        [
            .. result.Points.Select(p =>
                (
                    p.Lambda,
                    Math.Max(floor, p.Density.Value),
                    Math.Max(floor, p.Density.Value - Error(p)),
                    Math.Max(floor, p.Density.Value + Error(p))
                )
            ),
        ];

        static double Error(Spectrum.DensityPoint p) => double.IsFinite(p.Density.StandardError) ? p.Density.StandardError : 0;
    }

    /// <summary>Writes <c>NAME.png</c> and <c>NAME.svg</c>.</summary>
    public static void Save(SpectrumResult result, ResultFolder folder, string name)
    {
        using var figure = new Figure("spectrum", Panels(result));
        figure.Save(folder, name);
    }

    /// <summary>The density (if there is one) and the largest eigenvalues. The caller owns them.</summary>
    public static IReadOnlyList<Plot> Panels(SpectrumResult result) =>
        result.Points.Count == 0 ? [Scree(result)] : [Density(result), Scree(result)];

    private static Plot Density(SpectrumResult result)
    {
        var plot = Figure.Panel(result.Headline, "eigenvalue λ", "density (log scale)");
        var shown = Shown(result);
        double floor = Floor(result);
        var band = plot.Add.FillY(
            [.. shown.Select(p => p.X)],
            [.. shown.Select(p => Math.Log10(p.Low))],
            [.. shown.Select(p => Math.Log10(p.High))]
        );
        band.FillColor = Color.FromHex(Blue).WithAlpha(0.22);
        band.LineWidth = 0;
        Figure.Line(plot, shown.Select(p => p.X), shown.Select(p => Math.Log10(p.Y)), Blue, "density ± standard error", 2.4f);
        Rug(result.Largest.Values.Skip(result.Outliers.Count), Grey, "largest eigenvalues");
        Rug(result.Largest.Values.Take(result.Outliers.Count), Accent, $"{result.Outliers.Count} outliers");
        double top = shown.Max(p => p.High);
        Figure.Logarithmic(plot.Axes.Left, floor, 3 * top);
        plot.Axes.SetLimitsX(shown[0].X, shown[^1].X);
        Figure.Legend(plot);
        return plot;

        void Rug(IEnumerable<double> values, string color, string legend)
        {
            double[] at = [.. values];
            if (at.Length == 0)
                return;
            foreach (double x in at)
            {
                var mark = plot.Add.Line(
                    x,
                    Math.Log10(floor),
                    x,
                    Math.Log10(floor) + 0.06 * Math.Log10(3 * shown.Max(p => p.High) / floor)
                );
                (mark.Color, mark.LineWidth) = (Color.FromHex(color), 2);
                if (x == at[0])
                    mark.LegendText = legend;
            }
        }
    }

    private static Plot Scree(SpectrumResult result)
    {
        var plot = Figure.Panel(
            result.Outliers.IsConclusive ? $"{result.Outliers.Count} outliers above the bulk" : "Largest eigenvalues",
            "rank (log scale)",
            "eigenvalue (log scale)"
        );
        var points = result.Largest.Values.Select((value, i) => (Rank: i + 1, Value: value)).Where(p => p.Value > 0).ToList();
        if (points.Count == 0)
            return plot;
        if (!double.IsNaN(result.Outliers.Scale))
            Tail(plot, result.Outliers, points[^1].Rank);
        Marks(points.Skip(result.Outliers.Count), Blue, "bulk");
        Marks(points.Take(result.Outliers.Count), Accent, "outliers");
        double low = points[^1].Value,
            high = points[0].Value;
        if (!double.IsNaN(result.Outliers.Scale))
            (low, high) = (Math.Min(low, result.Outliers.Tail(points[^1].Rank)), Math.Max(high, result.Outliers.Tail(1)));
        Figure.Logarithmic(plot.Axes.Left, low / 1.2, high * 1.2);
        Figure.Logarithmic(plot.Axes.Bottom, 0.9, 1.1 * points.Count);
        Figure.Legend(plot);
        return plot;

        void Marks(IEnumerable<(int Rank, double Value)> some, string color, string legend)
        {
            if (some.Any())
                Figure.Marks(plot, some.Select(p => Math.Log10(p.Rank)), some.Select(p => Math.Log10(p.Value)), color, legend);
        }
    }

    /// <summary>A dashed straight line, made of separate lines: Skia writes an error when it dashes an oblique line into an SVG.</summary>
    private static void Tail(Plot plot, Spectrum.Outliers outliers, int last)
    {
        const int Dashes = 28;
        double step = Math.Log10(last) / (Dashes - 0.4);
        for (int i = 0; i < Dashes; i++)
        {
            double from = i * step,
                to = from + 0.6 * step;
            var dash = plot.Add.Line(from, Height(from), to, Height(to));
            (dash.Color, dash.LineWidth) = (Colors.Black, 1.6f);
        }
        plot.Legend.ManualItems.Add(
            new LegendItem
            {
                LabelText = "tail of the bulk, extrapolated",
                LineColor = Colors.Black,
                LineWidth = 1.6f,
                LinePattern = LinePattern.Dashed,
            }
        );

        double Height(double logRank) => Math.Log10(outliers.Scale) - outliers.Exponent * logRank;
    }
}
