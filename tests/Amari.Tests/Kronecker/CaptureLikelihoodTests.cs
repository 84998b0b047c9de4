using Amari.Curvature;
using Amari.Native;

namespace Amari.Tests.Kronecker;

/// <summary>Models that return log probabilities in place of logits.</summary>
public sealed class CaptureLikelihoodTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public CaptureLikelihoodTests() => manual_seed(11);

    public void Dispose() => _scope.Dispose();

    /// <summary>log softmax of log probabilities is themselves, so that the Fisher of the Categorical at them is that at the
    /// logits.</summary>
    [Fact]
    public void Log_probabilities_have_the_factors_of_logits()
    {
        Dictionary<string, double[]> Factors(bool log)
        {
            manual_seed(9);
            var linear = nn.Linear(4, 3);
            var model = log ? nn.Sequential(("a", linear), ("s", nn.LogSoftmax(1))) : nn.Sequential(("a", linear));
            using var optimizer = new Kfac(model, new() { Curvature = new() { Fisher = new FisherOptions.Exact() } }, new Categorical());
            var (x, y) = (randn(16, 4), randint(0, 3, [16]));
            (log ? nn.functional.nll_loss(model.call(x), y) : nn.functional.cross_entropy(model.call(x), y)).backward();
            optimizer.step();
            return optimizer
                .Snapshot()
                .Tensors.Where(t => t.Key is "a.A" or "a.G")
                .ToDictionary(t => t.Key, t => t.Value.Elements<double>());
        }
        var (log, plain) = (Factors(true), Factors(false));
        Assert.Equal(["a.A", "a.G"], log.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, values) in log)
            Optimizers.Trajectory.Near(plain[name], values, 1e-6);
    }

    [Fact]
    public void Curvature_of_a_model_of_log_probabilities_is_that_of_the_logits()
    {
        var linear = nn.Linear(4, 3);
        var (x, y) = (randn(16, 4), randint(0, 3, [16]));
        foreach (var kind in Enum.GetValues<FisherKind>())
        {
            using var log = new Amari.Curvature.KroneckerFactored(
                new(nn.Sequential(("a", linear), ("s", nn.LogSoftmax(1))), new Categorical(), [(x, y)]),
                kind
            );
            using var plain = new Amari.Curvature.KroneckerFactored(new(nn.Sequential(("a", linear)), new Categorical(), [(x, y)]), kind);
            Optimizers.Trajectory.Near(plain.Factors[0].G.Elements<double>(), log.Factors[0].G.Elements<double>(), 1e-5);
        }
    }
}
