using Amari.Kronecker;

namespace Amari;

// Sums over the uses of a layer since the last update, and how they become running factors.
internal abstract partial class CurvatureBlock
{
    private Tensor?[] _pending = [];
    private double _pendingRows;

    /// <summary>Adds sums of one use to those since the last <see cref="UpdateRunningAverage"/>; takes ownership.</summary>
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

    /// <summary>Whether every factor was accumulated since the last <see cref="UpdateRunningAverage"/>.</summary>
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

    /// <summary>Moves the accumulated sums into the running factors: F ← ε F + (1 - ε) new, ε = min(1 - 1/k, decay) at the k-th
    /// update.</summary>
    /// <param name="outputScale">Makes Σ g g' the mean over terms of the terms' own gradients; null for
    /// <see cref="FisherKind.ForwardOnly"/>.</param>
    /// <param name="decay">In [0, 1).</param>
    /// <param name="identity">s of <see cref="CurvatureOptions.IdentityStart"/>: what <see cref="StartsAsIdentity"/> has s decayᵏ I on top
    /// of the running mean.</param>
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
        RefreshedShare *= Keep(Updates, decay);
        for (int i = 0; i < factors.Length; i++)
        {
            bool first = _running[i] is null;
            _running[i] = _running[i] is { } old ? old.lerp_(fresh[i]!, 1 - Keep(Updates, decay)) : Own(fresh[i]!);
            if (identity > 0 && outputScale is not null && StartsAsIdentity(i))
                _running[i]!
                    .diagonal(0, -2, -1)
                    .add_(identity * (Math.Pow(decay, Updates) - (first ? 0 : Keep(Updates, decay) * Math.Pow(decay, Updates - 1))));
        }
        // the eigenbasis came with the first update, so moments in it with the second
        if (fresh.Length > factors.Length && fresh[^1] is { } moments)
            _moments?.lerp_(moments, 1 - Keep(Math.Max(1, Updates - 1), decay));
        return true;

        // no entry of a sum of r r' is larger than the largest of its diagonal
        Tensor Finite(Tensor t, int i) => i < factors.Length && t.dim() > 1 ? t.diagonal(0, -2, -1) : t;
    }

    /// <summary>What is kept of the running average at its k-th update.</summary>
    private static double Keep(long k, double decay) => Math.Min(1 - 1.0 / k, decay);

    /// <summary>The share that the next update has in the running average.</summary>
    protected double NextShare(double decay) => 1 - Keep(Updates + 1, decay);

    /// <summary>Forgets what was accumulated since the last <see cref="UpdateRunningAverage"/>.</summary>
    public void Discard()
    {
        foreach (var t in _pending)
            t?.Dispose();
        (_pending, _pendingRows) = ([], 0);
    }
}
