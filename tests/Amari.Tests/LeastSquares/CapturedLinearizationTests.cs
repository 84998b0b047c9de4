using Amari.LeastSquares;
using Amari.Solvers;
using Amari.Spectrum;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.LeastSquares;

/// <summary>J'J and J J' as ordinary operators of solvers and spectra.</summary>
public sealed class CapturedLinearizationTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static Linearization Linear()
    {
        manual_seed(7);
        var model = PdeModelTests.Poisson();
        var (interior, boundary) = PdeModelTests.Points();
        return new PdeResiduals(model, model.Rows(interior, boundary)).Linearize();
    }

    [Fact]
    public void Spectrum_of_the_normal_matrix_is_that_of_the_dense_one()
    {
        using var linear = Linear();
        var expected = linalg.eigvalsh(linear.Normal.ToDense());
        using var top = Lanczos.Run(linear.Normal, new() { Count = 4 });
        Assert.True(top.Converged);
        for (int i = 0; i < 4; i++)
            Assert.Equal(expected[-1 - i].ToDouble(), top.Values[i], expected[-1].ToDouble() * 1e-6);
        double trace = linear.Jacobian().square().sum().ToDouble();
        Assert.Equal(trace, HutchPlusPlus.Trace(linear.Normal, 60).Value, trace * 1e-6);
    }

    [Fact]
    public void Conjugate_gradient_solves_both_damped_systems()
    {
        using var linear = Linear();
        var gradient = linear.ApplyTransposed(linear.R);
        var normal = ConjugateGradient.Solve(linear.Normal.Damped(1e-2), gradient, new() { Tolerance = 1e-12, MaxIterations = 500 });
        var gram = ConjugateGradient.Solve(linear.Gram.Damped(1e-2), linear.R, new() { Tolerance = 1e-12, MaxIterations = 500 });
        Near(linear.ApplyTransposed(gram.Solution), normal.Solution, 1e-8);
    }

    [Fact]
    public void Vectors_of_other_shapes_are_refused()
    {
        using var linear = Linear();
        Assert.Contains("v is Float64 [5]", Assert.Throws<ArgumentException>(() => linear.Apply(zeros(5, dtype: F64))).Message);
        Assert.Contains("must be Float64 [28]", Assert.Throws<ArgumentException>(() => linear.ApplyTransposed(zeros(28))).Message);
    }
}
