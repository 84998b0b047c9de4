using System.Text.Json.Nodes;

namespace Amari.Tests.KfacOptimizer;

/// <summary>What of a learning rate's history a step goes by.</summary>
public sealed class GroupRateTests
{
    private static ParameterGroup<Kfac.Options> Group(double rate) =>
        ParameterGroup.Of(nn.Linear(1, 1), new Kfac.Options { LearningRate = rate });

    private static void Step(GroupRate rate, double next)
    {
        rate.Group.LearningRate = next;
        rate.Begin();
        rate.End();
    }

    [Fact]
    public void Share_is_of_the_largest_rate_so_far()
    {
        var rate = new GroupRate(Group(0.2));
        Assert.Equal(1, rate.Share);
        Step(rate, 0.05);
        Assert.Equal((0.2, 0.25), (rate.Peak!.Value, rate.Share)); // the rate that it was made with counts
        Step(rate, 0.4);
        Step(rate, 0.1);
        Assert.Equal((0.2, 0.4, 0.25), (rate.First, rate.Peak!.Value, rate.Share));
        Step(rate, 0);
        Assert.Equal(0, rate.Share);
        Assert.Equal(1, new GroupRate(Group(0)).Share);
    }

    [Theory, InlineData(0.1, 0.5), InlineData(0.05, 0.5), InlineData(0.2, 0.25), InlineData(1, 0.05)]
    public void Momentum_shrinks_where_the_rate_rises(double next, double expected)
    {
        var rate = new GroupRate(Group(0.1));
        Assert.Equal(0.5, rate.Carried(0.5));
        Step(rate, 0.1);
        Step(rate, 0); // nothing enters the momentum
        rate.Group.LearningRate = next;
        Assert.Equal(expected, rate.Carried(0.5), 1e-15);
    }

    [Fact]
    public void Saved_rates_continue_and_a_state_without_them_begins()
    {
        var rate = new GroupRate(Group(0.1));
        Step(rate, 0.3);
        rate.Restore(0.5, JsonValue.Create(0.7), JsonValue.Create(0.6));
        Assert.Equal((0.5, 0.7, 0.6), (rate.First, rate.Peak!.Value, rate.Last!.Value));
        rate.Restore(0.5, null, null);
        Assert.Equal((0.7, null), (rate.Peak!.Value, rate.Last));
    }
}
