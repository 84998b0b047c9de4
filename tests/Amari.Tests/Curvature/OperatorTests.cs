using Amari.Curvature;
using Amari.Solvers;

namespace Amari.Tests.Curvature;

/// <summary>Curvature operators against dense matrices that share no code with them: finite differences of the gradient and per-term Jacobians.</summary>
public class OperatorTests
{
    private static (nn.Module<Tensor, Tensor> Model, (Tensor, Tensor)[] Batches) Problem()
    {
        manual_seed(1);
        var model = nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3))).to(ScalarType.Float64);
        return (model, [.. Enumerable.Range(0, 3).Select(i => (randn(4 + i, 4, dtype: ScalarType.Float64), randint(0, 3, [4 + i], dtype: ScalarType.Int64)))]);
    }

    [Fact]
    public void Hessian_is_the_derivative_of_the_gradient()
    {
        var (model, batches) = Problem();
        var objective = new Objective(model, new Categorical(), batches);
        using var h = new Hessian(objective).ToDense();
        using var w = objective.Parameters.Read();
        const double E = 1e-5;
        for (int i = 0; i < objective.Parameters.Dimension; i++)
        {
            using var scope = NewDisposeScope();
            var e = zeros_like(w);
            e[i] = E;
            objective.Parameters.Write(w + e);
            var plus = objective.Gradient().Gradient;
            objective.Parameters.Write(w - e);
            var minus = objective.Gradient().Gradient;
            objective.Parameters.Write(w);
            Assert.True(((plus - minus) / (2 * E) - h.select(1, i)).abs().max().ToDouble() < 1e-9);
        }
    }

    [Theory]
    [InlineData(FisherKind.Exact)]
    [InlineData(FisherKind.Empirical)]
    public void Fisher_is_the_mean_over_terms_of_J_B_J(FisherKind kind)
    {
        var (model, batches) = Problem();
        var objective = new Objective(model, new Categorical(), batches);
        using var f = new Fisher(objective, kind).ToDense();
        using var expected = zeros_like(f);
        long terms = 0;
        foreach (var (x, y) in batches)
            for (long n = 0; n < x.shape[0]; n++, terms++)
            {
                using var scope = NewDisposeScope();
                var p = model.call(x.narrow(0, n, 1)).softmax(1).detach();
                for (long c = 0; c < 3; c++)
                {
                    if (kind == FisherKind.Empirical && c != y[n].item<long>()) continue;
                    var logp = model.call(x.narrow(0, n, 1)).log_softmax(1)[0, c];
                    var g = objective.Parameters.Flatten([.. autograd.grad([logp], [.. objective.Parameters.Parameters.Select(q => (Tensor)q.Parameter)])]);
                    expected.add_(g.outer(g) * (kind == FisherKind.Empirical ? 1 : p[0, c].item<double>()));
                }
            }
        Assert.True((f - expected / terms).abs().max().ToDouble() < 1e-12);
    }

    [Fact]
    public void Products_leave_the_model_as_it_was()
    {
        var (model, batches) = Problem();
        model.train();
        ((nn.Module)model).named_children().First().module.eval();
        var objective = new Objective(model, new Categorical(), batches);
        using var v = ones(objective.Parameters.Dimension, dtype: ScalarType.Float64);
        using var a = new GaussNewton(objective).Apply(v);
        using var b = (2 * new GaussNewton(objective)).Damped(1).Apply(v);
        Assert.True((b - 2 * a - 1).abs().max().ToDouble() < 1e-12);
        Assert.True(model.training);
        Assert.False(((nn.Module)model).named_children().First().module.training);
        Assert.All(model.parameters(), p => Assert.Null(p.grad));
    }
}
