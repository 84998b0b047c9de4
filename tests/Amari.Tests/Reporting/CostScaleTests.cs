using Amari.Reporting;
using Amari.Training;
using static Amari.Tests.Cli.PlantedRuns;
using static Amari.Tests.Reporting.AnswerTests;

namespace Amari.Tests.Reporting;

/// <summary>Ends that span decades are compared by their ratios.</summary>
public sealed class CostScaleTests
{
    private static TrainingRun[] Ends(string optimizer, params double[] losses) =>
        Times(optimizer, [.. losses.Select(_ => double.NaN)], ends: losses);

    [Theory]
    [InlineData(new[] { 1e-3, 1.0 }, true), InlineData(new[] { 1.1e-3, 1.0 }, false)]
    [InlineData(new[] { 0, 1e-9, 1.0 }, false), InlineData(new[] { 0, 1.0 }, false)]
    [InlineData(new[] { -1e-9, 1e-9, 1.0 }, false), InlineData(new[] { 1, double.PositiveInfinity, double.NaN }, false)]
    [InlineData(new double[0], false)]
    public void Ratios_are_compared_from_three_decades_on(double[] costs, bool expected) =>
        Assert.Equal(expected, new CostScale(costs).IsLogarithmic);

    [Fact]
    public void Its_inverse_gives_the_cost()
    {
        var ratios = new CostScale([1e-9, 2]);
        Assert.Equal(0.25, ratios.Back(ratios.Of(0.25)), 1e-15);
        Assert.True(ratios.IsFar(ratios.Of(1e-9), ratios.Of(2.1e-9)));
        Assert.False(ratios.IsFar(ratios.Of(1e-9), ratios.Of(1.9e-9)));
        Assert.Equal(0.25, new CostScale([0.1, 0.2]).Of(0.25));
    }

    /// <summary>A loss of 0 is no 1.01th of another one.</summary>
    [Fact]
    public void A_loss_of_zero_stays_zero()
    {
        string text = Amari.Reporting.Answer.Of(
            Compared("loss", -1, Ends("lm", 0, 0, 0), Ends("lbfgs", 1.01e-9, 1e-9, 1.02e-9), Ends("adamw", 1, 1.1, 0.9))
        );
        Starts("Use lm: it ended with the lowest loss, 0, medians of 3 seeds.", text);
        Contains("lm is better than lbfgs by 1.01e-9 (", text);
        Lacks("by a factor of", text);
    }

    // The worst seed of adamw has most of its mean: a difference of means cannot tell 2e-5 from 6e-14.
    [Fact]
    public void An_optimizer_that_is_better_by_nine_decades_is_told_apart()
    {
        var comparison = Compared("loss", 1e-20, Ends("adamw", 1.5e-5, 9e-5, 2e-6), Ends("lm", 6e-14, 2e-13, 9e-14));
        string text = Amari.Reporting.Answer.Of(comparison);
        Starts("Use lm: it ended with the lowest loss, 9e-14, medians of 3 seeds.", text);
        Contains("lm is better than adamw by a factor of ", text);
        Assert.Equal(["lm"], Amari.Reporting.Answer.WinnersOf(comparison).Select(s => s.Optimizer));
    }

    [Fact]
    public void Among_decades_equal_methods_still_tie()
    {
        string text = Amari.Reporting.Answer.Of(
            Compared("loss", 1e-20, Ends("a", 1e-9, 2e-9, 1.5e-9), Ends("b", 1.2e-9, 1.8e-9, 1.6e-9), Ends("c", 1e-3, 2e-3, 1e-3))
        );
        Starts("Use a or b: they ended with the lowest loss and cannot be told apart (a 1.5e-9, b 1.6e-9; medians of 3 seeds).", text);
        Contains("b (1.", text);
        Contains("times as high as a; uncorrected 95 % interval", text);
        Contains("a is better than c by a factor of", text);
    }
}
