using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>The loss axis of all figures of a comparison.</summary>
/// <remarks>Logarithmic if losses differ much and none is negative. A loss of exactly 0 (float32 cross-entropy can reach it) has no
/// logarithm: it is drawn on a separate line at the bottom, labelled 0. With a negative loss (a Gaussian's may be) the axis is
/// linear.</remarks>
/// <param name="Log">Whether it is logarithmic.</param>
/// <param name="Low">The smallest loss of the axis.</param>
/// <param name="High">The largest loss of the axis, where a diverging run leaves the figure.</param>
/// <param name="Zero">The position of losses of exactly 0 on a logarithmic axis; null if there are none.</param>
internal sealed record LossScale(bool Log, double Low, double High, double? Zero = null)
{
    private const double LogRatio = 5,
        ApartFactor = 1000;

    public static LossScale Of(BenchmarkResult comparison)
    {
        var shown = comparison.Runs.SelectMany(Shown).Append(comparison.Target.Value).ToList();
        double low = shown.Min(),
            high = shown.Max(),
            smallest = shown.Where(l => l > 0).DefaultIfEmpty(0).Min();
        if (low < 0 || smallest == 0 || high / smallest <= LogRatio)
        {
            double margin = high > low ? 0.04 * (high - low) : 1;
            return new(false, low - margin, high + margin);
        }
        double span = high / smallest,
            room = Math.Max(1.1, Math.Pow(span, 0.04));
        return low > 0
            ? new(true, low / room, high * room)
            : new(true, smallest / Math.Pow(room, 3), high * room, smallest / Math.Pow(room, 2));
    }

    /// <summary>The title of the axis.</summary>
    public string Title =>
        "training loss"
        + (
            Zero is not null ? " (log scale, 0 at the bottom)"
            : Log ? " (log scale)"
            : ""
        );

    /// <summary>Both ends of the axis.</summary>
    public (double Bottom, double Top) Limits => Log ? (Math.Log10(Low), Math.Log10(High)) : (Low, High);

    /// <summary>The position of a loss on the axis. Values between 0 and the smallest other loss are drawn at the line for 0.</summary>
    public double At(double loss) => Log ? Math.Log10(Zero is { } zero ? Math.Max(zero, loss) : loss) : loss;

    /// <summary>The ticks of a logarithmic axis; none for a linear one.</summary>
    public IEnumerable<Mark> Marks =>
        !Log ? []
        : Zero is { } zero ? Decades.Marks(zero * zero / Low, High).Prepend(new(At(0), "0"))
        : Decades.Marks(Low, High);

    /// <summary>The losses of a run that the axis must contain: all finite ones. For a diverged run those up to its first loss, for one
    /// that came apart those up to a thousand times its first loss.</summary>
    private static IEnumerable<double> Shown(TrainingRun run)
    {
        double first = run.Losses.Count > 0 ? run.Losses[0].Loss : double.NaN;
        double limit =
            run.Status == RunStatus.Diverged ? first
            : run.CameApart ? first + (ApartFactor - 1) * Math.Abs(first)
            : double.PositiveInfinity;
        return run.Losses.Select(p => p.Loss).Where(l => double.IsFinite(l) && (l <= limit || double.IsNaN(limit)));
    }
}
