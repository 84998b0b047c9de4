namespace Amari.Optimizers;

/// <summary>How far a quadratic model of the loss is trusted, by how well it predicted the last step.</summary>
/// <remarks><code>
/// ρ = (L(w) - L(w + δ)) / -M(δ)       see <see cref="TrialStep.ReductionRatio"/>
/// damping λ        raised if ρ &lt; 1/4,  lowered if ρ > 3/4      Levenberg-Marquardt
/// trust radius Δ   lowered if ρ &lt; 1/4,  raised if ρ > 3/4
/// </code>Moré 1978, "The Levenberg-Marquardt algorithm"; Nocedal and Wright 2006, Algorithm 4.1, for the radius; Martens 2010, §4.1, and
/// Martens and Grosse 2015, arXiv:1503.05671, §6.5, for the damping of networks.</remarks>
internal static class TrustRule
{
    private const double Poor = 0.25,
        Good = 0.75; // of ρ

    /// <summary>The next damping or trust radius; null where it stays.</summary>
    /// <param name="ratio">ρ; null, as NaN, counts as poor.</param>
    /// <param name="poor">The value after a poor prediction.</param>
    /// <param name="good">The value after a good one.</param>
    public static double? Next(double? ratio, double poor, double good) =>
        !(ratio >= Poor) ? poor
        : ratio > Good ? good
        : null;
}
