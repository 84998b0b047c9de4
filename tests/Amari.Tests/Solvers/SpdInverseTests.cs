using Amari.Kernels;
using Amari.Solvers;
using Amari.Verification;

namespace Amari.Tests.Solvers;

/// <summary>Each way a factorisation can go.</summary>
public sealed class SpdInverseTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    [Fact]
    public void Clean_inverse_and_eigenvectors()
    {
        manual_seed(1);
        var x = randn(2, 9, 5, dtype: ScalarType.Float64);
        var m = x.mT.matmul(x);
        var (inverse, outcome) = SpdInverse.Cholesky(m);
        Assert.Equal(FactorisationOutcome.Clean, outcome);
        Assert.True(inverse!.matmul(m).sub(eye(5, dtype: ScalarType.Float64)).abs().max().ToDouble() < 1e-10);
        var (eigen, _) = SpdInverse.Eigh(m);
        var (q, d) = eigen!.Value;
        Assert.True(q.matmul(d.diag_embed()).matmul(q.mT).sub(m).abs().max().ToDouble() < 1e-10);
    }

    /// <summary>In float32, beside LAPACK in float64.</summary>
    [Theory]
    [InlineData(384, 1e2)]
    [InlineData(515, 1e4)]
    public void Large_inverse_is_exact_to_rounding(int n, double condition)
    {
        manual_seed(2);
        var q = linalg.qr(randn(n, n, dtype: ScalarType.Float64)).Q;
        var values = logspace(0, -Math.Log10(condition), n, 10, dtype: ScalarType.Float64);
        var exact = q.div(values).matmul(q.t());
        var m = q.mul(values).matmul(q.t()).to_type(ScalarType.Float32);
        var (inverse, outcome) = SpdInverse.Cholesky(m);
        Assert.Equal(FactorisationOutcome.Clean, outcome);
        Assert.True(inverse!.Equals(inverse.t())); // to the last bit
        double error = ((inverse.to_type(ScalarType.Float64) - exact).norm() / exact.norm()).ToDouble();
        Assert.InRange(error, 0, condition * 1.2e-7);
    }

    [Fact]
    public void Large_matrix_that_is_not_positive_definite_has_no_inverse()
    {
        var m = eye(400);
        m[300, 300] = -1;
        Assert.Null(SpdSweep.Inverse(m));
        Assert.Equal(FactorisationOutcome.Failed, SpdInverse.Cholesky(m).Outcome);
        m[300, 300] = double.NaN;
        Assert.Equal(FactorisationOutcome.Failed, SpdInverse.Cholesky(m).Outcome);
    }

    [Fact]
    public void Matrix_that_is_singular_to_rounding_is_jittered()
    {
        var singular = ones(4, 4);
        Assert.Equal(FactorisationOutcome.Jittered, SpdInverse.Cholesky(singular).Outcome);
        var barely = diag(tensor(new float[] { 1, -1e-9f, 1 })); // the jitter lifts it above zero
        Assert.Equal(FactorisationOutcome.Jittered, SpdInverse.Cholesky(barely).Outcome);
    }

    /// <summary>The jitter is of the mean of the diagonal: where that is small against the largest entry, float32 does not feel it and
    /// float64 does.</summary>
    [Fact]
    public void Matrix_whose_jitter_is_lost_in_float32_is_inverted_in_float64()
    {
        const int N = 64;
        const double Small = 0.01;
        var m = Small * eye(N);
        m.narrow(0, 0, 2).narrow(1, 0, 2).fill_(1); // singular
        var (inverse, outcome) = SpdInverse.Cholesky(m);
        Assert.Equal(FactorisationOutcome.DoublePrecision, outcome);
        Assert.Equal(ScalarType.Float32, inverse!.dtype);
        double jitter = 1e-6 * (2 + (N - 2) * (double)(float)Small) / N,
            d = 1 + jitter,
            determinant = 2 * jitter + jitter * jitter;
        Near(d / determinant, inverse[0, 0]);
        Near(-1 / determinant, inverse[0, 1]);
        Near(1 / ((float)Small + jitter), inverse[5, 5]);

        static void Near(double expected, Tensor actual) => Assert.Equal(1, actual.ToDouble() / expected, 1e-6);
    }

    [Fact]
    public void Eigendecomposition_that_does_not_converge_fails_without_an_exception()
    {
        var m = eye(3);
        m[1, 0] = double.NaN;
        Assert.Equal((null, FactorisationOutcome.Failed), SpdInverse.Eigh(m));
    }

    [Theory, InlineData(double.NaN), InlineData(double.PositiveInfinity), InlineData(-1.0)]
    public void Hopeless_matrix_fails_without_an_exception(double value)
    {
        var m = eye(3);
        m[1, 1] = value;
        var (inverse, outcome) = SpdInverse.Cholesky(m);
        Assert.Null(inverse);
        Assert.Equal(FactorisationOutcome.Failed, outcome);
    }
}
