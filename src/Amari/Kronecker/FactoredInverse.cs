using Amari.Solvers;

namespace Amari.Kronecker;

/// <summary>The inverse of (A + π√λ I) ⊗ (G + √λ/π I), factored Tikhonov damping (Martens and Grosse 2015, arXiv:1503.05671,
/// §6.3).</summary>
/// <remarks><code>
/// Apply(V) = Left V Right       Left = (G + √λ/π I)⁻¹,  Right = (A + π√λ I)⁻¹,  π = √((tr A / dim A) / (tr G / dim G))
/// </code>Each is dense, diagonal, or of low rank up to a multiple of the identity.</remarks>
internal sealed class FactoredInverse(FactorMatrix left, FactorMatrix right) : BlockInverse
{
    /// <summary>Of G.</summary>
    public FactorMatrix Left => left;

    /// <summary>Of A.</summary>
    public FactorMatrix Right => right;

    /// <summary>The inverse for new factors. A factorisation that fails falls back on that of <paramref name="previous"/>, and without one
    /// on a multiple of the identity; the messages say what happened.</summary>
    public static (FactoredInverse Inverse, List<string> Messages) Of(
        Tensor a,
        Tensor g,
        double damping,
        FactoredInverse? previous,
        FactorInverter by,
        MatmulPrecision precision = MatmulPrecision.Full
    )
    {
        using var scope = NewDisposeScope();
        List<string> messages = [];
        var pi = FactorMatrix.MeanEigenvalue(a).div(FactorMatrix.MeanEigenvalue(g)).sqrt_();
        pi = where(pi.isfinite() & (pi > 0), pi, ones_like(pi));
        double root = Math.Sqrt(damping);
        var ofG = Inverted("G", g, pi.reciprocal() * root, previous?.Left);
        var ofA = Inverted("A", a, pi * root, previous?.Right);
        return (new(Kept(ofG, precision), Kept(ofA, precision)), messages);

        FactorMatrix Inverted(string what, Tensor factor, Tensor shift, FactorMatrix? last)
        {
            var (inverse, message) = by.Invert(factor, shift, last?.Map(t => t.to_type(factor.dtype)), what);
            messages.AddRange(message);
            return inverse;
        }
    }

    /// <summary>In the precision of the products of a step: all but low rank, where I - P P' is a small difference of large ones in the
    /// first directions and bfloat16 could turn its sign. Row-major, as a saved copy is: LAPACK's column-major results would round
    /// differently after a resume.</summary>
    private static FactorMatrix Kept(FactorMatrix factor, MatmulPrecision precision) =>
        factor.Map(t =>
            (precision == MatmulPrecision.BFloat16 && factor is not LowRankFactor ? t.to_type(ScalarType.BFloat16) : t)
                .contiguous()
                .DetachFromDisposeScope()
        );

    public override double MeanEigenvalue => 1;

    public override Tensor Apply(Tensor v, double damping)
    {
        using var scope = NewDisposeScope();
        return Right.TimesOnRight(Left.TimesOnLeft(v)).MoveToOuterDisposeScope();
    }

    public override IEnumerable<(string Name, Tensor Tensor)> Tensors() => [.. Left.Tensors(nameof(Left)), .. Right.Tensors(nameof(Right))];

    public override BlockInverse Map(Func<Tensor, Tensor> map) => new FactoredInverse(Left.Map(map), Right.Map(map));

    /// <summary>Of saved tensors; null if there are none.</summary>
    /// <exception cref="InvalidDataException">One of the two is missing.</exception>
    public static FactoredInverse? Restored(Func<string, Tensor?> find) =>
        FactorMatrix.Restored(nameof(Left), find) is { } ofG
            ? new(ofG, FactorMatrix.Restored(nameof(Right), find) ?? throw Missing(nameof(Right)))
            : null;
}
