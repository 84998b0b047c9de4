using Amari.Kronecker;
using Amari.Native;
using Amari.Optimizers;
using Amari.Serialization;
using Amari.Solvers;
using Amari.Verification;

namespace Amari;

/// <summary>What a block measures of one use of its layer.</summary>
/// <param name="First">Whether sums that depend on the inputs alone are due.</param>
/// <param name="PerExample">Whether an example is one loss term, so that its gradient is the sum over positions; else every position is a
/// term.</param>
/// <param name="WeightSharing">How positions are combined in Kronecker factors.</param>
/// <param name="Corrected">Whether second moments in the eigenbasis are due.</param>
/// <param name="ForwardOnly">Whether the gradients are taken as of unit covariance.</param>
/// <param name="Precision">What sums are computed in.</param>
internal readonly record struct Measurement(
    bool First,
    bool PerExample,
    WeightSharing WeightSharing,
    bool Corrected,
    bool ForwardOnly = false,
    MatmulPrecision Precision = MatmulPrecision.Full
)
{
    private const long LeastPanelled = 512; // rows; with fewer, the calls of two threads for each panel cost what they save

    /// <summary>Σ r r' over the rows r : [.., rows, n].</summary>
    public Tensor Gram(Tensor rows)
    {
        if (Precision == MatmulPrecision.Full)
            return rows.shape[^2] >= LeastPanelled ? SymmetricProduct.Of(rows.mT, rows) : rows.mT.MatrixProduct(rows);
        var mean = rows.mean([-2], keepdim: true); // apart, for where it is large its rounding would drown the rest
        var shorter = (rows - mean).to_type(ScalarType.BFloat16);
        return shorter.mT.MatrixProduct(shorter).to_type(rows.dtype).add_(mean.mT.MatrixProduct(mean), alpha: rows.shape[^2]);
    }
}

/// <summary>Sums over one use of a layer, null where not due, and the number of rows of the inputs (0 if not due).</summary>
internal readonly record struct BlockSums(Tensor?[] Sums, double Rows)
{
    /// <summary>The same of no rows.</summary>
    public BlockSums Zeroed()
    {
        foreach (var t in Sums)
            t?.zero_();
        return this with { Rows = 0 };
    }
}

/// <summary>The Fisher block of one layer: sums over its uses become running means, and those a damped inverse.</summary>
/// <remarks>A block kind says what is summed (<see cref="Measure"/>), how gradients become its matrix V and back (<see cref="Join"/>,
/// <see cref="Split"/>), and what the curvature and its inverse do to V.</remarks>
/// <param name="name">The layer's name in the model.</param>
/// <param name="hasBias">Whether the bias is part of the block.</param>
/// <param name="factors">The names of the running factors.</param>
internal abstract class CurvatureBlock(string name, bool hasBias, params string[] factors) : IDisposable
{
    private Tensor?[] _running = new Tensor?[factors.Length];
    private BlockInverse? _inverse; // of EKFAC the eigenbasis alone
    private Tensor? _moments; // second moments in the eigenbasis, null where they do not correct eigenvalues
    private Tensor?[] _pending = [];
    private double _pendingRows;

    /// <summary>The layer's name in the model.</summary>
    public string Name => name;

    /// <summary>What the block is of, as the coverage report says.</summary>
    public abstract string Kind { get; }

    /// <summary>W; read from the layer each time, for <c>module.to</c> makes new ones.</summary>
    protected abstract Parameter Weight { get; }

    /// <summary>b, used only if the block was made with a bias.</summary>
    protected abstract Parameter? Bias { get; }

    protected bool HasBias { get; private set; } = hasBias;

    /// <summary>W, and b if there is one.</summary>
    public IReadOnlyList<Parameter> Parameters => HasBias ? [Weight, Bias!] : [Weight];

    /// <summary>Why its uses cannot be seen; null while they can.</summary>
    public string? Unseen { get; set; }

    /// <summary>Whether it had a gradient before it had factors: they are measured at its next use.</summary>
    public bool IsAwaited { get; set; }

    /// <summary>How often the running factors were updated.</summary>
    public long Updates { get; private set; }

    /// <summary>Whether there are running factors.</summary>
    public bool IsMeasured => _running[0] is not null;

    /// <summary>What the last refresh left, with the eigenvalues that were measured in its basis since.</summary>
    public BlockInverse? Inverse
    {
        get => (_inverse, _moments) is (EigenbasisInverse basis, { } moments) ? new CorrectedInverse(basis, moments) : _inverse;
        private set =>
            (_inverse, _moments) = value is CorrectedInverse { Basis: var basis, Eigenvalues: var moments }
                ? ((BlockInverse?)basis, moments)
                : (value, null);
    }

    /// <summary>A running factor by its place.</summary>
    protected Tensor? Factor(int i) => _running[i];

    /// <summary>The dimensions of the layer's input for one example alone, without one of examples; null where that is not told
    /// apart.</summary>
    public virtual int? ExampleDimensions => null;

    /// <summary>Whether some of a batch's examples may stand for all.</summary>
    public virtual bool TakesExamples => true;

    /// <summary>Whether what is measured depends on which positions are one example's: means over them, or squares of an example's whole
    /// gradient.</summary>
    public abstract bool JoinsPositions(FisherSettings settings);

    /// <summary>Sums over one use of the layer: one for each factor, and perhaps a last one of second moments in the eigenbasis; the caller
    /// owns them.</summary>
    public abstract BlockSums Measure(Tensor x, Tensor g, Measurement what);

    /// <summary>What makes a sum the mean that a factor is; without an output scale all sums are over rows.</summary>
    protected abstract double Scale(int factor, double rows, double? outputScale);

    /// <summary>Whether a factor begins as a multiple of the identity, if any does.</summary>
    protected virtual bool StartsAsIdentity(int factor) => false;

    /// <summary>U'(A ⊗ s I)U: the part of the metric that is of the identity.</summary>
    public virtual double IdentityForm(Tensor u, double identity) => 0;

    /// <summary>A new inverse of the running factors. What fails keeps its previous value, and is reported.</summary>
    public abstract (BlockInverse Inverse, List<string> Messages) Invert(
        DampingMethod method,
        double damping,
        BlockInverse? previous,
        FactorInverter by,
        MatmulPrecision precision = MatmulPrecision.Full
    );

    /// <summary>The inverse of <see cref="Apply"/>'s matrix, damped; the caller owns it.</summary>
    /// <exception cref="ArgumentException">EKFAC without corrected eigenvalues.</exception>
    public virtual (BlockInverse Inverse, List<string> Messages) Invert(DampingMethod method, double damping) =>
        Invert(method, damping, null, new());

    /// <summary>Makes the basis in which second moments can be measured.</summary>
    public virtual void MakeBasis() { }

    /// <summary>The mean eigenvalue of the curvature.</summary>
    protected abstract double MeanEigenvalue { get; }

    /// <summary>The curvature times V; a fresh tensor.</summary>
    public abstract Tensor Apply(Tensor v);

    /// <summary>‖F‖² of the curvature.</summary>
    public abstract double SquaredNorm { get; }

    /// <summary>Gradients shaped as <see cref="Parameters"/> → V.</summary>
    /// <param name="gradients">One each, or <paramref name="batch"/> of them with a leading dimension.</param>
    /// <param name="batch">[k] for V : [k, ..]; empty for one.</param>
    public abstract Tensor Join(IReadOnlyList<Tensor> gradients, params long[] batch);

    /// <summary>The inverse of <see cref="Join"/>: shaped as <see cref="Parameters"/>; views of <paramref name="v"/> where
    /// possible.</summary>
    public abstract IReadOnlyList<Tensor> Split(Tensor v, params long[] batch);

    /// <summary>The last dimensions that saved tensors must have.</summary>
    public abstract IEnumerable<(string Name, long[] Tail)> Shapes();

    /// <summary>The inverse among saved tensors; null if there is none.</summary>
    protected abstract BlockInverse? Restored(Func<string, Tensor?> find);

    /// <summary>A running factor without the bias's part.</summary>
    protected abstract Tensor WithoutBias(int factor, Tensor value);

    /// <summary>Adds sums of one use to those since the last <see cref="Fold"/>; takes ownership.</summary>
    public void Accumulate(BlockSums use)
    {
        if (_pending.Length < use.Sums.Length)
            Array.Resize(ref _pending, use.Sums.Length);
        _pendingRows += use.Rows;
        for (int i = 0; i < use.Sums.Length; i++)
        {
            if (use.Sums[i] is not { } part)
                continue;
            if (_pending[i] is { } total)
            {
                total.add_(part);
                part.Dispose();
            }
            else
                _pending[i] = part.DetachFromDisposeScope();
        }
    }

    /// <summary>Whether every factor was accumulated since the last <see cref="Fold"/>.</summary>
    public bool HasPending => _pending.Length >= factors.Length && Array.TrueForAll(_pending[..factors.Length], p => p is not null);

    /// <summary>Whether second moments in the eigenbasis are among what was accumulated.</summary>
    public bool HasMoments => _pending.Length > factors.Length;

    /// <summary>The accumulated sums, contiguous; and the rows that those of the inputs are over.</summary>
    public IEnumerable<Tensor> Pending => _pending.Where(t => t is not null).Select(t => t!);

    /// <inheritdoc cref="Pending"/>
    public double PendingRows
    {
        get => _pendingRows;
        set => _pendingRows = value;
    }

    /// <summary>Multiplies the sums of products of gradients.</summary>
    public void ScalePending(double scale)
    {
        for (int i = 0; i < _pending.Length; i++)
            _pending[i]?.mul_(Scale(i, 1, scale));
    }

    /// <summary>Zeros where nothing was accumulated, for another rank has sums of this block.</summary>
    /// <param name="moments">Whether another rank has second moments in the eigenbasis.</param>
    /// <exception cref="InvalidOperationException">The block was never measured here, so that the shapes are not known.</exception>
    public void CompletePending(bool moments)
    {
        if (_pending.Length < factors.Length)
            Array.Resize(ref _pending, factors.Length);
        if (moments && _pending.Length == factors.Length)
            _pending = [.. _pending, zeros_like(_moments!).DetachFromDisposeScope()];
        for (int i = 0; i < _pending.Length; i++)
        {
            if (_pending[i] is { } t)
                _pending[i] = t.is_contiguous() ? t : Own(t);
            else if (i < factors.Length)
                _pending[i] = zeros_like(
                        _running[i]
                            ?? throw new InvalidOperationException(
                                $"The layer {name} was used on other ranks but not on this one: at its first use every rank needs an "
                                    + "example."
                            )
                    )
                    .DetachFromDisposeScope();
        }
    }

    /// <summary>What an inverse costs: Σ n³ over the factors' dimensions n (those of vectors n).</summary>
    public double InverseCost => _running.Where(f => f is not null).Sum(f => f!.numel() * (f.dim() == 1 ? 1.0 : f.shape[^1]));

    /// <summary>Takes a copy of an inverse that another rank computed.</summary>
    public void Adopt(Func<string, Tensor?> find) => Replace(Restored(find)?.Map(t => t.clone().DetachFromDisposeScope()));

    /// <summary>Frees the inverse.</summary>
    public void Drop() => Replace(null);

    /// <summary>Moves the accumulated sums into the running factors: F ← ε F + (1 - ε) new, ε = min(1 - 1/k, decay) at the k-th
    /// update.</summary>
    /// <param name="outputScale">Makes Σ g g' the mean over terms of the terms' own gradients; null for
    /// <see cref="FisherKind.ForwardOnly"/>.</param>
    /// <param name="decay">In [0, 1).</param>
    /// <param name="identity">s of <see cref="Kfac.Options.IdentityStart"/>: what <see cref="StartsAsIdentity"/> has s decayᵏ I on top of
    /// the running mean.</param>
    /// <returns>False, and nothing is changed, when the sums are not finite.</returns>
    public bool UpdateRunningAverage(double? outputScale, double decay, double identity = 0)
    {
        using var scope = NewDisposeScope();
        var fresh = _pending;
        double rows = _pendingRows;
        (_pending, _pendingRows) = ([], 0);
        scope.Attach(fresh.Where(t => t is not null).Select(t => t!));
        for (int i = 0; i < fresh.Length; i++)
            if (fresh[i]?.mul_(Scale(i, rows, outputScale)) is { } t && !double.IsFinite(Finite(t, i).sum().ToDouble()))
                return false;
        Updates++;
        for (int i = 0; i < factors.Length; i++)
        {
            bool first = _running[i] is null;
            _running[i] = _running[i] is { } old ? old.lerp_(fresh[i]!, 1 - Keep(Updates)) : Own(fresh[i]!);
            if (identity > 0 && outputScale is not null && StartsAsIdentity(i))
                _running[i]!
                    .diagonal(0, -2, -1)
                    .add_(identity * (Math.Pow(decay, Updates) - (first ? 0 : Keep(Updates) * Math.Pow(decay, Updates - 1))));
        }
        // the eigenbasis came with the first update, so moments in it with the second
        if (fresh.Length > factors.Length && fresh[^1] is { } moments)
            _moments?.lerp_(moments, 1 - Keep(Math.Max(1, Updates - 1)));
        return true;

        // no entry of a sum of r r' is larger than the largest of its diagonal
        Tensor Finite(Tensor t, int i) => i < factors.Length && t.dim() > 1 ? t.diagonal(0, -2, -1) : t;

        double Keep(long k) => Math.Min(1 - 1.0 / k, decay);
    }

    /// <summary>Recomputes the inverse from the running factors. What fails keeps its previous value, and is reported.</summary>
    /// <param name="settings">How it is damped.</param>
    /// <param name="inverter">Inverts Kronecker factors.</param>
    /// <param name="precision">What the inverse is kept in.</param>
    public IEnumerable<string> Refresh(DampingSettings settings, FactorInverter inverter, MatmulPrecision precision)
    {
        using var scope = NewDisposeScope();
        var (next, messages) = Invert(settings.Method, Damping(settings), Inverse, inverter, precision);
        Replace(next);
        return messages;
    }

    /// <summary>λ in the unit of the Fisher for the running factors as they are.</summary>
    public double Damping(DampingSettings settings) => settings.InForce(() => MeanEigenvalue, FactorType);

    protected void Replace(BlockInverse? next)
    {
        Inverse?.Dispose();
        Inverse = next;
    }

    /// <summary>F⁻¹ V for the gradients of <see cref="Parameters"/> joined by <see cref="Join"/>.</summary>
    public Tensor Precondition(Tensor v, DampingSettings settings)
    {
        var inverse = Inverse!;
        return inverse.Apply(v, settings.InForce(() => inverse.MeanEigenvalue, FactorType));
    }

    /// <summary>A block of its own with copies of the factors, with or without the bias; null before the first update.</summary>
    public CurvatureBlock? Copy(bool withBias)
    {
        if (!IsMeasured)
            return null;
        var copy = (CurvatureBlock)MemberwiseClone();
        bool whole = withBias || !HasBias;
        copy._running = [.. _running.Select((t, i) => (whole ? t! : WithoutBias(i, t!)).clone().DetachFromDisposeScope())];
        copy.Inverse = whole ? Inverse?.Map(t => t.clone().DetachFromDisposeScope()) : null;
        (copy.HasBias, copy._pending, copy._pendingRows) = (HasBias && withBias, [], 0);
        return copy;
    }

    /// <summary>The dtype of factors: the weight's, but float32 for bfloat16 and float16.</summary>
    public ScalarType FactorType => Weight.dtype is ScalarType.BFloat16 or ScalarType.Float16 ? ScalarType.Float32 : Weight.dtype;

    protected static Tensor Own(Tensor t) => t.contiguous().DetachFromDisposeScope();

    /// <summary>What must be saved to continue exactly, by name.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Tensors() => Factors().Concat(Inverse?.Tensors() ?? []);

    /// <summary>The running factors by name.</summary>
    public IEnumerable<(string Name, Tensor Tensor)> Factors() =>
        factors.Zip(_running).Where(f => f.Second is not null).Select(f => (f.First, f.Second!));

    /// <summary>Whether all that <see cref="Restore"/> needs was saved.</summary>
    /// <exception cref="InvalidDataException">It was not, or a factor has negative numbers on its diagonal.</exception>
    public void Check(Func<string, Tensor?> find, long updates)
    {
        if (updates > 0 && Array.Find(factors, f => find(f) is null) is { } missing)
            throw new InvalidDataException($"The state lacks '{name}.{missing}'.");
        foreach (string factor in factors)
            if (find(factor) is { } saved)
                NegativeNumbers.Refuse($"{name}.{factor}", saved, onDiagonal: saved.dim() > 1 && saved.shape[^1] == saved.shape[^2]);
        if (find(CorrectedInverse.Values) is { } moments)
            NegativeNumbers.Refuse($"{name}.{CorrectedInverse.Values}", moments);
        _ = Restored(find);
    }

    /// <summary>Puts saved tensors back; copies them.</summary>
    public void Restore(Func<string, Tensor?> find, long updates)
    {
        for (int i = 0; i < factors.Length; i++)
        {
            var old = _running[i]; // it may be what was saved
            _running[i] = find(factors[i])?.clone().DetachFromDisposeScope();
            old?.Dispose();
        }
        Replace(Restored(find)?.Map(t => t.clone().DetachFromDisposeScope()));
        Updates = updates;
        Discard();
    }

    /// <summary>Moves the factors and the inverse to another device, and to the dtype that the weight has now.</summary>
    public void To(Device device)
    {
        for (int i = 0; i < factors.Length; i++)
            if (_running[i] is { } t)
                _running[i] = Move(t);
        Inverse = Inverse?.Map(Move);

        Tensor Move(Tensor t)
        {
            var type = t.dtype == ScalarType.BFloat16 ? t.dtype : FactorType; // an inverse of that precision
            if (t.IsOn(device) && t.dtype == type)
                return t;
            using (t)
                return t.to(type, device).DetachFromDisposeScope();
        }
    }

    /// <summary>Whether the module moved to another dtype or device since the factors were made.</summary>
    public bool HasMoved => _running[0] is { } t && (t.dtype != FactorType || !t.IsOn(Weight.device));

    /// <summary>Forgets what was accumulated since the last <see cref="Fold"/>.</summary>
    public void Discard()
    {
        foreach (var t in _pending)
            t?.Dispose();
        (_pending, _pendingRows) = ([], 0);
    }

    public void Dispose()
    {
        Discard();
        foreach (var t in _running)
            t?.Dispose();
        Inverse?.Dispose();
    }
}
