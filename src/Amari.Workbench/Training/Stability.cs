namespace Amari.Training;

/// <summary>Whether a run kept its progress.</summary>
/// <remarks>Let L₀ be the training loss at step 0, L* the best and L the last, all finite. A run came apart if
/// <code>
/// L > L₀                                it ended worse than it started, or it ends short of its target and
/// L > 10⁻⁶ |L₀| and L > 10 L*           for losses ≥ 0
/// L - L* > ½ (L₀ - L*)                  for negative L*, as of a density: it lost half of its reduction
/// </code>A loss at the target, or below a millionth of the first, counts as 0: ten times a best loss of 1e-10 is not significant. A run
/// with one evaluation has no progress to lose. A run that ends at a loss that is not finite has diverged.</remarks>
internal static class Stability
{
    private const double Factor = 10,
        ShareOfFall = 0.5,
        Rounding = 1e-6;

    /// <summary>Whether it came apart.</summary>
    /// <param name="losses">The evaluations; the first is before the first step.</param>
    /// <param name="atTarget">Whether the last evaluation reaches the target of the run.</param>
    public static bool CameApart(IReadOnlyList<LossPoint> losses, bool atTarget)
    {
        if (losses.Count < 2 || !double.IsFinite(losses[^1].Loss))
            return false;
        double first = losses[0].Loss,
            last = losses[^1].Loss,
            best = losses.Select(p => p.Loss).Where(double.IsFinite).Min();
        if (double.IsFinite(first) && last > first + Rounding * Math.Abs(first))
            return true;
        if (atTarget)
            return false;
        double start = double.IsFinite(first) ? first : losses.Select(p => p.Loss).Where(double.IsFinite).Max();
        return best < 0 ? last - best > ShareOfFall * (start - best) : last > Math.Max(Factor * best, Rounding * start);
    }
}
