using Amari.Kronecker;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>The factored inverse against dense Kronecker products, and what is left where a factor cannot be inverted.</summary>
public sealed class FactoredInverseTests() : KfacTest(12)
{
    private const double Damping = 0.1;

    private static Tensor Positive(params long[] shape)
    {
        var x = randn([.. shape, 2 * shape[^1]]);
        return x.matmul(x.mT) / shape[^1];
    }

    private static (FactoredInverse Inverse, List<string> Messages) Of(Tensor a, Tensor g, FactoredInverse? previous = null) =>
        FactoredInverse.Of(a, g, Damping, previous, new());

    /// <summary>(G + √λ/π I)⁻¹ V (A + π√λ I)⁻¹ through a matrix of all entries.</summary>
    private static Tensor Expected(Tensor a, Tensor g, Tensor v)
    {
        double pi = Math.Sqrt(a.diagonal().mean().ToDouble() / g.diagonal().mean().ToDouble()),
            root = Math.Sqrt(Damping);
        var damped = kron(g + root / pi * eye(g.shape[0]), a + pi * root * eye(a.shape[0])); // of V by rows
        return linalg.solve(damped, v.flatten()).reshape(v.shape);
    }

    [Fact]
    public void Product_is_that_of_the_dense_inverse()
    {
        Tensor a = Positive(4),
            g = Positive(3),
            v = randn(3, 4);
        using var inverse = Of(a, g).Inverse;
        Assert.InRange(Dense.RelativeError(inverse.Apply(v, 7), Expected(a, g, v)), 0, 1e-12); // its own damping
        Assert.Equal(1, inverse.MeanEigenvalue);
    }

    [Fact]
    public void Diagonal_factor_stays_a_diagonal()
    {
        Tensor a = rand(4),
            g = Positive(3),
            v = randn(3, 4);
        using var inverse = Of(a, g).Inverse;
        Assert.IsType<DiagonalFactor>(inverse.Right);
        Assert.InRange(Dense.RelativeError(inverse.Apply(v, Damping), Expected(diag(a), g, v)), 0, 1e-12);
    }

    [Fact]
    public void Every_group_has_its_own_damping()
    {
        Tensor a = Positive(2, 4) * tensor([1.0, 100]).reshape(2, 1, 1),
            g = Positive(2, 3),
            v = randn(2, 3, 4);
        using var inverse = Of(a, g).Inverse;
        var u = inverse.Apply(v, Damping);
        for (int i = 0; i < 2; i++)
            Assert.InRange(Dense.RelativeError(u[i], Expected(a[i], g[i], v[i])), 0, 1e-12);
    }

    /// <summary>Eigenvalues that fall to a thousandth of the damping: a low rank inverts them to its tolerance.</summary>
    [Fact]
    public void Low_rank_is_as_near_as_its_tolerance()
    {
        const double tolerance = 0.05;
        var inverter = new FactorInverter();
        var q = linalg.qr(randn(260, 260)).Q;
        Tensor a = q.mm(diag(pow(0.5, arange(260)))).mm(q.T) * 100,
            g = Positive(3),
            v = randn(3, 260);
        inverter.Begin(new(InverseMethod.Nystrom, tolerance), [a, g], TimeProvider.System);
        var (inverse, messages) = FactoredInverse.Of(a, g, Damping, null, inverter, MatmulPrecision.BFloat16);
        Assert.Empty(messages);
        var low = Assert.IsType<LowRankFactor>(inverse.Right);
        Assert.InRange(low.Root.shape[0], 1, 260 / 4);
        Assert.Equal((ScalarType.Float64, ScalarType.Float64), (low.Root.dtype, low.Scale.dtype));
        Assert.Equal(ScalarType.BFloat16, Assert.IsType<DenseFactor>(inverse.Left).Matrix.dtype); // below 1 % of the product
        Assert.InRange(Dense.RelativeError(inverse.Apply(v, Damping), Expected(a, g, v)), 0, tolerance);
        Assert.Equal(["Left", "Right", "RightScale"], inverse.Tensors().Select(t => t.Name));
        inverse.Dispose();
    }

    [Fact]
    public void Failure_keeps_the_previous_inverse_and_reports_it()
    {
        var good = eye(3) * 2;
        var (first, none) = Of(good, good);
        Assert.Empty(none);
        var (second, messages) = Of(good, -eye(3), first);
        Assert.Equal(["the factorisation of G failed at first; the previous inverse stays in use"], messages);
        Assert.True(first.Left.TimesOnLeft(eye(3)).equal(second.Left.TimesOnLeft(eye(3))).all().ToBoolean());
        var (third, alone) = Of(good, -eye(3));
        Assert.Equal(["the factorisation of G failed at first; a multiple of the identity is used until the next refresh"], alone);
        Assert.True(third.Apply(eye(3), Damping).isfinite().all().ToBoolean());
    }

    /// <summary>A damping that float32 does not feel, in a matrix whose jitter it does not feel either.</summary>
    [Fact]
    public void Factor_that_is_singular_in_float32_is_inverted_in_float64()
    {
        var m = 0.01f * eye(64, dtype: ScalarType.Float32);
        m.narrow(0, 0, 2).narrow(1, 0, 2).fill_(1);
        var (inverse, messages) = FactoredInverse.Of(eye(2, dtype: ScalarType.Float32), m, 1e-30, null, new());
        Assert.Equal(["the factorisation of G failed at first; it succeeded in float64"], messages);
        Assert.True(Assert.IsType<DenseFactor>(inverse.Left).Matrix.isfinite().all().ToBoolean());
    }

    [Fact]
    public void Half_of_a_saved_inverse_is_refused()
    {
        var e = Assert.Throws<InvalidDataException>(() => FactoredInverse.Restored(name => name == "Left" ? eye(2) : null));
        Assert.Equal("The state lacks the inverse's 'Right'.", e.Message);
    }
}
