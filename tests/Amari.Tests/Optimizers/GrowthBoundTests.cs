using System.Text.Json.Nodes;
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
        var bound = Settled();
        int steps = 0;
        while (bound.Scale(1e12, 4) < 1)
            steps++;
        Assert.InRange(steps, 20, 25); // a length of 10⁶: 5 steps of a factor of 1.07, then of 2 and 1.07
        Assert.InRange(bound.Mean!.Value, 0, 1e12);
        Assert.Equal(1, bound.Scale(1e12, 4));
    }

    [Fact]
    public void Five_cuts_and_fewer_are_outliers()
    {
        var bound = Settled();
        double mean = 1;
        for (int k = 0; k < 5; k++)
        {
            double scale = bound.Scale(1e12, 4);
            Assert.Equal(4 * mean, scale * scale * 1e12, 1e-3);
            mean *= 1.15;
            Assert.Equal(mean, bound.Mean!.Value, 1e-12);
        }
        Assert.Equal(5, bound.Cuts);
        Assert.Equal(1, bound.Scale(2, 4));
        Assert.Equal(0, bound.Cuts);
        bound.Scale(1e12, 4);
        Assert.InRange(bound.Mean!.Value, 2, 1.15 * 0.96 * mean + 0.5);
    }

    [Fact]
    public void The_mean_does_not_outgrow_what_it_follows()
    {
        var bound = Settled();
        for (int k = 0; k < 6; k++)
            bound.Scale(7.5, 4);
        Assert.Equal(0, bound.Cuts); // 4 · 1.15⁵ is above
        Assert.InRange(bound.Mean!.Value, 1.5, 7.5);
        for (int k = 0; k < 40; k++)
            Assert.True(bound.Scale(100, 4) <= 1 && bound.Mean <= 100);
        Assert.Equal(1, bound.Scale(100, 4));
    }

    [Fact]
    public void Lengths_that_grow_without_end_are_noticed_once()
    {
        var bound = Settled();
        int noticed = 0;
        for (double square = 1e3; square < 1e300; square *= 1e3)
        {
            bound.Scale(square, 4);
            noticed += bound.IsOutrun ? 1 : 0;
        }
        Assert.Equal(1, noticed);
    }

    [Fact]
    public void It_goes_on_from_what_it_saved()
    {
        var bound = Settled();
        for (int k = 0; k < 7; k++)
            bound.Scale(1e12, 4);
        var other = new GrowthBound();
        other.Restore(JsonNode.Parse(bound.ToJson().ToJsonString()));
        Assert.Equal(bound.Scale(1e12, 4), other.Scale(1e12, 4));
        Assert.Equal((bound.Mean, bound.Count, bound.Cuts), (other.Mean, other.Count, other.Cuts));
        other.Restore(new JsonObject { ["mean"] = 1.0, ["count"] = 100L }); // of an earlier version
        Assert.Equal((1, 100, 0), (other.Mean, other.Count, other.Cuts));
    }

    private static GrowthBound Settled()
    {
        var bound = new GrowthBound();
        for (int i = 0; i < 100; i++)
            bound.Scale(1, 4);
        return bound;
    }
}
