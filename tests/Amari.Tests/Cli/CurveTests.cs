using Amari.Cli.Reporting;
using Amari.Training;

namespace Amari.Tests.Cli;

/// <summary>What the figures draw.</summary>
public sealed class CurveTests
{
    [Fact]
    public void Median_curve_goes_as_far_as_all_runs_and_counts_divergence_as_infinite()
    {
        Curve a = new([0, 2], [4, 2], false), b = new([0, 4], [4, 0], false), c = new([0, 1], [8, 8], true);
        var two = Curve.Median([a, b]);
        Assert.Equal([0, 2], two.X);
        Assert.Equal([4, 2], two.Y);
        var three = Curve.Median([a, b with { Y = [4, 2] }, c]);
        Assert.Equal([0, 1, 2], three.X);
        Assert.Equal([4, 3.5, 3], three.Y);
        Assert.Equal([0.0, 1], Curve.Median([a, c]).X);          // an even number: past the divergence there is no median
    }

    [Fact]
    public void Loss_axis_is_logarithmic_where_that_helps()
    {
        Comparison Of(double target, params double[] losses) => new("w", "accuracy", new("loss", target), Budget.OfSeconds(1),
            [AnswerTests.Make("a", 0, null, null, losses[^1]) with { Losses = [.. losses.Select((l, i) => new LossPoint(i, i, l))] }, AnswerTests.Make("b", 0, null, null, 1e30, RunStatus.Diverged) with { Losses = [new(0, 0, losses[0]), new(9, 9, 1e30)] }], []);
        var wide = LossScale.Of(Of(0.001, 2, 0.01));
        Assert.True(wide.Log && wide.High < 10 && wide.Low is > 0.0005 and < 0.001);
        Assert.Equal(["0.001", "0.01", "0.1", "1"], wide.LogMarks().Select(m => m.Label).OfType<string>());
        Assert.Equal(["50", "100", "200", "500"], LossScale.Of(Of(50, 500, 80)).LogMarks().Select(m => m.Label).OfType<string>());
        Assert.False(LossScale.Of(Of(-3, 2, -1)).Log);           // a Gaussian's negative log-likelihood may be negative
        Assert.False(LossScale.Of(Of(1, 2, 1.5)).Log);
    }
}
