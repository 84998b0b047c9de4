using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using Palette = Amari.Reporting.Palette;

namespace Amari.Tests.Reporting;

/// <summary>The axis of the loss, and what the figures draw on it.</summary>
public sealed class LossScaleTests
{
    private static BenchmarkResult Of(double target, params IEnumerable<TrainingRun> runs) =>
        new("w", "accuracy", new("loss", target), Budget.OfSeconds(1), [.. runs], []);

    private static TrainingRun Make(string optimizer, RunStatus status, params double[] losses) =>
        AnswerTests.Make(optimizer, 0, null, null, losses[^1], status) with
        {
            Losses = [.. losses.Select((l, i) => new LossPoint(i, i, l))],
        };

    private static LossScale Scale(double target, params double[] losses) =>
        LossScale.Of(Of(target, Make("a", RunStatus.Completed, losses)));

    private static string[] Labels(LossScale scale) => [.. scale.Marks.Select(m => m.Label).OfType<string>()];

    [Fact]
    public void Logarithmic_where_losses_are_far_apart()
    {
        var wide = Scale(0.001, 2, 0.01);
        Assert.True(wide is { Log: true, High: < 10, Low: > 0.0005 and < 0.001, Zero: null, Title: "training loss (log scale)" });
        Assert.Equal(["0.001", "0.01", "0.1", "1"], Labels(wide));
        Assert.Equal(["50", "100", "200", "500"], Labels(Scale(80, 50, 500)));
        Assert.Equal(["1e-8", "1e-6", "1e-4", "0.01", "1"], Labels(Scale(0.001, 2.3, 4e-9)));
        Assert.False(Scale(1.5, 1, 2).Log);
    }

    [Fact]
    public void Zero_is_drawn_on_a_line_of_its_own_at_the_foot()
    {
        var scale = Scale(0.001, 2.3, 4e-9, 0);
        Assert.True(scale.Log);
        Assert.Equal("training loss (log scale, 0 at the bottom)", scale.Title);
        Assert.InRange(
            scale.At(0),
            scale.Limits.Bottom + 0.01 * (scale.Limits.Top - scale.Limits.Bottom),
            scale.At(4e-9) - 0.01 * (scale.Limits.Top - scale.Limits.Bottom)
        );
        Assert.Equal(scale.At(0), scale.At(1e-30)); // between 0 and the smallest other loss
        Assert.Equal(["0", "1e-8", "1e-6", "1e-4", "0.01", "1"], Labels(scale));
        Assert.Equal(scale.At(0), scale.Marks.First().At);
        Assert.Equal(["0", "0.001", "0.01", "0.1", "1"], Labels(Scale(0, 2, 0.001))); // a target of 0 likewise
    }

    [Theory, InlineData(-1.0, -3.0, 2.0), InlineData(0.1, 2.0, -1e-9, 1e-9), InlineData(0.0, 0.0, 0.0)]
    public void Linear_where_a_loss_is_negative_or_none_is_positive(double target, params double[] losses)
    {
        var scale = Scale(target, losses);
        Assert.True(scale is { Log: false, Zero: null, Title: "training loss" });
        Assert.All(losses.Append(target), l => Assert.InRange(scale.At(l), scale.Limits.Bottom, scale.Limits.Top));
    }

    [Fact]
    public void Run_that_diverges_leaves_the_figure_at_the_top_only()
    {
        var scale = LossScale.Of(
            Of(0.1, Make("a", RunStatus.Completed, 2, 0.05), Make("b", RunStatus.Diverged, 2.5, 1e-4, 1e30, double.NaN))
        );
        Assert.True(scale.Low < 1e-4 && scale.High is > 2.5 and < 5);
    }

    [Fact]
    public void Image_and_page_draw_losses_down_to_zero()
    {
        double[] losses = [2.3, 1e-3, 4e-9, 0, 2e-9, 0];
        var comparison = Of(0.001, Make("lion", RunStatus.Completed, losses), Make("sgd", RunStatus.Completed, 2.3, 0.5));
        var scale = LossScale.Of(comparison);
        using var plot = LossFigure.Panel(comparison, "t", bySeconds: false);
        var line = plot.GetPlottables<ScottPlot.Plottables.Scatter>().Single(s => s.LegendText == "lion");
        Assert.Equal(losses.Select(scale.At), line.Data.GetScatterPoints().Select(p => p.Y));
        plot.RenderInMemory(); // which places the ticks
        Assert.Contains(plot.Axes.Left.TickGenerator.Ticks, t => t.Label == "0" && t.Position == scale.At(0));
        Assert.InRange(scale.At(0), plot.Axes.Left.Min, plot.Axes.Left.Max);

        string page = HtmlReport.Of(comparison, new DigitsMlp());
        Assert.Contains("training loss (log scale, 0 at the bottom)", page, StringComparison.Ordinal);
        Assert.Contains("\"y\":[2.3,0.001,4E-09,0,2E-09,0]", page, StringComparison.Ordinal); // as they are; the script puts 0 at its line
        Assert.Contains(FormattableString.Invariant($"\"zero\":{scale.Zero:R}"), page, StringComparison.Ordinal);
        Assert.Contains("\"label\":\"1e-8\"", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Optimizers_of_one_figure_have_colors_of_their_own()
    {
        var colors = Palette.Of([
            "soap",
            "sgd",
            "muon",
            "kfac",
            "shampoo",
            "newton",
            "adamw",
            "lion",
            "sophia",
            "adafactor",
            "lamb",
            "ekfac",
        ]);
        Assert.Equal(colors.Count, colors.Values.Distinct().Count());
        Assert.Equal(Palette.Of("sgd"), colors["sgd"]);
        Assert.Equal(40, Palette.Of(Enumerable.Range(0, 40).Select(i => $"o{i}")).Count);
    }
}
