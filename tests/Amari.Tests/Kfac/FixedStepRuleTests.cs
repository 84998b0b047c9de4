namespace Amari.Tests.KfacOptimizer;

/// <summary>The trust bound of fixed steps against its formula.</summary>
public sealed class FixedStepRuleTests
{
    private static Direction Direction(double rate, double product, double? momentum = null)
    {
        var model = nn.Linear(1, 1);
        GroupRate group = momentum is { } own
            ? new(ParameterGroup.Of(model, new Kfac.GroupOptions { LearningRate = rate, Momentum = own }))
            : new(ParameterGroup.Of(model, new Kfac.Options { LearningRate = rate }));
        return new(null!, group, 0.1, null!, null!, null, new(0, product, 0, 0, 0, 0));
    }

    [Theory]
    [InlineData(0.5, 1.0, 0.408248290463863)] // √(0.5 / (0.04 · 30 + 1 · 1.8))
    [InlineData(0.5, 0.2, 0.2)] // the growth bound is lower
    [InlineData(4.0, 1.0, 1.0)]
    [InlineData(null, 0.7, 0.7)]
    public void Length_is_that_of_the_lower_bound(double? clip, double growth, double expected)
    {
        var owner = new StepOwner(new() { Step = new FixedStep { KlClip = clip } }, growth);
        var rule = new FixedStepRule(owner);
        var length = rule.Choose(new([Direction(0.2, 30), Direction(1, 1.8)], null, 1), predicts: true);
        Assert.Equal(expected, length.Alpha, 1e-14);
        Assert.Null(length.Predicted); // there is no batch
        Assert.Equal([31.8], owner.Squares); // without rates
        Assert.Equal(clip is 0.5 ? 0.408248290463863 : 1, rule.KlScale, 1e-14);
    }

    [Fact]
    public void Momentum_is_of_the_group_or_the_rule()
    {
        var rule = new FixedStepRule(new StepOwner(new() { Step = new FixedStep { Momentum = 0.6 } }));
        var length = rule.Choose(new([], null, 1), predicts: false);
        Assert.Equal((0.6, 0.2), rule.Of(Direction(0.2, 1), length));
        Assert.Equal((0.3, 0.1), rule.Of(Direction(0.1, 1, momentum: 0.3), length));
        var rising = Direction(0.1, 1);
        rising.Rate.End();
        rising.Rate.Group.LearningRate = 0.4;
        var (momentum, rate) = rule.Of(rising, length);
        Assert.Equal((0.15, 0.4), (Math.Round(momentum, 15), rate));
    }

    [Fact]
    public void Nothing_to_move_is_a_whole_step()
    {
        var rule = new FixedStepRule(new StepOwner(new() { Step = new FixedStep() }));
        Assert.Equal(1, rule.Choose(new([], null, 1), predicts: true).Alpha);
        Assert.False(rule.IsModelled);
        Assert.Null(rule.FactorDamping);
        Assert.Null(rule.FactorDampingInterval);
    }
}
