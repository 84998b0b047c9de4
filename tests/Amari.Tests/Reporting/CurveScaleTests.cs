using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using Palette = Amari.Reporting.Palette;

namespace Amari.Tests.Reporting;

/// <summary>The axes of the figures, and what the figures draw on them.</summary>
public sealed class CurveScaleTests
{
    private static BenchmarkResult Of(double target, params IEnumerable<TrainingRun> runs) =>
        new("w", "accuracy", new("loss", target), Budget.OfSeconds(1), [.. runs], []);

    private static TrainingRun Make(string optimizer, RunStatus status, params double[] losses) =>
        AnswerTests.Make(optimizer, 0, null, null, losses[^1], status) with
        {
            Losses = [.. losses.Select((l, i) => new LossPoint(i, i, l))],
        };

    private static CurveScale Scale(double target, params double[] losses) => Scale(Of(target, Make("a", RunStatus.Completed, losses)));

    private static CurveScale Scale(BenchmarkResult comparison) => CurveScale.Of(comparison, CurveQuantity.Of(comparison)[0]);

    private static string[] Labels(CurveScale scale) => [.. scale.Marks.Select(m => m.Label).OfType<string>()];

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
        var scale = Scale(Of(0.1, Make("a", RunStatus.Completed, 2, 0.05), Make("b", RunStatus.Diverged, 2.5, 1e-4, 1e30, double.NaN)));
        Assert.True(scale.Low < 1e-4 && scale.High is > 2.5 and < 5);
    }

    [Fact]
    public void Image_and_page_draw_losses_down_to_zero()
    {
        double[] losses = [2.3, 1e-3, 4e-9, 0, 2e-9, 0];
        var comparison = Of(0.001, Make("lion", RunStatus.Completed, losses), Make("sgd", RunStatus.Completed, 2.3, 0.5));
        var scale = Scale(comparison);
        using var plot = LossFigure.Panel(comparison, CurveQuantity.Of(comparison)[0], bySeconds: false);
        var line = plot.GetPlottables<ScottPlot.Plottables.Scatter>().Single(s => s.LegendText == "lion");
        Assert.Equal(losses.Select(scale.At), line.Data.GetScatterPoints().Select(p => p.Y));
        plot.RenderInMemory(); // which places the ticks
        Assert.Contains(plot.Axes.Left.TickGenerator.Ticks, t => t.Label == "0" && t.Position == scale.At(0));
        Assert.InRange(scale.At(0), plot.Axes.Left.Min, plot.Axes.Left.Max);

        string page = HtmlReport.Of([new(comparison, new DigitsMlp())]);
        Assert.Contains("training loss (log scale, 0 at the bottom)", page, StringComparison.Ordinal);
        Assert.Contains("\"y\":[2.3,0.001,4E-09,0,2E-09,0]", page, StringComparison.Ordinal); // as they are; the script puts 0 at its line
        Assert.Contains(FormattableString.Invariant($"\"zero\":{scale.Zero:R}"), page, StringComparison.Ordinal);
        Assert.Contains("\"label\":\"1e-8\"", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Accuracy_has_a_linear_axis_and_an_error_a_logarithmic_one()
    {
        var accuracy = OfMetric(0.02, 0.5, 0.98);
        Assert.True(accuracy is { Log: false, Title: "held-out accuracy", Low: < 0.02 and > -0.1, High: > 0.98 and < 1.1 });
        Assert.True(OfMetric(1, 0.5, 0.001) is { Log: true, Low: > 0.0005 and < 0.001 });
        Assert.True(OfMetric(0.5, 0.5, 0.5) is { Log: false, Low: < 0.5, High: > 0.5 });

        static CurveScale OfMetric(params double[] values)
        {
            var comparison = Of(
                1,
                Make("a", RunStatus.Completed, 1, 1) with
                {
                    HeldOut = [.. values.Select((v, i) => new HeldOutPoint(i, i, 1, v))],
                }
            );
            return CurveScale.Of(comparison, CurveQuantity.Of(comparison).Single(q => q.Name == "held-out accuracy"));
        }
    }

    [Fact]
    public void Rates_reach_down_to_a_hundredth_of_the_lowest_peak()
    {
        var scale = OfRates([0.1, 1e-9, 0], [0.001, 0.0002]);
        Assert.True(scale is { Log: true, Title: "learning rate (log scale, 0 at the bottom)", High: > 0.1, Low: > 1e-6 and < 1e-5 });
        Assert.Equal(scale.At(0), scale.At(1e-9));
        Assert.True(scale.At(0) < scale.At(1e-5));
        Assert.True(OfRates([0.1, 0.0001, 0]) is { Log: false, Title: "learning rate" }); // of one peak
        Assert.True(OfRates([0.1, 0.09]) is { Log: false, Low: <= 0, High: > 0.1 });

        static CurveScale OfRates(params double[][] rates)
        {
            var runs = rates.Select(
                (r, i) => Make($"o{i}", RunStatus.Completed, 1, 1) with { Rates = [.. r.Select((v, j) => new RatePoint(j, j, v))] }
            );
            var comparison = Of(1, runs);
            return CurveScale.Of(comparison, CurveQuantity.Of(comparison)[^1]);
        }
    }

    [Fact]
    public void Figure_has_the_judged_quantity_next_to_the_training_loss()
    {
        TrainingRun[] runs =
        [
            Make("kfac", RunStatus.Completed, 2, 0.01) with
            {
                HeldOut = [new(0, 0, 2, 0.1), new(1, 1, 0.3, 0.9)],
            },
            Make("kfac", RunStatus.CameApart, 2, 1e9) with
            {
                Seed = 1,
                HeldOut = [new(0, 0, 2, 0.1), new(1, 1, 1e9, 0.2)],
            },
        ];
        var comparison = Of(0.8, runs) with { Target = new("accuracy", 0.8), HigherIsBetter = true };
        using var figure = LossFigure.Of(comparison, bySeconds: false);
        Assert.Equal(["w: held-out accuracy", "w: training loss"], figure.Panels.Select(p => p.Axes.Title.Label.Text));
        Assert.Equal([true, false], figure.Panels.Select(p => p.GetPlottables<ScottPlot.Plottables.HorizontalLine>().Any(l => l.Y == 0.8)));
        Assert.Equal(
            [1, 0],
            figure.Panels.Select(p => p.GetPlottables<ScottPlot.Plottables.Text>().Count(x => x.LabelText == "target 0.8"))
        );
        Assert.All(figure.Panels, p => Assert.Equal(3, p.GetPlottables<ScottPlot.Plottables.Scatter>().Count())); // two seeds, their median
        Assert.All(figure.Panels, p => Assert.Single(p.GetPlottables<ScottPlot.Plottables.Marker>()));
        var loss = CurveScale.Of(comparison, CurveQuantity.Judged(comparison)[1]);
        double cross = figure.Panels[1].GetPlottables<ScottPlot.Plottables.Marker>().Single().Y;
        Assert.InRange(cross, loss.Limits.Top - 0.05 * (loss.Limits.Top - loss.Limits.Bottom), loss.Limits.Top - 0.01); // 1e9 is outside
        Assert.Equal(0.2, figure.Panels[0].GetPlottables<ScottPlot.Plottables.Marker>().Single().Y);
        Assert.Equal(
            [false, true],
            figure.Panels.Select(p => p.Legend.IsVisible || p.Axes.GetPanels().OfType<ScottPlot.Panels.LegendPanel>().Any())
        );
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
        Assert.Equal(Palette.Of("muon"), Palette.Of(["routed-muon", "sgd"])["routed-muon"]);
        Assert.Equal(3, Palette.Of(["routed-muon", "muon", "x"]).Values.Distinct().Count());
        Assert.Equal(40, Palette.Of(Enumerable.Range(0, 40).Select(i => $"o{i}")).Count);
    }
}
