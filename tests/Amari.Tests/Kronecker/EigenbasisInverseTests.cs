using Amari.Kronecker;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>The inverse in the eigenbasis against dense Kronecker products, and what is left where a decomposition fails.</summary>
public sealed class EigenbasisInverseTests() : KfacTest(13)
{
    private const double Damping = 0.1;

    private static Tensor Positive(params long[] shape)
    {
        var x = randn([.. shape, 2 * shape[^1]]);
        return x.matmul(x.mT) / shape[^1];
    }

    private static Tensor Expected(Tensor a, Tensor g, Tensor v)
    {
        var both = kron(g, a); // of V by rows
        return linalg.solve(both + Damping * eye(both.shape[0]), v.flatten()).reshape(v.shape);
    }

    [Fact]
    public void Product_is_that_of_the_dense_inverse()
    {
        Tensor a = Positive(4),
            g = Positive(3),
            v = randn(3, 4);
        using var inverse = EigenbasisInverse.Of(a, g, null).Inverse;
        Assert.InRange(Dense.RelativeError(inverse.Apply(v, Damping), Expected(a, g, v)), 0, 1e-12);
        Assert.InRange(Dense.RelativeError(inverse.Multiply(v, inverse.Eigenvalues()), g.mm(v).mm(a)), 0, 1e-12);
        Assert.Equal(kron(g, a).trace().ToDouble() / 12, inverse.MeanEigenvalue, 1e-12);
    }

    [Fact]
    public void Diagonal_factor_is_its_own_eigenvalues()
    {
        Tensor a = rand(4),
            g = Positive(3),
            v = randn(3, 4);
        using var inverse = EigenbasisInverse.Of(a, g, null).Inverse;
        Assert.Equal([4L], inverse.Right.Vectors.shape);
        Assert.InRange(Dense.RelativeError(inverse.Apply(v, Damping), Expected(diag(a), g, v)), 0, 1e-12);
    }

    [Fact]
    public void Groups_are_apart()
    {
        Tensor a = Positive(2, 4),
            g = Positive(2, 3),
            v = randn(2, 3, 4);
        using var inverse = EigenbasisInverse.Of(a, g, null).Inverse;
        var u = inverse.Apply(v, Damping);
        for (int i = 0; i < 2; i++)
            Assert.InRange(Dense.RelativeError(u[i], Expected(a[i], g[i], v[i])), 0, 1e-12);
    }

    [Fact]
    public void Failure_keeps_the_previous_basis_and_reports_it()
    {
        var m = eye(3);
        m[1, 0] = double.NaN;
        var (first, _) = EigenbasisInverse.Of(eye(3) * 2, eye(3), null);
        var (second, messages) = EigenbasisInverse.Of(m, eye(3), first);
        Assert.Equal(["the factorisation of A failed at first; the previous inverse stays in use"], messages);
        Assert.True(first.Right.Vectors.equal(second.Right.Vectors).all().ToBoolean());
        Assert.True(first.Right.Values.equal(second.Right.Values).all().ToBoolean());
        first.Dispose(); // the second has its own
        Assert.Equal(2, second.Right.Values.mean().ToDouble(), 1e-12);
        var (third, alone) = EigenbasisInverse.Of(m, eye(3), null);
        Assert.Equal(["the factorisation of A failed at first; a multiple of the identity is used until the next refresh"], alone);
        Assert.True(third.Right.Vectors.equal(eye(3)).all().ToBoolean());
    }

    [Theory, InlineData("Right"), InlineData("LeftValues"), InlineData("RightValues")]
    public void Part_of_a_saved_inverse_is_refused(string lacking)
    {
        var saved = EigenbasisInverse.Of(Positive(2), Positive(2), null).Inverse.Tensors().ToDictionary(t => t.Name, t => t.Tensor);
        saved.Remove(lacking);
        var e = Assert.Throws<InvalidDataException>(() => EigenbasisInverse.Restored(saved.GetValueOrDefault));
        Assert.Equal($"The state lacks the inverse's '{lacking}'.", e.Message);
    }

    [Fact]
    public void Saved_factored_inverse_is_none_in_the_eigenbasis()
    {
        using var factored = FactoredInverse.Of(Positive(2), Positive(2), Damping, null, new()).Inverse;
        var saved = factored.Tensors().ToDictionary(t => t.Name, t => t.Tensor);
        Assert.Null(EigenbasisInverse.Restored(saved.GetValueOrDefault));
        Assert.Null(EigenbasisInverse.Restored(_ => null));
    }
}
