using Amari.Optimizers;

namespace Amari.Tests.Optimizers;

public sealed class GrowthBoundTests
{
    [Fact]
    public void Lengths_within_the_bound_pass_and_enter_the_running_mean()
    {
        var bound = new GrowthBound();
        double mean = 0;
        for (int k = 1; k <= 60; k++)
        {
            double p = 1 + 0.5 * Math.Sin(k);
            Assert.Equal(1, bound.Scale(p, 4));
            double keep = Math.Min(1 - 1.0 / k, 0.95);
            mean = keep * mean + (1 - keep) * p;
            Assert.Equal(mean, bound.Mean!.Value, 1e-12);
        }
    }

    [Fact]
    public void A_length_beyond_is_cut_to_kappa_times_the_mean()
    {
        var bound = new GrowthBound();
        for (int i = 0; i < 100; i++)
            bound.Scale(2, 4);
        double scale = bound.Scale(2e8, 4);
        Assert.Equal(8, scale * scale * 2e8, 1e-9);
        Assert.Equal(0.95 * 2 + 0.05 * 8, bound.Mean!.Value, 1e-9);
        Assert.True(GrowthBound.IsHard(scale));
        Assert.False(GrowthBound.IsHard(Math.Sqrt(0.5)));
    }

    [Fact]
    public void Without_a_bound_or_a_length_nothing_is_cut()
    {
        var bound = new GrowthBound();
        Assert.Equal(1, bound.Scale(1, null));
        Assert.Equal(1, bound.Scale(1e30, null));
        Assert.Equal(1, bound.Scale(0, 4));
        Assert.Equal(1, bound.Scale(double.NaN, 4));
        Assert.Equal(2, bound.Count);
    }

    [Fact]
    public void A_change_that_lasts_is_followed()
    {
        var bound = new GrowthBound();
        for (int i = 0; i < 100; i++)
            bound.Scale(1, 4);
        int steps = 0;
        while (bound.Scale(1e6, 4) < 1)
            steps++;
        Assert.InRange(steps, 80, 100); // the mean grows by 1.15 a step until four times it is 10⁶
    }
}
