using Amari.Training;

namespace Amari.Reporting;

/// <summary>The axis of a quantity in all figures of a comparison.</summary>
/// <remarks>Linear if a higher value is better, as for an accuracy. Otherwise logarithmic if values differ much and none is negative. A
/// value of exactly 0 (float32 cross-entropy can reach it) has no logarithm: it is drawn on a separate line at the bottom, labelled 0. With
/// a negative loss (a Gaussian's may be) the axis is linear. Learning rates have a logarithmic axis if their peaks differ much; rates below
/// a hundredth of the lowest peak are drawn at the line for 0. Otherwise their axis begins at 0.</remarks>
/// <param name="Title">The title.</param>
/// <param name="Log">Whether it is logarithmic.</param>
/// <param name="Low">The smallest value of the axis.</param>
/// <param name="High">The largest value of the axis, where a diverging run leaves the figure.</param>
/// <param name="Zero">The position of values of exactly 0 on a logarithmic axis; null if there are none.</param>
internal sealed record CurveScale(string Title, bool Log, double Low, double High, double? Zero = null)
{
    private const double LogRatio = 5,
        ApartFactor = 1000,
        RateFloor = 0.01;

    public static CurveScale Of(BenchmarkResult comparison, CurveQuantity quantity)
    {
        var shown = comparison.Runs.SelectMany(r => Shown(r, quantity)).ToList();
        if (quantity.Target is { } target)
            shown.Add(target);
        if (shown.Count == 0)
            shown.Add(0);
        double low = shown.Min(),
            high = shown.Max(),
            smallest = shown.Where(v => v > 0).DefaultIfEmpty(0).Min(),
            ratio = high / smallest;
        if (quantity.IsRate)
        {
            double peak = comparison.Runs.Select(r => Shown(r, quantity).DefaultIfEmpty(0).Max()).Where(p => p > 0).DefaultIfEmpty(0).Min();
            (ratio, smallest) = (high / peak, Math.Max(smallest, RateFloor * peak));
        }
        if (quantity.HigherIsBetter || low < 0 || smallest == 0 || ratio <= LogRatio)
        {
            if (quantity.IsRate)
                low = Math.Min(low, 0);
            double margin =
                high > low ? 0.04 * (high - low)
                : high != 0 ? 0.5 * Math.Abs(high)
                : 1;
            return new(quantity.Name, false, low - margin, high + margin);
        }
        double room = Math.Max(1.1, Math.Pow(high / smallest, 0.04));
        return low >= smallest
            ? new($"{quantity.Name} (log scale)", true, low / room, high * room)
            : new(
                $"{quantity.Name} (log scale, 0 at the bottom)",
                true,
                smallest / Math.Pow(room, 3),
                high * room,
                smallest / Math.Pow(room, 2)
            );
    }

    /// <summary>Both ends of the axis.</summary>
    public (double Bottom, double Top) Limits => Log ? (Math.Log10(Low), Math.Log10(High)) : (Low, High);

    /// <summary>The position of a value on the axis. Values between 0 and the smallest other value are drawn at the line for 0.</summary>
    public double At(double value) => Log ? Math.Log10(Zero is { } zero ? Math.Max(zero, value) : value) : value;

    /// <summary>The position of a mark at a value: that of the value, or next to the nearer end of the axis if it is outside.</summary>
    public double Within(double value)
    {
        var (bottom, top) = Limits;
        double room = 0.02 * (top - bottom);
        return Math.Clamp(At(value), bottom + room, top - room);
    }

    /// <summary>The ticks of a logarithmic axis; none for a linear one.</summary>
    public IEnumerable<Mark> Marks =>
        !Log ? []
        : Zero is { } zero ? Decades.Marks(zero * zero / Low, High).Prepend(new(At(0), "0"))
        : Decades.Marks(Low, High);

    /// <summary>The values of a run that the axis must contain: all finite ones. Where lower is better, for a diverged run those up to its
    /// first value, and for one that came apart those up to a thousand times its first value.</summary>
    private static IEnumerable<double> Shown(TrainingRun run, CurveQuantity quantity)
    {
        var values = quantity.Points(run).Select(p => p.Value).ToList();
        double first = values.Count > 0 ? values[0] : double.NaN;
        double limit =
            quantity.IsRate || quantity.HigherIsBetter ? double.PositiveInfinity
            : run.Status == RunStatus.Diverged ? first
            : run.CameApart ? first + (ApartFactor - 1) * Math.Abs(first)
            : double.PositiveInfinity;
        return values.Where(v => double.IsFinite(v) && (v <= limit || double.IsNaN(limit)));
    }
}
