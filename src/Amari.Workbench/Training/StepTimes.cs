namespace Amari.Training;

/// <summary>Milliseconds of a step (forward, backward and optimizer) over the newest steps of a run.</summary>
/// <param name="Low">The first quartile.</param>
/// <param name="Median">The median.</param>
/// <param name="High">The third quartile.</param>
public readonly record struct StepTimes(double Low, double Median, double High)
{
    /// <summary>The quartiles of times; NaN if there are none.</summary>
    internal static StepTimes Of(IReadOnlyCollection<double> times)
    {
        if (times.Count == 0)
            return new(double.NaN, double.NaN, double.NaN);
        double[] sorted = [.. times.Order()];
        return new(sorted[sorted.Length / 4], sorted[sorted.Length / 2], sorted[3 * sorted.Length / 4]);
    }
}
