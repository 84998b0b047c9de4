using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Reporting;

/// <summary>What the figures draw.</summary>
public sealed class CurveTests
{
    [Fact]
    public void Median_curve_ends_with_the_shortest_run_and_counts_divergence_as_infinite()
    {
        Curve a = new([0, 2], [4, 2]),
            b = new([0, 4], [4, 0]),
            c = new([0, 1], [8, 8], double.PositiveInfinity);
        var two = Curve.Median([a, b]);
        Assert.Equal([0, 2], two.X);
        Assert.Equal([4, 2], two.Y);
        var three = Curve.Median([a, b with { Y = [4, 2] }, c]);
        Assert.Equal([0, 1, 2], three.X);
        Assert.Equal([4, 3.5, 3], three.Y);
        Assert.Equal([0.0, 1], Curve.Median([a, c]).X); // an even number: past the divergence there is no median
        var worst = Curve.Median([a, b with { Y = [4, 2] }, c with { Beyond = double.NegativeInfinity }]);
        Assert.Equal([4, 3.5, 2], worst.Y); // where higher is better
        Assert.Equal([0.0, 1], Curve.Median([a, c with { Beyond = double.NegativeInfinity }]).X);
        Assert.Equal([0.0, 1], Curve.Median([a, c with { Beyond = null }, b]).X);
    }

    /// <summary>Between points, where seeds are drawn as straight lines.</summary>
    [Fact]
    public void Median_on_a_logarithmic_axis_lies_on_the_lines_that_are_drawn()
    {
        Curve[] same = [new([0, 2], [100, 1]), new([0, 2], [100, 1]), new([0, 1, 2], [100, 10, 1])];
        var median = Curve.Median(same, isLogarithmic: true);
        Assert.Equal([0, 1, 2], median.X);
        Assert.Equal(10, median.Y[1], 12);
        Assert.Equal(50.5, Curve.Median(same).Y[1]);
    }

    [Theory, InlineData("accuracy", true), InlineData("accuracy", false), InlineData("loss", false), InlineData("held-out loss", false)]
    public void Quantities_begin_with_the_judged_one_and_end_with_the_rate(string target, bool higherIsBetter)
    {
        var run = AnswerTests.Make("kfac", 0, null, null, 0.1) with
        {
            HeldOut = [new(0, 0, 2.5, 0.1), new(10, 1, 0.5, 0.8)],
            Rates = [new(0, 0, 0.1), new(10, 1, 0)],
            Status = RunStatus.Diverged,
        };
        var comparison = new BenchmarkResult("w", "accuracy", new(target, 0.7), Budget.OfSeconds(1), [run], [])
        {
            HigherIsBetter = higherIsBetter,
        };
        var all = CurveQuantity.Of(comparison);
        string judged = target switch
        {
            "loss" => "training loss",
            "accuracy" => "held-out accuracy",
            _ => target,
        };
        Assert.Equal(judged, all[0].Name);
        Assert.Equal("learning rate", all[^1].Name);
        Assert.Equal(
            ["held-out accuracy", "held-out loss", "learning rate", "training loss"],
            all.Select(q => q.Name).Order(StringComparer.Ordinal)
        );
        Assert.Equal([0.7], all.Select(q => q.Target).OfType<double>());
        Assert.Equal(
            [judged, judged == "training loss" ? "held-out loss" : "training loss"],
            CurveQuantity.Judged(comparison).Select(q => q.Name)
        );
        var values = all.ToDictionary(q => q.Name, q => Curve.Of(run, q, bySeconds: false));
        Assert.Equal([2.5, 0.5], values["held-out loss"].Y);
        Assert.Equal([0.1, 0.8], values["held-out accuracy"].Y);
        Assert.Equal([0.1, 0], values["learning rate"].Y);
        Assert.Equal([0, 10], values["held-out loss"].X);
        Assert.Equal(double.PositiveInfinity, values["held-out loss"].Beyond);
        Assert.Null(values["learning rate"].Beyond);
        bool higher = target != "accuracy" || higherIsBetter; // of a metric that is not judged: it rises in the run
        Assert.Equal(higher ? double.NegativeInfinity : double.PositiveInfinity, values["held-out accuracy"].Beyond);
    }

    [Fact]
    public void Without_held_out_examples_or_finite_values_the_training_loss_remains()
    {
        var run = AnswerTests.Make("sgd", 0, null, null, double.NaN) with
        {
            HeldOut = [new(0, 0, double.NaN, double.NaN)],
            Losses = [new(0, 0, double.NaN)],
        };
        var comparison = new BenchmarkResult("w", "accuracy", new("accuracy", 0.7), Budget.OfSeconds(1), [run], []);
        Assert.Equal(["training loss"], CurveQuantity.Of(comparison).Select(q => q.Name));
        Assert.Equal(["training loss"], CurveQuantity.Judged(comparison).Select(q => q.Name));
        using var figure = LossFigure.Of(comparison, bySeconds: true);
        Assert.Single(figure.Panels);
    }
}
