using Amari.Native;

namespace Amari.Kronecker;

/// <summary>The Fisher block of one layer s = W ā, approximated as F ≈ A ⊗ G (Martens and Grosse 2015, arXiv:1503.05671).</summary>
/// <remarks><code>
/// ā = (a, 1) : [rows, in+1]      every row is one position of one example, or one example; without a bias in+1 reads in
/// g = ∂ℓ/∂s  : [rows, out]       of one term's own loss ℓ
/// A = Σ ā ā' / rows,  G = Σ g g' / terms
/// F⁻¹ vec(V) = vec(G⁻¹ V A⁻¹),   V = [∂W ∂b] : [out, in+1],   vec stacks columns
/// </code>Several positions per example are combined as <see cref="WeightSharing"/> says; for convolutions, expanding is KFC
/// (Grosse and Martens 2016, arXiv:1602.01407). A grouped layer has a leading dimension [groups] on everything, a block for each. An A of
/// one dimension is the diagonal of a diagonal matrix.
/// <para>In a physics-informed model (<see cref="LeastSquares.PdeModel"/>) the components of a jet are positions of an example, expanded,
/// and ā = (a, 1) for its value, (a, 0) for its derivatives (Dangel et al. 2024, arXiv:2405.15603).</para>
/// <para>With the eigenvalue correction (EKFAC, George et al. 2018, arXiv:1806.03884) the eigenvalues l r' of A ⊗ G = (Q_G ⊗ Q_A) diag
/// (..)' are replaced by the second moments S of the terms' own gradients in that basis, S = Σ (Q_G' V Q_A)² / terms, V = Σ g ā' over all
/// positions of one use. At a change of basis S becomes the diagonal of the old matrix in the new basis.</para></remarks>
internal abstract class KroneckerBlock(string name, bool hasBias, long groups = 1) : CurvatureBlock(name, hasBias, "A", "G")
{
    /// <summary>The size from which factors are decomposed more rarely: smaller ones take little time.</summary>
    public const long LeastLasting = 768;

    private const long RowsPerDimension = 4,
        LeastExamples = 16; // of a batch, for positions of one example are alike
    private const double LastingShare = 0.701; // of the factors' weight: as long the bases of EKFAC last; above 7/10, for rounding
    private const long LargestPiece = 1 << 22; // elements of examples' gradients that are formed at once

    public Tensor? A => Factor(0);
    public Tensor? G => Factor(1);

    /// <summary>A layer input by position: [n, r, in], or [groups, n, r, in].</summary>
    protected abstract Tensor Inputs(Tensor x);

    /// <summary>The gradient at the layer's output by position: [n, r, out], or [groups, n, r, out].</summary>
    protected abstract Tensor Outputs(Tensor g);

    /// <summary>[b.., W's shape] → [b.., (groups,) out, in].</summary>
    protected virtual Tensor Matrix(Tensor w, long[] batch) =>
        groups == 1 && batch.Length == 0 && w.dim() == 2 ? w : w.reshape([.. Lead(batch), Weight.size(0) / groups, -1]);

    /// <summary>The inverse of <see cref="Matrix"/>.</summary>
    protected virtual Tensor FromMatrix(Tensor m, long[] batch) => m.reshape([.. batch, .. Weight.shape]);

    protected long[] Lead(long[] batch) => groups == 1 ? batch : [.. batch, groups];

    public override bool JoinsPositions(FisherSettings settings) => settings.WeightSharing == WeightSharing.Reduce || settings.Corrected;

    /// <summary>As many as have <see cref="RowsPerDimension"/> rows for each dimension of the larger factor, times the share that they
    /// will have in the running average: so its sum over all batches has that many.</summary>
    public override long ExamplesFor(Tensor g, WeightSharing sharing, double decay)
    {
        long outputs = Weight.shape[0],
            dimension = Math.Max(outputs / groups, Weight.numel() / outputs),
            positions = sharing == WeightSharing.Reduce || g.dim() < 3 ? 1 : g.numel() / (g.shape[0] * outputs);
        double rows = RowsPerDimension * dimension * NextShare(decay);
        return Math.Max(LeastExamples, (long)Math.Ceiling(rows / Math.Max(1, positions)));
    }

    public override BlockSums Measure(Tensor x, Tensor g, Measurement what)
    {
        using var scope = NewDisposeScope();
        var b = Outputs(g).to_type(FactorType);
        bool corrected = what.Corrected && !what.ForwardOnly && Inverse is CorrectedInverse;
        var a = what.First || corrected ? Inputs(x).to_type(FactorType) : null;
        var moments = corrected ? Moments(a!, b, what) : null;
        if (what.WeightSharing == WeightSharing.Reduce && b.shape[^2] > 1)
            (a, b) = (a?.mean([-2], keepdim: true), b.sum(-2, keepdim: true));
        var rows = b.flatten(-3, -2);
        var (gram, count) = what.First ? InputGram(a!, what) : (null, 0);
        Tensor?[] sums = [gram, what.ForwardOnly ? Identity(rows, count) : what.Gram(rows), .. corrected ? (Tensor?[])[moments] : []];
        foreach (var t in sums)
            t?.MoveToOuterDisposeScope();
        return new(sums, count);
    }

    public override (Tensor V, double Size) Gradient(Tensor x, Tensor g)
    {
        var (a, b) = (Inputs(x).to_type(FactorType).flatten(-3, -2), Outputs(g).to_type(FactorType).flatten(-3, -2));
        if (HasBias)
            a = cat([a, ones([.. a.shape[..^1], 1], dtype: a.dtype, device: a.device)], -1);
        return (b.mT.MatrixProduct(a), b.abs().mT.MatrixProduct(a.abs()).norm().ToDouble());
    }

    /// <summary>Σ I over rows, of the shape of Σ g g'.</summary>
    protected static Tensor Identity(Tensor g, double rows) =>
        (eye(g.shape[^1], dtype: g.dtype, device: g.device) * rows).expand([.. g.shape[..^2], g.shape[^1], g.shape[^1]]).clone();

    /// <summary>Σ ā ā' and the number of rows.</summary>
    private (Tensor Sum, double Rows) InputGram(Tensor inputs, Measurement what)
    {
        var a = inputs.flatten(-3, -2);
        long rows = a.shape[^2],
            n = a.shape[^1];
        var gram = what.Gram(a);
        if (!HasBias)
            return (gram, rows);
        // border of ones, without a copy of a
        var full = empty([.. gram.shape[..^2], n + 1, n + 1], dtype: gram.dtype, device: gram.device);
        var biased = what.IsJet ? inputs.select(-2, 0) : a;
        var sum = biased.sum(-2);
        full.narrow(-2, 0, n).narrow(-1, 0, n).copy_(gram);
        full.narrow(-2, n, 1).narrow(-1, 0, n).copy_(sum.unsqueeze(-2));
        full.narrow(-1, n, 1).narrow(-2, 0, n).copy_(sum.unsqueeze(-1));
        full.narrow(-2, n, 1).narrow(-1, n, 1).fill_(biased.shape[^2]);
        return (full, rows);
    }

    /// <summary>Σ (Q_G' V Q_A)² over terms, V = Σ g ā' over the positions of one.</summary>
    private Tensor Moments(Tensor a, Tensor g, Measurement what)
    {
        var basis = ((CorrectedInverse)Inverse!).Basis;
        var (left, right) = (basis.Left.Vectors, basis.Right.Vectors);
        long n = a.shape[^1];
        var p = InBasis(a, right.narrow(-2, 0, n));
        if (HasBias)
            (what.IsJet ? p.narrow(-2, 0, 1) : p).add_(right.narrow(-2, n, 1).unsqueeze(-3));
        var o = InBasis(g, left);
        if (!what.PerExample || o.shape[^2] == 1)
            return o.flatten(-3, -2).square().mT.MatrixProduct(p.flatten(-3, -2).square());
        long piece = Math.Max(1, LargestPiece / (o.shape[^1] * p.shape[^1]));
        Tensor? sum = null;
        foreach (var (oPart, pPart) in o.split(piece, -3).Zip(p.split(piece, -3)))
        {
            var part = oPart.mT.MatrixProduct(pPart).square().sum(-3);
            sum = sum is null ? part : sum.add_(part);
        }
        return sum!;
    }

    /// <summary>The positions of all terms [n, r, in] times a basis [in, k]: one product, for a basis that is broadcast over terms would be
    /// copied for each of them.</summary>
    private static Tensor InBasis(Tensor x, Tensor basis)
    {
        var rows = x.flatten(-3, -2).MatrixProduct(basis);
        return rows.view([.. x.shape[..^1], basis.shape[^1]]);
    }

    protected override double Scale(int factor, double rows, double? outputScale) =>
        factor == 0 || outputScale is not { } scale ? 1 / rows : scale;

    protected override bool StartsAsIdentity(int factor) => factor == 1;

    public override double IdentityForm(Tensor u, double identity)
    {
        using var scope = NewDisposeScope();
        return identity * FactorMatrix.Of(A!).TimesOnRight(u).mul_(u).sum().to_type(ScalarType.Float64).ToDouble();
    }

    /// <summary>With corrected eigenvalues S, which are measured in the bases and are the best in any, bases of large factors last until
    /// 30 % of the factors' weight is of later batches.</summary>
    public override bool OutlastsRefresh(DampingMethod method) =>
        method == DampingMethod.Ekfac
        && RefreshedShare > LastingShare
        && Inverse is CorrectedInverse
        && Math.Max(A!.shape[^1], G!.shape[^1]) >= LeastLasting;

    public override (BlockInverse Inverse, List<string> Messages) Invert(
        DampingMethod method,
        double damping,
        BlockInverse? previous,
        FactorInverter by,
        MatmulPrecision precision = MatmulPrecision.Full
    )
    {
        if (method == DampingMethod.FactoredTikhonov)
            return FactoredInverse.Of(A!, G!, damping, previous as FactoredInverse, by, precision);
        var last = previous as CorrectedInverse;
        var (basis, messages) = EigenbasisInverse.Of(A!, G!, last?.Basis ?? previous as EigenbasisInverse);
        if (method != DampingMethod.Ekfac || A!.dim() == 1)
            return (basis, messages);
        var moments = last is null ? basis.Eigenvalues() : basis.Eigenvalues(last);
        return (new CorrectedInverse(basis, moments.DetachFromDisposeScope()), messages);
    }

    public override (BlockInverse Inverse, List<string> Messages) Invert(DampingMethod method, double damping)
    {
        if (method != DampingMethod.Ekfac)
            return base.Invert(method, damping);
        var inverse = Inverse;
        if (inverse is CorrectedInverse || (inverse is EigenbasisInverse && A!.dim() == 1))
            return (inverse.Map(t => t.clone().DetachFromDisposeScope()), []);
        throw new ArgumentException($"The eigenvalues of {Name} were not corrected.", nameof(method));
    }

    protected override double MeanEigenvalue =>
        FactorMatrix.MeanEigenvalue(A!).mean().ToDouble() * FactorMatrix.MeanEigenvalue(G!).mean().ToDouble();

    public override Tensor Apply(Tensor v)
    {
        if (Inverse is CorrectedInverse corrected)
            return corrected.Multiply(v);
        using var scope = NewDisposeScope();
        return FactorMatrix.Of(A!).TimesOnRight(G!.MatrixProduct(v)).MoveToOuterDisposeScope();
    }

    public override double SquaredNorm
    {
        get
        {
            using var scope = NewDisposeScope();
            if (Inverse is CorrectedInverse corrected)
                return corrected.Eigenvalues.square().sum().ToDouble();
            var (a, g) = (A!.square(), G!.square().sum([-2, -1]));
            return ((a.dim() == 1 ? a.sum() : a.sum([-2, -1])) * g).sum().ToDouble();
        }
    }

    /// <summary>Gradients shaped as <see cref="CurvatureBlock.Parameters"/> → V : [out, in+1], or [groups, out, in+1].</summary>
    /// <param name="gradients">One each, or <paramref name="batch"/> of them with a leading dimension.</param>
    /// <param name="batch">[k] for V : [k, ..]; empty for one.</param>
    public override Tensor Join(IReadOnlyList<Tensor> gradients, params long[] batch)
    {
        using var scope = NewDisposeScope();
        var v = Matrix(gradients[0], batch);
        if (HasBias)
            v = cat([v, groups == 1 && batch.Length == 0 ? gradients[1].unsqueeze(-1) : gradients[1].reshape([.. Lead(batch), -1, 1])], -1);
        var type = FactorType;
        return (HasBias && v.dtype == type ? v : v.to_type(type)).MoveToOuterDisposeScope(); // without a bias v may be a gradient itself
    }

    public override IReadOnlyList<Tensor> Split(Tensor v, params long[] batch)
    {
        if (!HasBias)
            return [FromMatrix(v, batch)];
        long n = v.shape[^1] - 1;
        return [FromMatrix(v.narrow(-1, 0, n), batch), v.select(-1, n).reshape([.. batch, .. Bias!.shape])];
    }

    public override IEnumerable<(string Name, long[] Tail)> Shapes()
    {
        using var scope = NewDisposeScope();
        long[] v = Join(Parameters).shape[^2..];
        return
        [
            ("A", [v[1]]),
            ("Right", [v[1]]),
            ("RightValues", [v[1]]),
            ("G", [v[0]]),
            ("Left", [v[0]]),
            ("LeftValues", [v[0]]),
            (CorrectedInverse.Values, v),
            ("Momentum", v),
        ];
    }

    protected override BlockInverse? Restored(Func<string, Tensor?> find) =>
        EigenbasisInverse.Restored(find) is not { } basis ? FactoredInverse.Restored(find)
        : CorrectedInverse.Restored(basis, find) is { } corrected ? corrected
        : basis;

    protected override Tensor WithoutBias(int factor, Tensor value) =>
        factor == 0 ? value.narrow(-1, 0, value.shape[^1] - 1).narrow(-2, 0, value.shape[^1] - 1) : value;
}
