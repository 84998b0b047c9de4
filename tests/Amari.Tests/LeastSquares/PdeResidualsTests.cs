using Amari.LeastSquares;
using Amari.Native;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.LeastSquares;

public sealed class PdeResidualsTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public PdeResidualsTests() => manual_seed(6);

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Half_the_squared_norm_is_the_mean_loss()
    {
        var (model, (interior, boundary)) = (PdeModelTests.Poisson(), PdeModelTests.Points());
        var rows = model.Rows(interior, boundary);
        PdeResiduals residuals = new(model, rows);
        double loss = new SquaredError().Loss(model.call(rows), zeros(28, 1, dtype: F64)).ToDouble();
        Assert.Equal(loss, residuals.Values().square().sum().ToDouble() / 2, 1e-12);
        Assert.Equal(33, residuals.Parameters.Dimension);
    }

    [Fact]
    public void Linearization_predicts_small_changes()
    {
        var (model, (interior, boundary)) = (PdeModelTests.Poisson(), PdeModelTests.Points());
        PdeResiduals residuals = new(model, model.Rows(interior, boundary));
        using var linear = residuals.Linearize();
        var v = randn(33, dtype: F64);
        Tensor Along(double t)
        {
            residuals.Parameters.Add(v, t);
            var r = residuals.Values();
            residuals.Parameters.Add(v, -t);
            return r;
        }
        Near(linear.R, residuals.Values(), 1e-14);
        Near(linear.Apply(v), (Along(1e-5) - Along(-1e-5)) / 2e-5, 1e-7);
        Near(linear.ApplyTransposed(linear.R), linear.Jacobian().mT.matmul(linear.R), 1e-13);
    }
}
