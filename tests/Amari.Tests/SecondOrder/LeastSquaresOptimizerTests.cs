using Amari.LeastSquares;

namespace Amari.Tests.SecondOrder;

/// <summary>Least-squares methods on batches: their losses are those of the likelihood, their steps those on the residuals.</summary>
public sealed class LeastSquaresOptimizerTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static nn.Module<Tensor, Tensor> Network()
    {
        manual_seed(5);
        return nn.Sequential(("a", nn.Linear(3, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 2))).to(ScalarType.Float64);
    }

    private static (Tensor X, Tensor Y) Data()
    {
        var x = randn([40, 3], dtype: ScalarType.Float64);
        return (x, stack([x.select(1, 0).sin(), x.select(1, 1) * x.select(1, 2)], 1));
    }

    private static IEnumerable<Func<nn.Module<Tensor, Tensor>, Likelihood, SecondOrderOptimizer>> Methods =>
        [(m, l) => new LevenbergMarquardt(m, l), (m, l) => new DampedGaussNewton(m, l, new() { Damping = 1e-3 })];

    [Fact]
    public void Batches_and_their_residuals_give_the_same_steps()
    {
        var (one, other) = (Network(), Network());
        var (x, y) = Data();
        using var batches = new LevenbergMarquardt(one, new SquaredError());
        using var residuals = new LevenbergMarquardt(new ModelResiduals(other, new SquaredError(), x, y));
        for (int i = 0; i < 5; i++)
            Assert.Equal(residuals.StepOnResiduals(), batches.StepOnBatch(x, y));
        Assert.Equal(SecondOrderCases.Values(other), SecondOrderCases.Values(one));
    }

    [Fact]
    public void Reported_losses_are_the_likelihood_s()
    {
        foreach (Likelihood likelihood in (Likelihood[])[new SquaredError(), new Gaussian(), new Gaussian(0.3)])
        foreach (var make in Methods)
        {
            var model = Network();
            var (x, y) = Data();
            using var optimizer = make(model, likelihood);
            for (int i = 0; i < 3; i++)
            {
                double before = likelihood.Loss(model.call(x), y).ToDouble();
                var report = optimizer.StepOnBatch(x, y);
                Assert.Equal(before, report.LossBefore, 1e-12);
                Assert.Equal(likelihood.Loss(model.call(x), y).ToDouble(), report.LossAfter, 1e-12);
                Assert.True(report.LossAfter < report.LossBefore);
            }
        }
    }

    [Fact]
    public void Other_likelihoods_are_refused_with_the_methods_that_take_them()
    {
        foreach (var make in Methods)
            Assert.Contains(
                "The loss of Categorical is not a sum of squared residuals",
                Assert.Throws<ArgumentException>(() => make(Network(), new Categorical())).Message,
                StringComparison.Ordinal
            );
    }

    [Fact]
    public void Steps_of_another_kind_are_refused_in_one_sentence()
    {
        var (x, y) = Data();
        using var batches = new LevenbergMarquardt(Network(), new SquaredError());
        Assert.Contains("StepOnBatch", Assert.Throws<InvalidOperationException>(batches.StepOnResiduals).Message, StringComparison.Ordinal);
        Assert.Contains(
            "needs residuals",
            Assert.Throws<InvalidOperationException>(() => batches.step()).Message,
            StringComparison.Ordinal
        );
        using var residuals = new LevenbergMarquardt(new FunctionResiduals(w => w - 1, 2));
        Assert.Contains(
            "call StepOnResiduals()",
            Assert.Throws<InvalidOperationException>(() => residuals.StepOnBatch(x, y)).Message,
            StringComparison.Ordinal
        );
    }
}
