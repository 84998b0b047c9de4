using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>LAMB.</summary>
public sealed class LambTests
{
    [Fact]
    public void Each_option_of_Lamb_changes_the_trajectory() => AllDiffer(g => new Lamb(g), new Lamb.Options(), new() { LearningRate = 0.1 },
        new() { Beta1 = 0.5 }, new() { Beta2 = 0.5 }, new() { Epsilon = 0.1 }, new() { WeightDecay = 0.1 }, new() { DecoupledDecay = true },
        new() { BiasCorrection = false }, new() { MaxWeightNorm = 0.5 });

    [Fact]
    public void Lamb_moves_a_layer_by_a_share_of_its_norm()
    {
        var p = Problem.Parameters([[6, 5]], ScalarType.Float64);
        using var before = p[0].detach().clone();
        Problem.SetGradients(p, 1);
        using var o = new Lamb([ParameterGroup.Of(p, new Lamb.Options() { LearningRate = 0.01 })]);
        o.step();
        using var moved = (p[0] - before).norm();
        using var norm = before.norm();
        Assert.Equal(0.01 * norm.ToDouble(), moved.ToDouble(), 1e-12);
    }
}
