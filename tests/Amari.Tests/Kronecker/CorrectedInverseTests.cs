using Amari.Kronecker;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>Measured eigenvalues in a basis, and in the next one.</summary>
public sealed class CorrectedInverseTests() : KfacTest(14)
{
    private static Tensor Positive(long n)
    {
        var x = randn(n, 2 * n);
        return x.mm(x.T) / n;
    }

    [Fact]
    public void Product_is_that_of_the_dense_inverse()
    {
        const double damping = 0.1;
        Tensor a = Positive(4),
            g = Positive(3),
            s = rand(3, 4),
            v = randn(3, 4);
        using var inverse = new CorrectedInverse(EigenbasisInverse.Of(a, g, null).Inverse, s);
        var q = kron(inverse.Basis.Left.Vectors, inverse.Basis.Right.Vectors);
        var dense = q.mm(s.flatten().diag()).mm(q.T);
        var expected = linalg.solve(dense + damping * eye(12), v.flatten()).reshape(3, 4);
        Assert.InRange(Dense.RelativeError(inverse.Apply(v, damping), expected), 0, 1e-12);
        Assert.InRange(Dense.RelativeError(inverse.Multiply(v), dense.mv(v.flatten()).reshape(3, 4)), 0, 1e-12);
        Assert.Equal(dense.trace().ToDouble() / 12, inverse.MeanEigenvalue, 1e-12);
    }

    /// <summary>At a refresh without news S becomes the diagonal of Q S Q' in the new basis.</summary>
    [Fact]
    public void Eigenvalues_follow_the_basis()
    {
        Tensor a = Positive(4),
            g = Positive(3),
            s = rand(3, 4);
        using var first = new CorrectedInverse(EigenbasisInverse.Of(a, g, null).Inverse, s);
        using var second = EigenbasisInverse.Of(a + 0.3 * diag(arange(4)), g + 0.2 * diag(arange(3)), null).Inverse;
        var basis = kron(second.Left.Vectors, second.Right.Vectors);
        var old = kron(first.Basis.Left.Vectors, first.Basis.Right.Vectors);
        var expected = basis.T.mm(old).mm(s.flatten().diag()).mm(old.T).mm(basis).diag();
        Assert.InRange(Dense.RelativeError(second.Eigenvalues(first).flatten(), expected), 0, 1e-12);
    }

    /// <summary>A basis comes column by column from LAPACK and row by row from a file: a resumed run rounds as one that went on.</summary>
    [Theory, InlineData(ScalarType.Float32, 5, 7), InlineData(ScalarType.Float64, 5, 7), InlineData(ScalarType.Float64, 37, 45)]
    public void Layout_of_a_basis_changes_no_bit_of_eigenvalues(ScalarType type, long outputs, long inputs)
    {
        set_default_dtype(type);
        Tensor a = Positive(inputs),
            g = Positive(outputs),
            s = rand(outputs, inputs);
        using var first = new CorrectedInverse(EigenbasisInverse.Of(a, g, null).Inverse, s);
        using var second = EigenbasisInverse.Of(a + 0.3 * diag(rand(inputs)), g + 0.2 * diag(rand(outputs)), null).Inverse;
        using var byRows = second.Map(t => t.contiguous().clone());
        using var byColumns = second.Map(t => t.dim() > 1 ? t.mT.contiguous().mT : t.clone());
        Assert.True(byRows.Left.Vectors.is_contiguous() && !byColumns.Left.Vectors.is_contiguous());
        var eigenvalues = second.Eigenvalues(first);
        Assert.True(eigenvalues.equal(byRows.Eigenvalues(first)).all().ToBoolean());
        Assert.True(eigenvalues.equal(byColumns.Eigenvalues(first)).all().ToBoolean());
        Tensor Double(Tensor t) => t.to_type(ScalarType.Float64);
        Tensor left = Double(second.Left.Vectors).mT.mm(Double(first.Basis.Left.Vectors)).square(),
            right = Double(second.Right.Vectors).mT.mm(Double(first.Basis.Right.Vectors)).square();
        Assert.InRange(Dense.RelativeError(Double(eigenvalues), left.mm(Double(s)).mm(right.mT)), 0, 1e-6);
    }

    [Fact]
    public void Saved_eigenvalues_come_back_with_their_basis()
    {
        using var inverse = new CorrectedInverse(EigenbasisInverse.Of(Positive(3), Positive(2), null).Inverse, rand(2, 3));
        var saved = inverse.Tensors().ToDictionary(t => t.Name, t => t.Tensor);
        Assert.Equal(["Left", "Right", "LeftValues", "RightValues", "Values"], saved.Keys);
        var restored = CorrectedInverse.Restored(EigenbasisInverse.Restored(saved.GetValueOrDefault)!, saved.GetValueOrDefault)!;
        var v = randn(2, 3);
        Assert.True(inverse.Apply(v, 0.1).equal(restored.Apply(v, 0.1)).all().ToBoolean());
        saved.Remove("Values");
        Assert.Null(CorrectedInverse.Restored(inverse.Basis, saved.GetValueOrDefault));
    }
}
