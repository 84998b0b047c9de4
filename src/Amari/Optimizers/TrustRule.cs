namespace Amari.Optimizers;

/// <summary>How far a quadratic model of the loss is trusted, by how well it predicted the last step.</summary>
/// <remarks><code>
/// ρ = (L(w) - L(w + δ)) / -M(δ)       see <see cref="TrialStep.ReductionRatio"/>
/// damping λ        raised if ρ &lt; 1/4,  lowered if ρ > 3/4      Levenberg-Marquardt
/// trust radius Δ   lowered if ρ &lt; 1/4,  raised if ρ > 3/4
/// </code>Where neither L(w) - L(w + δ) nor M(δ) is above rounding, nothing is known: the number stays, or returns to the first one if it
/// is on the careful side of it. Moré 1978, "The Levenberg-Marquardt algorithm"; Nocedal and Wright 2006, Algorithm 4.1, for the radius;
/// Martens 2010, §4.1, and Martens and Grosse 2015, arXiv:1503.05671, §6.5, for the damping of networks.</remarks>
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

    /// <summary>The next λ, within bounds beyond which it changes nothing but how long the way back is.</summary>
    /// <param name="now">λ.</param>
    /// <param name="ratio">ρ; null, as NaN, counts as poor.</param>
    /// <param name="factor">By which λ rises or falls, ≥ 1.</param>
    /// <param name="first">λ of the first step.</param>
    /// <param name="least">The least λ; the first one may be less.</param>
    /// <param name="type">The dtype of the parameters.</param>
    /// <param name="hidden">Whether ρ says nothing: see <see cref="TrialStep.Hides"/>.</param>
    public static double Damping(double now, double? ratio, double factor, double first, double least, ScalarType type, bool hidden) =>
        Within(
            !hidden ? Next(ratio, poor: now * factor, good: now / factor) ?? now
                : now > first ? Math.Max(now / factor, first)
                : now,
            first,
            least,
            type
        );

    /// <summary>λ within its bounds, as an earlier version did not keep it.</summary>
    /// <inheritdoc cref="Damping"/>
    public static double Within(double now, double first, double least, ScalarType type) =>
        Math.Clamp(now, Math.Min(first, least), Math.Max(first, 1) / Square(finfo(type).eps));

    /// <summary>The next trust radius, likewise.</summary>
    /// <param name="now">Δ.</param>
    /// <param name="ratio">ρ.</param>
    /// <param name="poor">Δ after a poor prediction.</param>
    /// <param name="good">Δ after a good one.</param>
    /// <param name="first">Δ of the first step.</param>
    /// <param name="type">The dtype of the parameters.</param>
    /// <param name="hidden">Whether ρ says nothing.</param>
    public static double Radius(double now, double? ratio, double poor, double good, double first, ScalarType type, bool hidden) =>
        Radius(
            !hidden ? Next(ratio, poor, good) ?? now
                : now < first ? Math.Min(2 * now, first)
                : now,
            first,
            type
        );

    /// <summary>Δ, not below its bound.</summary>
    /// <inheritdoc cref="Radius(double, double?, double, double, double, ScalarType, bool)"/>
    public static double Radius(double now, double first, ScalarType type) => Math.Max(now, Square(finfo(type).eps) * first);

    private static double Square(double x) => x * x;
}
