using Amari.Serialization;
using Amari.Solvers;

namespace Amari.Tests.Solvers;

/// <summary>The truncated conjugate gradient against the exact solution of the trust-region problem, by eigen-decomposition and the secular
/// equation.</summary>
public sealed class SteihaugTests : IDisposable
{
    private const ScalarType F64 = ScalarType.Float64;
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static Tensor Matrix(double[] eigenvalues, int seed)
    {
        manual_seed(seed);
        var (q, _) = linalg.qr(randn(eigenvalues.Length, eigenvalues.Length, dtype: F64));
        return q.mm(diag(tensor(eigenvalues, dtype: F64))).mm(q.T);
    }

    private static double Model(Tensor h, Tensor g, Tensor p) => (g.dot(p) + 0.5 * p.dot(h.mv(p))).ToDouble();

    /// <summary>argmin g'p + ½ p'Hp with |p| ≤ Δ: p = -(H + σ)⁻¹ g with the least σ ≥ max(0, -λ₁) for which |p| ≤ Δ (not the hard
    /// case).</summary>
    private static Tensor Exact(Tensor h, Tensor g, double radius)
    {
        var (values, q) = linalg.eigh(h);
        var c = q.T.mv(g);
        Tensor P(double sigma) => q.mv(c / (values + sigma)).neg();
        double least = Math.Max(0, -values[0].ToDouble());
        if (values[0].ToDouble() > 0 && P(0).norm().ToDouble() <= radius)
            return P(0);
        double low = least,
            high = least + g.norm().ToDouble() / radius + 1;
        for (int i = 0; i < 200; i++)
        {
            double middle = 0.5 * (low + high);
            if (P(middle).norm().ToDouble() > radius)
                low = middle;
            else
                high = middle;
        }
        return P(high);
    }

    [Fact]
    public void Inside_the_region_it_is_newton_s_step()
    {
        var h = Matrix([1, 2, 5, 10, 30], 1);
        var g = randn(5, dtype: F64);
        var result = Steihaug.Solve(LinearOperator.FromDense(h), g, 100);
        Assert.Equal(SteihaugStatus.Interior, result.Status);
        Assert.True((result.Step + linalg.solve(h, g.unsqueeze(1)).squeeze(1)).abs().max().ToDouble() < 1e-9);
        Assert.Equal(-Model(h, g, result.Step), result.PredictedReduction, 1e-12);
        Assert.InRange(result.Iterations, 1, 6);
        Assert.True(result.RelativeResidual <= 1e-8);
    }

    [Theory, InlineData(0.01), InlineData(0.1), InlineData(0.5)]
    public void On_a_convex_boundary_it_gains_at_least_half(double radius)
    {
        for (int seed = 1; seed < 20; seed++)
        {
            var h = Matrix([0.1, 0.5, 1, 4, 50], seed);
            var g = randn(5, dtype: F64);
            var result = Steihaug.Solve(LinearOperator.FromDense(h), g, radius);
            var exact = Exact(h, g, radius);
            if (exact.norm().ToDouble() < radius * (1 - 1e-9))
                continue;
            double most = -Model(h, g, exact);
            Assert.Equal(SteihaugStatus.Boundary, result.Status);
            Assert.Equal(radius, result.Step.norm().ToDouble(), 1e-12);
            Assert.Equal(-Model(h, g, result.Step), result.PredictedReduction, 1e-12);
            Assert.InRange(result.PredictedReduction, 0.5 * most, most * (1 + 1e-9));
        }
    }

    [Fact]
    public void With_negative_curvature_it_ends_on_the_boundary()
    {
        for (int seed = 1; seed < 20; seed++)
        {
            var h = Matrix([-2, -0.5, 1, 4, 50], seed);
            var g = randn(5, dtype: F64);
            foreach (double radius in (double[])[0.1, 1, 10])
            {
                var result = Steihaug.Solve(LinearOperator.FromDense(h), g, radius);
                double gg = g.dot(g).ToDouble(),
                    ghg = g.dot(h.mv(g)).ToDouble(),
                    norm = Math.Sqrt(gg);
                double t = ghg <= 0 ? radius / norm : Math.Min(radius / norm, gg / ghg),
                    cauchy = t * gg - 0.5 * t * t * ghg;
                Assert.True(result.Status is SteihaugStatus.NegativeCurvature or SteihaugStatus.Boundary, $"{result.Status}");
                Assert.Equal(radius, result.Step.norm().ToDouble(), 1e-9);
                Assert.InRange(result.PredictedReduction, cauchy * (1 - 1e-9), -Model(h, g, Exact(h, g, radius)) * (1 + 1e-9));
            }
        }
    }

    [Fact]
    public void Where_the_path_is_a_line_it_is_the_solution()
    {
        var g = tensor(new[] { 3.0, 4.0, 0.0 });
        foreach (double curvature in (double[])[-1, 0, 2])
        {
            var h = eye(3, dtype: F64) * curvature;
            foreach (double radius in (double[])[0.5, 2, 20])
            {
                var result = Steihaug.Solve(LinearOperator.FromDense(h), g, radius);
                var expected = curvature * radius > 5 ? g / -curvature : g / -5 * radius;
                Assert.True((result.Step - expected).abs().max().ToDouble() < 1e-12);
                Assert.Equal(
                    curvature <= 0 ? SteihaugStatus.NegativeCurvature
                        : curvature * radius > 5 ? SteihaugStatus.Interior
                        : SteihaugStatus.Boundary,
                    result.Status
                );
            }
        }
    }

    [Fact]
    public void In_a_tiny_region_it_is_steepest_descent()
    {
        var h = Matrix([-2, 1, 50], 3);
        var g = randn(3, dtype: F64);
        var step = Steihaug.Solve(LinearOperator.FromDense(h), g, 1e-7).Step;
        Assert.True((step / 1e-7 + g / g.norm()).abs().max().ToDouble() < 1e-5);
    }

    [Fact]
    public void Limits_and_what_is_not_finite_are_statuses()
    {
        var h = Matrix([1, 2, 3, 4, 5, 6], 4);
        var g = randn(6, dtype: F64);
        var one = Steihaug.Solve(LinearOperator.FromDense(h), g, 100, new() { MaxIterations = 1 });
        Assert.Equal((SteihaugStatus.IterationLimit, 1), (one.Status, one.Iterations));
        var rough = Steihaug.Solve(LinearOperator.FromDense(h), g, 100, new() { Tolerance = 0.5 });
        Assert.Equal(SteihaugStatus.Interior, rough.Status);
        Assert.InRange(rough.RelativeResidual, 1e-3, 0.5);
        Assert.Equal(SteihaugStatus.NotFinite, Steihaug.Solve(LinearOperator.FromDense(h * double.NaN), g, 1).Status);
        var still = Steihaug.Solve(LinearOperator.FromDense(h), zeros_like(g), 1);
        Assert.Equal((SteihaugStatus.Interior, 0, 0.0), (still.Status, still.Iterations, still.PredictedReduction));
        Assert.Throws<ArgumentOutOfRangeException>(() => Steihaug.Solve(LinearOperator.FromDense(h), g, 0));
    }

    [Fact]
    public void Symmetric_systems_of_any_sign_are_solved_and_singular_ones_reported()
    {
        var h = Matrix([-3, -1, 2, 5], 5);
        var b = randn(4, dtype: F64);
        var (x, definite, outcome) = SymmetricSolve.Solve(h, b);
        Assert.Equal((false, FactorisationOutcome.Clean), (definite, outcome));
        Assert.True((h.mv(x!) - b).abs().max().ToDouble() < 1e-12);
        Assert.True(SymmetricSolve.Solve(Matrix([1, 2, 3, 4], 6), b).PositiveDefinite);
        var (eigen, _) = SymmetricSolve.Eigh(h);
        Assert.True((eigen!.Value.Values - tensor(new[] { -3.0, -1, 2, 5 })).abs().max().ToDouble() < 1e-12);
        Assert.Equal(FactorisationOutcome.Jittered, SymmetricSolve.Solve(diag(tensor(new[] { -1.0, 0, 1, 1 })), b).Outcome);
        Assert.Null(SymmetricSolve.Solve(h * double.NaN, b).Solution);
    }

    [Theory, InlineData(1e-12f, 1e-12f), InlineData(1e-8f, 1e-12f), InlineData(1e8f, 1e15f), InlineData(1f, 1e-30f)]
    public void Numbers_whose_squares_are_no_float32_have_the_same_steps(float curvature, float slope)
    {
        using var scope = NewDisposeScope();
        manual_seed(6);
        Tensor h = diag(linspace(1, 3, 8)),
            g = randn(8);
        var expected = Steihaug.Solve(LinearOperator.FromDense(h), g, 1000);
        var result = Steihaug.Solve(LinearOperator.FromDense(h * curvature), g * slope, 1000 * (double)slope / curvature);
        Assert.Equal((expected.Status, expected.Iterations), (result.Status, result.Iterations));
        Assert.True((result.Step * (curvature / slope)).allclose(expected.Step, 1e-4, 1e-5));
        Assert.Equal(1, result.PredictedReduction / ((double)slope * slope / curvature) / expected.PredictedReduction, 1e-4);
    }
}
