using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>Adafactor.</summary>
public sealed class AdafactorTests
{
    [Fact]
    public void Each_option_of_Adafactor_changes_the_trajectory() => AllDiffer(g => new Adafactor(g), new Adafactor.Options(), new() { LearningRate = 0.1 },
        new() { DecayPower = 0.5 }, new() { LeastScale = 10 }, new() { ClipThreshold = 0.5 }, new() { WeightDecay = 0.1 });

    [Fact]
    public void Adafactor_of_rank_one_squares_is_the_whole_second_moment()
    {
        using var scope = NewDisposeScope();
        var a = tensor(new double[] { 1, 2, 3 });
        var b = tensor(new double[] { 0.5, -2 });
        var w = nn.Parameter(ones(3, 2, dtype: ScalarType.Float64));
        w.grad = a.outer(b);
        using var o = new Adafactor([ParameterGroup.Of([w], new Adafactor.Options())]);
        o.step();
        Near(Problem.Values([1 - 0.01 * b.sign().expand(3, 2)]), Problem.Values([w]), 1e-12);   // u = sign(g), RMS(w) = 1
        Assert.Equal(5 * sizeof(double), o.StateBytes);
    }
}
