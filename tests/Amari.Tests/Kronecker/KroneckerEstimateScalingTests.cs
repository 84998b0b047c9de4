using Amari.Curvature;
using Amari.Distributed;
using Amari.Ranks;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>Mean or sum, batch size and micro-batches, also uneven ones, give the same factors and the same step.</summary>
public sealed class KroneckerEstimateScalingTests : IDisposable
{
    private const int Batch = 8,
        Classes = 4;
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>A model, its batches, and the options that make it a case.</summary>
    private sealed record Case(
        Func<Sequential> Model,
        Func<Tensor> Inputs,
        Func<Kfac.Options, Kfac.Options>? With = null,
        double? Clip = null
    );

    private static Sequential Mlp() => nn.Sequential(("a", nn.Linear(5, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, Classes)));

    private static Tensor Rows() => randn(Batch, 5, dtype: ScalarType.Float64);

    private static Sequential Convolution() =>
        nn.Sequential(
            ("c", nn.Conv2d(2, 3, 2, padding: 1)),
            ("t", nn.Tanh()),
            ("m", nn.AdaptiveAvgPool2d(1)),
            ("f", nn.Flatten()),
            ("b", nn.Linear(3, Classes))
        );

    private static Tensor Images() => randn(Batch, 2, 3, 3, dtype: ScalarType.Float64);

    private static readonly Dictionary<string, Case> Cases = new()
    {
        ["linear"] = new(Mlp, Rows),
        ["convolution"] = new(Convolution, Images),
        ["convolution, reduced"] = new(
            Convolution,
            Images,
            o => o with { Curvature = o.Curvature with { WeightSharing = WeightSharing.Reduce } }
        ),
        ["embedding"] = new(
            () => nn.Sequential(("e", nn.Embedding(7, 3)), ("f", nn.Flatten()), ("b", nn.Linear(6, Classes))),
            () => randint(0, 7, [Batch, 2])
        ),
        ["layer norm"] = new(
            () => nn.Sequential(("a", nn.Linear(5, 6)), ("n", nn.LayerNorm(6)), ("t", nn.Tanh()), ("b", nn.Linear(6, Classes))),
            Rows
        ),
        ["EKFAC"] = new(Mlp, Rows, o => o with { Curvature = o.Curvature with { Inverse = new InverseOptions.EigenvalueCorrection() } }),
        ["EKFAC of a convolution"] = new(
            Convolution,
            Images,
            o => o with { Curvature = o.Curvature with { Inverse = new InverseOptions.EigenvalueCorrection() } }
        ),
        ["fall-back"] = new(() => nn.Sequential(("a", nn.Linear(5, 6)), ("p", nn.PReLU(6)), ("b", nn.Linear(6, Classes))), Rows),
        ["clipping"] = new(() => nn.Sequential(("a", nn.Linear(5, 6)), ("p", nn.PReLU(6)), ("b", nn.Linear(6, Classes))), Rows, Clip: 0.05),
    };

    /// <param name="Sum">Whether the loss is the sum.</param>
    /// <param name="Repeat">How often each example is in the batch.</param>
    /// <param name="Parts">Shares of the batch that are micro-batches, in eighths.</param>
    private sealed record Way(bool Sum, int Repeat, params long[] Parts);

    private static double[] Train(Case c, Likelihood likelihood, FisherKind kind, Way way)
    {
        manual_seed(11);
        var model = c.Model().to(ScalarType.Float64);
        var options = new Kfac.Options
        {
            Reduction = way.Sum ? LossReduction.Sum : LossReduction.Mean,
            LearningRate = 0.1,
            Damping = 0.01,
            Seed = 4,
            Curvature = new()
            {
                Fisher = FisherOptions.Of(kind),
                Refresh = new() { FactorInterval = 2, InverseInterval = 2 },
            },
        };
        using var optimizer = new Kfac(model, c.With?.Invoke(options) ?? options, likelihood) { MaxGradientNorm = c.Clip };
        for (int step = 0; step < 4; step++)
        {
            var (x, y) = (
                c.Inputs(),
                likelihood is Categorical ? randint(0, Classes, [Batch]) : randint(0, 2, [Batch, Classes]).to_type(ScalarType.Float64)
            );
            (x, y) = (cat([.. Enumerable.Repeat(x, way.Repeat)]), cat([.. Enumerable.Repeat(y, way.Repeat)]));
            optimizer.zero_grad();
            foreach (
                var (xs, ys) in x.split([.. way.Parts.Select(p => p * way.Repeat)]).Zip(y.split([.. way.Parts.Select(p => p * way.Repeat)]))
            )
            {
                var f = model.call(xs);
                var loss = way.Sum ? likelihood.SumNegativeLogLikelihood(f, ys) : likelihood.Loss(f, ys) * xs.shape[0] / x.shape[0];
                loss.backward();
            }
            optimizer.step();
        }
        if (c.Clip is not null)
            Assert.Equal(4, optimizer.ClippedSteps);
        return Optimizers.Problem.Values([
            .. model.parameters(),
            .. optimizer
                .Snapshot()
                .Tensors.Where(t => t.Key.Split('.')[^1] is "A" or "G" or "F" or "Values")
                .OrderBy(t => t.Key)
                .Select(t => t.Value),
        ]);
    }

    private static void SameStep(Case c, Likelihood likelihood, FisherKind kind, IEnumerable<Way> ways)
    {
        var expected = Train(c, likelihood, kind, new(Sum: false, Repeat: 1, Batch));
        foreach (var way in ways)
        {
            var actual = Train(c, likelihood, kind, way);
            Assert.Equal(expected.Length, actual.Length);
            for (int i = 0; i < expected.Length; i++)
                Assert.Equal(expected[i], actual[i], 1e-9);
        }
    }

    public static TheoryData<string, FisherKind> CaseNames =>
        new(
            from c in Cases.Keys
            from k in (FisherKind[])[FisherKind.Exact, FisherKind.Empirical, FisherKind.ForwardOnly]
            where k != FisherKind.ForwardOnly || !c.StartsWith("EKFAC", StringComparison.Ordinal)
            select (c, k)
        );

    [Theory, MemberData(nameof(CaseNames))]
    public void Same_step(string name, FisherKind kind) =>
        SameStep(
            Cases[name],
            new Categorical(),
            kind,
            [
                new(Sum: true, Repeat: 1, Batch),
                new(Sum: false, Repeat: 3, Batch),
                new(Sum: true, Repeat: 2, Batch),
                new(Sum: false, Repeat: 1, 2, 2, 2, 2),
                new(Sum: true, Repeat: 1, 4, 4),
                new(Sum: false, Repeat: 1, 5, 1, 2),
                new(Sum: true, Repeat: 2, 1, 7),
            ]
        );

    /// <summary>Draws follow the order of examples; repeated examples have draws of their own, so a larger batch has other
    /// factors.</summary>
    [
        Theory,
        InlineData("linear"),
        InlineData("convolution"),
        InlineData("embedding"),
        InlineData("layer norm"),
        InlineData("EKFAC"),
        InlineData("fall-back"),
        InlineData("clipping")
    ]
    public void Same_step_with_random_signs(string name) =>
        SameStep(
            Cases[name],
            new Categorical(),
            FisherKind.CurvaturePropagation,
            [
                new(Sum: true, Repeat: 1, Batch),
                new(Sum: false, Repeat: 1, 2, 2, 2, 2),
                new(Sum: false, Repeat: 1, 5, 1, 2),
                new(Sum: true, Repeat: 1, 1, 7),
            ]
        );

    [Fact]
    public void Same_step_with_drawn_labels()
    {
        // torch does not say in which order it draws classes, so that micro-batches may get others; independent outputs come one by one
        SameStep(Cases["linear"], new Categorical(), FisherKind.MonteCarlo, [new(Sum: true, Repeat: 1, Batch)]);
        SameStep(
            Cases["linear"],
            new Bernoulli(),
            FisherKind.MonteCarlo,
            [
                new(Sum: true, Repeat: 1, Batch),
                new(Sum: false, Repeat: 1, 2, 2, 2, 2),
                new(Sum: false, Repeat: 1, 5, 1, 2),
                new(Sum: true, Repeat: 1, 1, 7),
            ]
        );
    }

    /// <summary>A likelihood of another variance scales gradient and Fisher alike: so does damping in mean eigenvalues, and the step
    /// stays.</summary>
    [Theory]
    [InlineData(DampingMethod.FactoredTikhonov), InlineData(DampingMethod.Eigenbasis)]
    public void Damping_in_mean_eigenvalues_is_independent_of_the_loss_scale(DampingMethod method)
    {
        var absolute = Step(DampingScale.Absolute, 1);
        var relative = Step(DampingScale.MeanEigenvalue, 1);
        Assert.Equal(relative, Step(DampingScale.MeanEigenvalue, 100), (a, b) => Math.Abs(a - b) < 1e-9);
        Assert.NotEqual(absolute, Step(DampingScale.Absolute, 100), (a, b) => Math.Abs(a - b) < 1e-6);

        double[] Step(DampingScale scale, double variance)
        {
            manual_seed(12);
            var model = nn.Sequential(("a", nn.Linear(5, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 2))).to(ScalarType.Float64);
            var likelihood = new Gaussian(variance);
            using var optimizer = new Kfac(
                model,
                new()
                {
                    Damping = 0.1,
                    Step = new AutoStep { KlClip = null },
                    Curvature = new()
                    {
                        Fisher = new FisherOptions.Exact(),
                        Inverse = InverseOptions.Of(method),
                        DampingScale = scale,
                    },
                },
                likelihood
            );
            for (int i = 0; i < 3; i++)
            {
                optimizer.zero_grad();
                likelihood.Loss(model.call(randn(8, 5, dtype: ScalarType.Float64)), randn(8, 2, dtype: ScalarType.Float64)).backward();
                optimizer.step();
            }
            return Optimizers.Problem.Values(model.parameters());
        }
    }
}
