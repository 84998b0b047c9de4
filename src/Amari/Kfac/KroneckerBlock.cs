using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>The Fisher block of one layer s = W ā, approximated as F ≈ A ⊗ G (Martens and Grosse 2015, arXiv:1503.05671).</summary>
/// <remarks><code>
/// ā = (a, 1) : [rows, in+1]      every row is one position of one example; without a bias in+1 reads in
/// g = ∂ℓ/∂s  : [rows, out]       of one term's own loss ℓ
/// A = Σ ā ā' / rows,  G = Σ g g' / terms
/// F⁻¹ vec(V) = vec(G⁻¹ V A⁻¹),   V = [∂W ∂b] : [out, in+1],   vec stacks columns
/// </code>Several positions per example are K-FAC-expand (Eschenhagen et al. 2023, arXiv:2311.00636), as in KFC for convolutions
/// (Grosse and Martens 2016, arXiv:1602.01407). A grouped layer has a leading dimension [groups] on everything, a block for each.</remarks>
internal abstract class KroneckerBlock(string name, bool hasBias, long groups = 1) : IDisposable
{
    private bool _hasBias = hasBias;
    private const double LeastDamping = 1e-7;                   // below, the Fisher is rounding error: probabilities have become 0 and 1
    private Tensor? _pendingA, _pendingG;
    private double _pendingRows;

    /// <summary>The layer's name in the model.</summary>
    public string Name => name;

    /// <summary>What the block is of, as the coverage report says.</summary>
    public abstract string Kind { get; }

    /// <summary>W; read from the layer each time, for <c>module.to</c> makes new ones.</summary>
    protected abstract Parameter Weight { get; }

    /// <summary>b, used only if the block was made with a bias.</summary>
    protected abstract Parameter? Bias { get; }

    /// <summary>W, and b if there is one.</summary>
    public IReadOnlyList<Parameter> Parameters => _hasBias ? [Weight, Bias!] : [Weight];

    /// <summary>The running factors and how often they were updated.</summary>
    public Tensor? A { get; private set; }
    public Tensor? G { get; private set; }
    public long Updates { get; private set; }

    /// <summary>The two matrices that the last refresh left: A⁻¹ and G⁻¹, or the eigenvectors with their eigenvalues.</summary>
    public KroneckerInverse? Inverse { get; private set; }

    /// <summary>A layer input as rows: [rows, in] or [groups, rows, in].</summary>
    protected abstract Tensor Inputs(Tensor x);

    /// <summary>The gradient at the layer's output as rows: [rows, out] or [groups, rows, out].</summary>
    protected abstract Tensor Outputs(Tensor g);

    /// <summary>Σ ā ā' and the number of rows of one use of the layer.</summary>
    public (Tensor Sum, double Rows) InputGram(Tensor x)
    {
        using var scope = NewDisposeScope();
        var a = Inputs(x).to_type(FactorType);
        long rows = a.shape[^2], n = a.shape[^1];
        var gram = a.mT.matmul(a);
        if (_hasBias)                                 // border of ones, without a copy of a
        {
            var full = empty([.. gram.shape[..^2], n + 1, n + 1], dtype: gram.dtype, device: gram.device);
            var sum = a.sum(-2);
            full.narrow(-2, 0, n).narrow(-1, 0, n).copy_(gram);
            full.narrow(-2, n, 1).narrow(-1, 0, n).copy_(sum.unsqueeze(-2));
            full.narrow(-1, n, 1).narrow(-2, 0, n).copy_(sum.unsqueeze(-1));
            full.narrow(-2, n, 1).narrow(-1, n, 1).fill_(rows);
            gram = full;
        }
        return (gram.MoveToOuterDisposeScope(), rows);
    }

    /// <summary>Σ g g' of one use of the layer.</summary>
    public Tensor OutputGram(Tensor g)
    {
        using var scope = NewDisposeScope();
        var rows = Outputs(g).to_type(FactorType);
        return rows.mT.matmul(rows).MoveToOuterDisposeScope();
    }

    /// <summary>Adds sums of one use to those since the last <see cref="Fold"/>; takes ownership of both.</summary>
    public void Accumulate((Tensor Sum, double Rows)? inputs, Tensor outputs)
    {
        if (inputs is var (sum, rows))
        {
            Add(ref _pendingA, sum);
            _pendingRows += rows;
        }
        Add(ref _pendingG, outputs);

        static void Add(ref Tensor? total, Tensor part)
        {
            if (total is null) total = part.DetachFromDisposeScope();
            else
            {
                total.add_(part);
                part.Dispose();
            }
        }
    }

    /// <summary>Whether anything was accumulated since the last <see cref="Fold"/>.</summary>
    public bool HasPending => _pendingA is not null && _pendingG is not null;

    /// <summary>Moves the accumulated sums into the running factors: F ← ε F + (1 - ε) new, ε = min(1 - 1/k, decay) at the k-th update.</summary>
    /// <param name="outputScale">Makes Σ g g' the mean over terms of the terms' own gradients.</param>
    /// <param name="decay">In [0, 1).</param>
    /// <returns>False, and nothing is changed, when the sums are not finite.</returns>
    public bool Fold(double outputScale, double decay)
    {
        using var scope = NewDisposeScope();
        var a = _pendingA!.div_(_pendingRows);
        var g = _pendingG!.mul_(outputScale);
        (_pendingA, _pendingG, _pendingRows) = (null, null, 0);
        scope.Attach([a, g]);
        if (!IsFinite(a) || !IsFinite(g)) return false;
        Updates++;
        double keep = Math.Min(1 - 1.0 / Updates, decay);
        A = A is null ? Own(a) : A.lerp_(a, 1 - keep);
        G = G is null ? Own(g) : G.lerp_(g, 1 - keep);
        return true;

        // an infinite or NaN entry of a row shows on the diagonal of its Gram matrix
        static bool IsFinite(Tensor gram) => double.IsFinite(gram.diagonal(0, -2, -1).sum().ToDouble());
    }

    /// <summary>Recomputes the inverse from the running factors. What fails keeps its previous value, and is told.</summary>
    public IEnumerable<string> Refresh(Kfac.Options options)
    {
        double damping = Damping(options);
        using var scope = NewDisposeScope();
        var (next, messages) = KroneckerInverse.Of(A!, G!, options.DampingMethod, damping, Inverse);
        if (!ReferenceEquals(next, Inverse)) Inverse?.Dispose();
        Inverse = next;
        return messages;
    }

    /// <summary>λ in the unit of the Fisher for the running factors as they are.</summary>
    public double Damping(Kfac.Options options)
    {
        return Damping(options, options.DampingScale == DampingScale.MeanEigenvalue ? Mean(A!) * Mean(G!) : 1);

        static double Mean(Tensor factor) => factor.diagonal(0, -2, -1).mean().ToDouble();
    }

    /// <summary>F⁻¹ V for the gradients of <see cref="Parameters"/> joined by <see cref="Join"/>.</summary>
    public Tensor Precondition(Tensor v, Kfac.Options options) =>
        Inverse!.Apply(v, Damping(options, options.DampingScale == DampingScale.MeanEigenvalue ? Inverse.MeanEigenvalue : 1));

    private static double Damping(Kfac.Options options, double unit) =>
        options.DampingScale == DampingScale.MeanEigenvalue ? Math.Max(options.Damping * unit, LeastDamping) : options.Damping;

    /// <summary>Gradients shaped as <see cref="Parameters"/> → V : [out, in+1], or [groups, out, in+1].</summary>
    /// <param name="gradients">One each, or <paramref name="batch"/> of them with a leading dimension.</param>
    /// <param name="batch">[k] for V : [k, ..]; empty for one.</param>
    public Tensor Join(IReadOnlyList<Tensor> gradients, params long[] batch)
    {
        using var scope = NewDisposeScope();
        long[] lead = groups == 1 ? batch : [.. batch, groups];
        var v = gradients[0].reshape([.. lead, Weight.shape[0] / groups, -1]).to_type(FactorType);
        if (_hasBias) v = cat([v, gradients[1].reshape([.. lead, -1, 1]).to_type(FactorType)], -1);
        return v.MoveToOuterDisposeScope();
    }

    /// <summary>The inverse of <see cref="Join"/>: views of <paramref name="v"/> shaped as <see cref="Parameters"/>.</summary>
    public IReadOnlyList<Tensor> Split(Tensor v, params long[] batch)
    {
        if (!_hasBias) return [v.reshape([.. batch, .. Weight.shape])];
        long n = v.shape[^1] - 1;
        return [v.narrow(-1, 0, n).reshape([.. batch, .. Weight.shape]), v.select(-1, n).reshape([.. batch, .. Bias!.shape])];
    }

    /// <summary>A block of its own with copies of the factors, with or without the bias's row and column; null before the first update.</summary>
    public KroneckerBlock? Copy(bool withBias)
    {
        if (A is null || G is null) return null;
        var copy = (KroneckerBlock)MemberwiseClone();
        long n = A.shape[^1] - (_hasBias && !withBias ? 1 : 0);
        copy.A = A.narrow(-1, 0, n).narrow(-2, 0, n).clone().DetachFromDisposeScope();
        copy.G = G.clone().DetachFromDisposeScope();
        (copy._hasBias, copy.Inverse, copy._pendingA, copy._pendingG, copy._pendingRows) = (_hasBias && withBias, null, null, null, 0);
        return copy;
    }

    /// <summary>The dtype of factors: the weight's, but float32 for bfloat16 and float16.</summary>
    public ScalarType FactorType => Weight.dtype is ScalarType.BFloat16 or ScalarType.Float16 ? ScalarType.Float32 : Weight.dtype;

    private static Tensor Own(Tensor t) => t.contiguous().DetachFromDisposeScope();

    /// <summary>What must be saved to continue exactly, by name.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Tensors()
    {
        if (A is not null) yield return (nameof(A), A);
        if (G is not null) yield return (nameof(G), G);
        foreach (var pair in Inverse?.Tensors() ?? []) yield return pair;
    }

    /// <summary>Puts saved tensors back; copies them.</summary>
    public void Restore(Func<string, Tensor?> find, long updates, DampingMethod method)
    {
        Tensor? Copy(string member, Tensor? old)
        {
            old?.Dispose();
            return find(member)?.clone().DetachFromDisposeScope();
        }
        A = Copy(nameof(A), A);
        G = Copy(nameof(G), G);
        Inverse?.Dispose();
        Inverse = KroneckerInverse.Restored(find, method);
        Updates = updates;
        Discard();
    }

    /// <summary>Moves the factors and the inverse to another device, and to the dtype that the weight has now.</summary>
    public void To(Device device)
    {
        A = Move(A);
        G = Move(G);
        if (Inverse is { } old)
            Inverse = new(Move(old.Left)!, Move(old.Right)!, Move(old.LeftValues), Move(old.RightValues));

        Tensor? Move(Tensor? t)
        {
            if (t is null || (t.IsOn(device) && t.dtype == FactorType)) return t;
            using (t) return t.to(FactorType, device).DetachFromDisposeScope();
        }
    }

    /// <summary>Whether the module moved to another dtype or device since the factors were made.</summary>
    public bool HasMoved => A is { } a && (a.dtype != FactorType || !a.IsOn(Weight.device));

    /// <summary>Forgets what was accumulated since the last <see cref="Fold"/>.</summary>
    public void Discard()
    {
        _pendingA?.Dispose();
        _pendingG?.Dispose();
        (_pendingA, _pendingG, _pendingRows) = (null, null, 0);
    }

    public void Dispose()
    {
        Discard();
        A?.Dispose();
        G?.Dispose();
        Inverse?.Dispose();
    }
}
