namespace Amari.Training;

/// <summary>Whether a run kept what it had reached.</summary>
/// <remarks>With L₀ the loss at step 0, L* the best and L the last, all finite, and T the target, a run came apart if
/// <code>
/// L > L₀                                      it ended worse than it began, or
/// L > T, L > 10⁻⁶ |L₀| and L > 10 L*          where losses are at least 0
/// L > T and L - L* > ½ (L₀ - L*)              where L* is negative, as a density's may be: it gave back half of its fall
/// </code>A loss below the target, or a millionth of the first, is as good as 0: ten times a best loss of 1e-10 says nothing.
/// A run with one evaluation has nothing to lose; one that ends at a loss that is not finite has diverged.</remarks>
internal static class Stability
{
    private const double Factor = 10,
        ShareOfFall = 0.5,
        Rounding = 1e-6;

    /// <summary>Whether it came apart.</summary>
    /// <param name="losses">The evaluations, the first before the first step.</param>
    /// <param name="target">What the run was timed to.</param>
    public static bool CameApart(IReadOnlyList<LossPoint> losses, double target)
    {
        if (losses.Count < 2 || !double.IsFinite(losses[^1].Loss))
            return false;
        double first = losses[0].Loss,
            last = losses[^1].Loss,
            best = losses.Select(p => p.Loss).Where(double.IsFinite).Min();
        if (double.IsFinite(first) && last > first + Rounding * Math.Abs(first))
            return true;
        if (last <= target)
            return false;
        double start = double.IsFinite(first) ? first : losses.Select(p => p.Loss).Where(double.IsFinite).Max();
        return best < 0 ? last - best > ShareOfFall * (start - best) : last > Math.Max(Factor * best, Rounding * start);
    }
}
