namespace Amari.Optimizers;

/// <summary>The cautious mask of momentum methods (Liang et al. 2024, arXiv:2411.16085, Algorithm 1): nothing moves against its present
/// gradient.</summary>
/// <remarks><code>
/// φ = 1 where u g > 0, else 0
/// u ← u φ / max(mean(φ), 10⁻³)       over all entries of one parameter
/// </code>
/// The mean keeps the length of the step; the bound is of the authors' implementation, in place of the paper's d / (Σ φ + 1).</remarks>
internal static class Cautious
{
    internal const double MinShare = 1e-3;

    /// <summary>The masked step, a fresh tensor.</summary>
    /// <param name="step">u, to be subtracted from the weights.</param>
    /// <param name="gradient">g, shaped as u.</param>
    public static Tensor Of(Tensor step, Tensor gradient)
    {
        var mask = step.mul(gradient).gt(0).to_type(step.dtype);
        return step.mul(mask.div_(mask.mean().clamp_min_(MinShare)));
    }
}
