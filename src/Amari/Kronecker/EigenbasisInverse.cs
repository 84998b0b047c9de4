using Amari.Native;

namespace Amari.Kronecker;

/// <summary>The inverse of A ⊗ G + λ I in the eigenbasis of A and G.</summary>
/// <remarks><code>
/// Apply(V) = Q_G [(Q_G' V Q_A) / (l r' + λ)] Q_A'       Q_G diag(l) Q_G' = G : Left,   Q_A diag(r) Q_A' = A : Right
/// </code>Other eigenvalues than l r' in the same basis: <see cref="CorrectedInverse"/>.</remarks>
internal sealed class EigenbasisInverse(FactorEigenbasis left, FactorEigenbasis right) : BlockInverse
{
    /// <summary>Of G.</summary>
    public FactorEigenbasis Left => left;

    /// <summary>Of A.</summary>
    public FactorEigenbasis Right => right;

    /// <summary>The inverse for new factors. A decomposition that fails falls back on that of <paramref name="previous"/>, and without one
    /// on a multiple of the identity; the messages say what happened.</summary>
    public static (EigenbasisInverse Inverse, List<string> Messages) Of(Tensor a, Tensor g, EigenbasisInverse? previous)
    {
        var (ofG, outcomeG) = FactorEigenbasis.Of(g, previous?.Left);
        var (ofA, outcomeA) = FactorEigenbasis.Of(a, previous?.Right);
        string?[] reports = [Report(outcomeG, "G", previous is not null), Report(outcomeA, "A", previous is not null)];
        return (new(ofG, ofA), [.. reports.OfType<string>()]);
    }

    public override double MeanEigenvalue => Left.Values.mean().ToDouble() * Right.Values.mean().ToDouble();

    /// <summary>l r' : [out, in+1]; a fresh tensor.</summary>
    public Tensor Eigenvalues()
    {
        using var scope = NewDisposeScope();
        return Left.Values.unsqueeze(-1).mul(Right.Values.unsqueeze(-2)).MoveToOuterDisposeScope();
    }

    public override Tensor Apply(Tensor v, double damping)
    {
        using var eigenvalues = Eigenvalues();
        return Apply(v, eigenvalues, damping);
    }

    /// <summary>The same with given eigenvalues [out, in+1].</summary>
    public Tensor Apply(Tensor v, Tensor eigenvalues, double damping) => InBasis(v, x => x.div_(eigenvalues.add(damping)));

    /// <summary>The undamped matrix of given eigenvalues times V; a fresh tensor.</summary>
    public Tensor Multiply(Tensor v, Tensor eigenvalues) => InBasis(v, x => x.mul_(eigenvalues));

    private Tensor InBasis(Tensor v, Func<Tensor, Tensor> map)
    {
        using var scope = NewDisposeScope();
        var (g, a) = (Left.Matrix, Right.Matrix);
        var inside = map(a.TimesOnRight(g.Transposed.TimesOnLeft(v)));
        return a.Transposed.TimesOnRight(g.TimesOnLeft(inside)).MoveToOuterDisposeScope();
    }

    /// <summary>Eigenvalues S of another basis Q in this one P: the diagonal of P' Q diag(S) Q' P. The caller owns it. Of full factors
    /// alone.</summary>
    public Tensor Eigenvalues(CorrectedInverse other)
    {
        using var scope = NewDisposeScope();
        var (otherLeft, otherRight) = (other.Basis.Left.Vectors, other.Basis.Right.Vectors);
        return ColumnMajor(Left.Vectors)
            .mT.MatrixProduct(otherLeft)
            .square()
            .MatrixProduct(other.Eigenvalues)
            .MatrixProduct(otherRight.mT.MatrixProduct(ColumnMajor(Right.Vectors)).square())
            .contiguous()
            .MoveToOuterDisposeScope();
    }

    /// <summary>The same numbers as LAPACK gives them, by which the products have always been rounded.</summary>
    private static Tensor ColumnMajor(Tensor t) => t.mT.contiguous().mT;

    public override IEnumerable<(string Name, Tensor Tensor)> Tensors() =>
        [
            (nameof(Left), Left.Vectors),
            (nameof(Right), Right.Vectors),
            (nameof(Left) + nameof(Left.Values), Left.Values),
            (nameof(Right) + nameof(Right.Values), Right.Values),
        ];

    public override EigenbasisInverse Map(Func<Tensor, Tensor> map) => new(Left.Map(map), Right.Map(map));

    /// <summary>Of saved tensors; null if there are none, or if they are of an inverse without eigenvalues.</summary>
    /// <exception cref="InvalidDataException">Some are missing.</exception>
    public static EigenbasisInverse? Restored(Func<string, Tensor?> find)
    {
        string values = nameof(FactorEigenbasis.Values);
        if (find(nameof(Left)) is null || (find(nameof(Left) + values) is null && find(nameof(Right) + values) is null))
            return null;
        return new(Basis(nameof(Left)), Basis(nameof(Right)));

        FactorEigenbasis Basis(string name) => new(find(name) ?? throw Missing(name), find(name + values) ?? throw Missing(name + values));
    }
}
