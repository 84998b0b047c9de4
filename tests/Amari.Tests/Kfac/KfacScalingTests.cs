using Amari;

namespace Amari.Tests.Kfac;

/// <summary>Mean or sum, batch size and micro-batches give the same factors and the same step.</summary>
public sealed class KfacScalingTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static double[] Train(FisherKind kind, bool sum, int repeat, int micro)
    {
        manual_seed(11);
        var model = nn.Sequential(("a", nn.Linear(5, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 4))).to(ScalarType.Float64);
        var likelihood = new Categorical();
        using var optimizer = new Amari.Kfac(model, new()
        {
            Fisher = kind, Reduction = sum ? LossReduction.Sum : LossReduction.Mean, LearningRate = 0.1, Damping = 0.01, InverseInterval = 2, Seed = 4,
        }, likelihood);
        for (int step = 0; step < 4; step++)
        {
            var x = randn(8, 5, dtype: ScalarType.Float64);
            var y = randint(0, 4, [8]);
            (x, y) = (x.repeat(repeat, 1), y.repeat(repeat));
            optimizer.zero_grad();
            foreach (var (xs, ys) in x.chunk(micro).Zip(y.chunk(micro)))
            {
                var f = model.call(xs);
                var loss = sum ? likelihood.SumNegativeLogLikelihood(f, ys) : likelihood.Loss(f, ys) / micro;
                loss.backward();
            }
            optimizer.step();
        }
        return Optimizers.Problem.Values([.. model.parameters(), .. optimizer.Snapshot().Tensors.Where(t => t.Key.EndsWith(".A", StringComparison.Ordinal) || t.Key.EndsWith(".G", StringComparison.Ordinal)).OrderBy(t => t.Key).Select(t => t.Value)]);
    }

    [Theory]
    [InlineData(FisherKind.Exact, true, 1, 1), InlineData(FisherKind.Exact, false, 3, 1), InlineData(FisherKind.Exact, false, 1, 4), InlineData(FisherKind.Exact, true, 2, 2)]
    [InlineData(FisherKind.Empirical, true, 1, 1), InlineData(FisherKind.Empirical, false, 3, 1), InlineData(FisherKind.Empirical, false, 1, 4), InlineData(FisherKind.Empirical, true, 2, 2)]
    [InlineData(FisherKind.MonteCarlo, true, 1, 1)]
    public void Same_step(FisherKind kind, bool sum, int repeat, int micro)
    {
        var expected = Train(kind, sum: false, repeat: 1, micro: 1);
        var actual = Train(kind, sum, repeat, micro);
        for (int i = 0; i < expected.Length; i++) Assert.Equal(expected[i], actual[i], 1e-9);
    }

    /// <summary>A likelihood of another variance scales gradient and Fisher alike: so does damping in mean eigenvalues, and the step stays.</summary>
    [Theory]
    [InlineData(DampingMethod.FactoredTikhonov), InlineData(DampingMethod.Eigenbasis)]
    public void Damping_in_mean_eigenvalues_does_not_depend_on_the_scale_of_the_loss(DampingMethod method)
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
            using var optimizer = new Amari.Kfac(model, new() { Fisher = FisherKind.Exact, DampingScale = scale, DampingMethod = method, Damping = 0.1, KlClip = null }, likelihood);
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
