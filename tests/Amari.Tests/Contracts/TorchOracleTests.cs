using Amari.Tests.Optimizers;
using Amari.Verification;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Contracts;

/// <summary>TorchSharp's own optimizers as oracles, over 50 steps.</summary>
public sealed class TorchOracleTests
{
    private const int Steps = 50;

    private delegate Optimizer Maker(Parameter[] parameters, bool fused);

    public static TheoryData<string> Names => [.. Cases.Keys];

    private static readonly Dictionary<string, (Maker Ours, Func<Parameter[], optim.Optimizer> Theirs)> Cases = new()
    {
        ["SGD dampening"] = (Sgd(new() { LearningRate = 0.05, Dampening = 0.3 }), p => optim.SGD(p, 0.05, momentum: 0.9, dampening: 0.3)),
        ["SGD dampening L2"] = (
            Sgd(
                new()
                {
                    LearningRate = 0.05,
                    Momentum = 0.8,
                    Dampening = 1,
                    WeightDecay = 0.1,
                }
            ),
            p => optim.SGD(p, 0.05, momentum: 0.8, dampening: 1, weight_decay: 0.1)
        ),
        ["SGD maximize"] = (
            Sgd(
                new()
                {
                    LearningRate = 0.02,
                    Momentum = 0.5,
                    Maximize = true,
                }
            ),
            p => optim.SGD(p, 0.02, momentum: 0.5, maximize: true)
        ),
        ["SGD maximize plain"] = (
            Sgd(
                new()
                {
                    LearningRate = 0.02,
                    Momentum = 0,
                    Maximize = true,
                }
            ),
            p => optim.SGD(p, 0.02, maximize: true)
        ),
        ["SGD Nesterov"] = (
            Sgd(
                new()
                {
                    LearningRate = 0.05,
                    Nesterov = true,
                    WeightDecay = 0.1,
                }
            ),
            p => optim.SGD(p, 0.05, momentum: 0.9, weight_decay: 0.1, nesterov: true)
        ),
        ["Adam amsgrad"] = (
            Adam(
                new()
                {
                    LearningRate = 0.01,
                    Beta2 = 0.9,
                    AmsGrad = true,
                }
            ),
            p => optim.Adam(p, 0.01, beta2: 0.9, amsgrad: true)
        ),
        ["Adam amsgrad L2"] = (
            Adam(
                new()
                {
                    LearningRate = 0.01,
                    Beta2 = 0.9,
                    WeightDecay = 0.1,
                    AmsGrad = true,
                }
            ),
            p => optim.Adam(p, 0.01, beta2: 0.9, weight_decay: 0.1, amsgrad: true)
        ),
        ["Adam maximize"] = (Adam(new() { LearningRate = 0.01, Maximize = true }), p => optim.Adam(p, 0.01, maximize: true)),
        ["AdamW amsgrad"] = (
            AdamW(
                new()
                {
                    LearningRate = 0.01,
                    Beta2 = 0.9,
                    WeightDecay = 0.1,
                    AmsGrad = true,
                }
            ),
            p => optim.AdamW(p, 0.01, beta2: 0.9, weight_decay: 0.1, amsgrad: true)
        ),
        ["AdamW maximize"] = (
            AdamW(
                new()
                {
                    LearningRate = 0.01,
                    WeightDecay = 0.1,
                    Maximize = true,
                }
            ),
            p => optim.AdamW(p, 0.01, weight_decay: 0.1, maximize: true)
        ),
        ["AdamW amsgrad maximize"] = (
            AdamW(
                new()
                {
                    LearningRate = 0.01,
                    Beta2 = 0.5,
                    WeightDecay = 0,
                    AmsGrad = true,
                    Maximize = true,
                }
            ),
            p => optim.AdamW(p, 0.01, beta2: 0.5, amsgrad: true, maximize: true)
        ),
    };

    private static Maker Sgd(Sgd.Options o) => (p, fused) => new Sgd([ParameterGroup.Of(p, o)]) { Fused = fused };

    private static Maker Adam(Adam.Options o) => (p, fused) => new Adam([ParameterGroup.Of(p, o)]) { Fused = fused };

    private static Maker AdamW(AdamW.Options o) => (p, fused) => new AdamW([ParameterGroup.Of(p, o)]) { Fused = fused };

    [Theory, MemberData(nameof(Names))]
    public void Follows_TorchSharp_s_optimizer(string name)
    {
        var (ours, theirs) = Cases[name];
        foreach (
            var (type, fused, tolerance) in new[]
            {
                (ScalarType.Float64, true, 1e-12),
                (ScalarType.Float32, true, 5e-6),
                (ScalarType.Float32, false, 5e-6),
            }
        )
            Same(p => ours(p, fused), theirs, (_, _, _) => { }, type, tolerance);
    }

    /// <summary>Both end at the same place, and away from the start.</summary>
    internal static void Same(
        Func<Parameter[], Optimizer> ours,
        Func<Parameter[], optim.Optimizer> theirs,
        Action<Optimizer, optim.Optimizer, int> change,
        ScalarType type,
        double tolerance
    )
    {
        var (p, q) = (Problem.Parameters(Trajectory.Shapes, type), Problem.Parameters(Trajectory.Shapes, type));
        using var a = ours(p);
        using var b = theirs(q);
        for (int step = 0; step < Steps; step++)
        {
            change(a, b, step);
            Problem.SetGradients(p, step);
            Problem.SetGradients(q, step);
            a.step();
            b.step();
        }
        Trajectory.Near(Problem.Values(q), Problem.Values(p), tolerance);
        Assert.NotEqual(Problem.Values(Problem.Parameters(Trajectory.Shapes, type)), Problem.Values(p));
    }
}
