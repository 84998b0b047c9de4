using Amari.Solvers;

namespace Amari.Tests.Solvers;

/// <summary>Each way a factorisation can go, and what is told of it.</summary>
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

    [Fact]
    public void Matrix_that_is_singular_to_rounding_is_jittered()
    {
        var singular = ones(4, 4);
        Assert.Equal(FactorisationOutcome.Jittered, SpdInverse.Cholesky(singular).Outcome);
        var barely = diag(tensor(new float[] { 1, -1e-9f, 1 }));    // the jitter lifts it above zero
        Assert.Equal(FactorisationOutcome.Jittered, SpdInverse.Cholesky(barely).Outcome);
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

    [Fact]
    public void Failure_keeps_the_previous_inverse_and_tells()
    {
        var good = eye(3) * 2;
        var (first, none) = KroneckerInverse.Of(good, good, DampingMethod.FactoredTikhonov, 1e-3, null);
        Assert.Empty(none);
        var bad = -eye(3);
        var (second, messages) = KroneckerInverse.Of(good, bad, DampingMethod.FactoredTikhonov, 1e-3, first);
        Assert.Contains(messages, m => m.Contains("previous inverse", StringComparison.Ordinal));
        Assert.Equal(Optimizers.Problem.Values([first.Left]), Optimizers.Problem.Values([second.Left]));
        var (third, alone) = KroneckerInverse.Of(good, bad, DampingMethod.FactoredTikhonov, 1e-3, null);
        Assert.Contains(alone, m => m.Contains("multiple of the identity", StringComparison.Ordinal));
        Assert.True(third.Left.isfinite().all().ToBoolean());
    }
}
