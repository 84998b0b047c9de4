using Amari.Kernels;

namespace Amari;

/// <summary>How a direction moves the weights, with what the options say of decay and caution: the last line of every update.</summary>
/// <remarks><code>
/// u ← u φ / max(mean(φ), 10⁻³)       Cautious: φ = 1 where u g > 0, else 0; the mean over all entries of one parameter
/// w ← w - η λ ψ w - η u              CautiousDecay: ψ = 1 where u w ≥ 0, else 0; without it 1
/// </code>
/// Cautious steps: Liang et al. 2024, arXiv:2411.16085, Algorithm 1; the mean keeps the length of the step, its bound is of the authors'
/// implementation, in place of the paper's d / (Σ φ + 1). Cautious weight decay: Chen et al. 2025, arXiv:2510.12402, Algorithm 1. With
/// both, u has its mask first. An update that ends in it has all of these options.</remarks>
public static class WeightStep
{
    /// <summary>w ← (1 - η λ ψ) w - r u, with the masks that the options ask for, and λ of a decoupled decay.</summary>
    /// <param name="w">Changed, outside of the graph: call it under <c>no_grad</c>, as <c>Update</c> is called.</param>
    /// <param name="g">The gradient that a cautious step agrees with, shaped as w.</param>
    /// <param name="u">The direction, or its numerator, shaped as w; not changed.</param>
    /// <param name="options">Of w's group.</param>
    /// <param name="rate">r ≥ 0; η if null.</param>
    /// <param name="over">What u is divided by, > 0; null for 1.</param>
    /// <param name="decayLast">Whether the step decays, too: (1 - η λ) (w - r u).</param>
    public static void Apply(
        Tensor w,
        Tensor g,
        Tensor u,
        GroupedOptions options,
        double? rate = null,
        Tensor? over = null,
        bool decayLast = false
    )
    {
        ArgumentNullException.ThrowIfNull(options);
        using var scope = NewDisposeScope();
        u = Masked(u, g, options);
        double alpha = -(rate ?? options.LearningRate);
        var shrinks = options.CautiousDecay ? Shrinks(u, w) : null;
        if (options.IsDecayDecoupled && !decayLast)
            DecayWhere(w, shrinks, options);
        if (over is null)
            w.add_(u, alpha: alpha);
        else
            w.addcdiv_(u, over, alpha);
        if (options.IsDecayDecoupled && decayLast)
            DecayWhere(w, shrinks, options);
    }

    /// <summary>u, or with a cautious step a fresh tensor without the entries that go against the gradient.</summary>
    internal static Tensor Masked(Tensor u, Tensor g, GroupedOptions options)
    {
        if (!options.IsCautious)
            return u;
        var mask = u.mul(g.sign()).gt(0).to_type(u.dtype);
        return u.mul(mask.div_(mask.mean().clamp_min_(FusedStep.MinShare)));
    }

    /// <summary>w ← (1 - η λ ψ) w, by itself.</summary>
    /// <param name="w">Changed.</param>
    /// <param name="u">The direction of the step.</param>
    /// <param name="options">Of w's group.</param>
    internal static void Decay(Tensor w, Tensor u, GroupedOptions options) =>
        DecayWhere(w, options.CautiousDecay ? Shrinks(u, w) : null, options);

    /// <summary>u + λ ψ w, of a decay that is a part of the direction; a fresh tensor.</summary>
    internal static Tensor WithDecay(Tensor u, Tensor w, GroupedOptions options) =>
        u.add(options.CautiousDecay ? w.mul(Shrinks(u, w)) : w, alpha: options.WeightDecay);

    private static void DecayWhere(Tensor w, Tensor? shrinks, GroupedOptions options)
    {
        double keep = 1 - options.LearningRate * options.WeightDecay;
        if (keep == 1)
            return;
        if (shrinks is null)
            w.mul_(keep);
        else
            w.mul_(where(shrinks, full([], keep, dtype: w.dtype, device: w.device), ones([], dtype: w.dtype, device: w.device)));
    }

    private static Tensor Shrinks(Tensor u, Tensor w) => u.mul(w.sign()).ge(0);
}
