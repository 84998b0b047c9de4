using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>The damped inverse of A ⊗ G (with leading dimensions [groups] for grouped layers): two matrices and, in the eigenbasis,
/// their eigenvalues.</summary>
/// <remarks><code>
/// FactoredTikhonov   Apply(V) = Left V Right                         Left = (G + √λ/π I)⁻¹, Right = (A + π√λ I)⁻¹
///                    of low rank: c (I - P P') in place of either,   c: LeftScale, RightScale, P' : [rank, n] in Left, Right
/// Eigenbasis         Apply(V) = Left [(Left' V Right) / (l r' + λ)] Right'   Left l Left' = G, Right r Right' = A
/// Ekfac              Apply(V) = Left [(Left' V Right) / (S + λ)] Right'      S: Values
/// </code>A matrix of one dimension is the diagonal of a diagonal one; as a basis it is all ones.</remarks>
internal sealed record KroneckerInverse(
    Tensor Left,
    Tensor Right,
    Tensor? LeftValues = null,
    Tensor? RightValues = null,
    Tensor? Values = null,
    Tensor? LeftScale = null,
    Tensor? RightScale = null
) : BlockInverse
{
    /// <summary>The inverse for new factors. A factorisation that fails falls back on that of <paramref name="previous"/>, and without one
    /// on a multiple of the identity; the messages say what happened.</summary>
    public static (KroneckerInverse Inverse, List<string> Messages) Of(
        Tensor a,
        Tensor g,
        DampingMethod method,
        double damping,
        KroneckerInverse? previous,
        FactorInverter? by = null,
        MatmulPrecision precision = MatmulPrecision.Full
    )
    {
        var messages = new List<string>();
        using var scope = NewDisposeScope();
        if (method != DampingMethod.FactoredTikhonov)
        {
            bool comparable = previous?.LeftValues is not null;
            var (left, l) = Eigen(g, "G", comparable ? previous!.Left : null, previous?.LeftValues);
            var (right, r) =
                a.dim() == 1 ? (ones_like(a), a.clone()) : Eigen(a, "A", comparable ? previous!.Right : null, previous?.RightValues);
            Tensor? s = null;
            if (method == DampingMethod.Ekfac && a.dim() > 1)
                s = previous is { Values: { } old } // the diagonal of Q diag(S) Q' in the new basis
                    ? left
                        .mT.MatrixProduct(previous.Left)
                        .square()
                        .MatrixProduct(old)
                        .MatrixProduct(previous.Right.mT.MatrixProduct(right).square())
                    : l.unsqueeze(-1).mul(r.unsqueeze(-2));
            return (new(Own(left), Own(right), Own(l), Own(r), s is null ? null : Own(s)), messages);
        }
        var (meanA, meanG) = (Mean(a), Mean(g));
        var pi = meanA.div(meanG).sqrt_();
        pi = where(pi.isfinite() & (pi > 0), pi, ones_like(pi));
        double root = Math.Sqrt(damping);
        var (leftInverse, leftScale) = Inverted(g, pi.reciprocal() * root, "G", previous?.Left, previous?.LeftScale);
        var (rightInverse, rightScale) = Inverted(a, pi * root, "A", previous?.Right, previous?.RightScale);
        return (
            new(
                Own(Kept(leftInverse, leftScale)),
                Own(Kept(rightInverse, rightScale)),
                LeftScale: leftScale?.DetachFromDisposeScope(),
                RightScale: rightScale?.DetachFromDisposeScope()
            ),
            messages
        );

        // I - P P' of low rank is a small difference of large ones in the first directions: bfloat16 could turn its sign
        Tensor Kept(Tensor t, Tensor? scale) => precision == MatmulPrecision.BFloat16 && scale is null ? t.to_type(ScalarType.BFloat16) : t;

        // row-major, as a saved copy is: LAPACK's column-major results would round differently after a resume
        static Tensor Own(Tensor t) => t.contiguous().DetachFromDisposeScope();

        (Tensor Inverse, Tensor? Scale) Inverted(Tensor factor, Tensor shift, string what, Tensor? old, Tensor? oldScale)
        {
            if (factor.dim() == 1)
                return (factor.add(shift).reciprocal_(), null);
            old = previous?.LeftValues is null ? old?.to_type(factor.dtype) : null;
            if (by?.OfLowRank(factor, shift, oldScale is null ? null : old) is { } low)
                return low;
            var damped = factor.clone();
            damped.diagonal(0, -2, -1).add_(shift);
            var (inverse, outcome, tooFar) = (by ?? new()).Invert(damped, oldScale is null ? old : null);
            if (tooFar)
                messages.Add($"the last inverse of {what} was too far to begin from; by Cholesky");
            Log(outcome, what, old is not null);
            return inverse is not null ? (inverse, null)
                : old is not null ? (old.clone(), oldScale?.clone())
                : (Identity(damped, Mean(damped).reciprocal()), null);
        }

        (Tensor Vectors, Tensor Values) Eigen(Tensor factor, string what, Tensor? oldVectors, Tensor? oldValues)
        {
            var (eigen, outcome) = SpdInverse.Eigh(factor);
            Log(outcome, what, oldVectors is not null);
            if (eigen is { } pair)
                return pair;
            return oldVectors is not null
                ? (oldVectors.clone(), oldValues!.clone())
                : (Identity(factor, ones_like(Mean(factor))), Mean(factor).expand(factor.shape[..^1]).clone());
        }

        static Tensor Identity(Tensor like, Tensor scale) =>
            eye(like.shape[^1], dtype: like.dtype, device: like.device) * scale.nan_to_num(1, 1, 1).unsqueeze(-1);

        void Log(FactorisationOutcome outcome, string what, bool hasPrevious)
        {
            if (Report(outcome, what, hasPrevious) is { } message)
                messages.Add(message);
        }
    }

    /// <summary>The mean of the eigenvalues, with a last dimension of 1.</summary>
    public static Tensor Mean(Tensor m) => (m.dim() == 1 ? m : m.diagonal(0, -2, -1)).mean([-1], keepdim: true);

    /// <summary>v m for a full or a diagonal m.</summary>
    public static Tensor Times(Tensor v, Tensor m) => m.dim() == 1 ? v.mul(m) : v.MatrixProduct(m);

    public override double MeanEigenvalue =>
        Values is not null ? Values.mean().ToDouble()
        : LeftValues is null ? 1
        : LeftValues.mean().ToDouble() * RightValues!.mean().ToDouble();

    /// <summary>The damped inverse times V : [out, in+1]; a fresh tensor.</summary>
    public override Tensor Apply(Tensor v, double damping)
    {
        using var scope = NewDisposeScope();
        var result = LeftValues is null ? FromRight(FromLeft(v)) : InBasis(v, x => x.div_(Eigenvalues().add(damping)));
        return result.MoveToOuterDisposeScope();
    }

    private Tensor FromLeft(Tensor v) =>
        LeftScale is null
            ? Left.MatrixProduct(v.to_type(Left.dtype)).to_type(v.dtype)
            : v.addmm(Left.t(), Left.mm(v), 1, -1).mul_(LeftScale);

    private Tensor FromRight(Tensor v) =>
        RightScale is null
            ? Times(v.to_type(Right.dtype), Right).to_type(v.dtype)
            : v.addmm(v.mm(Right.t()), Right, 1, -1).mul_(RightScale);

    /// <summary>The undamped matrix times V, in the eigenbasis; a fresh tensor.</summary>
    public Tensor Multiply(Tensor v)
    {
        using var scope = NewDisposeScope();
        return InBasis(v, x => x.mul_(Eigenvalues())).MoveToOuterDisposeScope();
    }

    private Tensor Eigenvalues() => Values ?? LeftValues!.unsqueeze(-1).mul(RightValues!.unsqueeze(-2));

    private Tensor InBasis(Tensor v, Func<Tensor, Tensor> map) =>
        Times(Left.MatrixProduct(map(Times(Left.mT.MatrixProduct(v), Right))), Right.dim() == 1 ? Right : Right.mT);

    public override IEnumerable<(string Name, Tensor Tensor)> Tensors()
    {
        yield return (nameof(Left), Left);
        yield return (nameof(Right), Right);
        if (LeftValues is not null)
            yield return (nameof(LeftValues), LeftValues);
        if (RightValues is not null)
            yield return (nameof(RightValues), RightValues);
        if (Values is not null)
            yield return (nameof(Values), Values);
        if (LeftScale is not null)
            yield return (nameof(LeftScale), LeftScale);
        if (RightScale is not null)
            yield return (nameof(RightScale), RightScale);
    }

    public override BlockInverse Map(Func<Tensor, Tensor> map) =>
        new KroneckerInverse(
            map(Left),
            map(Right),
            LeftValues is null ? null : map(LeftValues),
            RightValues is null ? null : map(RightValues),
            Values is null ? null : map(Values),
            LeftScale is null ? null : map(LeftScale),
            RightScale is null ? null : map(RightScale)
        );

    /// <summary>Saved tensors, or null if there were none: of the method that made them, which since may have been changed.</summary>
    public static KroneckerInverse? Restored(Func<string, Tensor?> find)
    {
        if (find(nameof(Left)) is not { } left)
            return null;
        var values = find(nameof(LeftValues));
        return values is null && find(nameof(RightValues)) is null
            ? new(left, Saved(nameof(Right)), LeftScale: find(nameof(LeftScale)), RightScale: find(nameof(RightScale)))
            : new(left, Saved(nameof(Right)), Saved(nameof(LeftValues)), Saved(nameof(RightValues)), find(nameof(Values)));

        Tensor Saved(string name) => find(name) ?? throw new InvalidDataException($"The state lacks the inverse's '{name}'.");
    }
}
