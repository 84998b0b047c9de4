namespace Amari.Training;

/// <summary>When to measure, so that measurements take about a share s of the run time.</summary>
/// <remarks><code>
/// due when   spent ≤ s / (1 - s) · training time
/// </code>A measurement is paid for afterwards: what one costs need not be known before, and the share is exceeded by one measurement at most. The first one, at the start, warms up
/// (code is compiled, Lanczos starts cold) and is kept apart: a short run would never pay for it.</remarks>
internal sealed class MonitorSchedule(double share)
{
    private double _open;

    /// <summary>Seconds of the first measurement; null before it is complete.</summary>
    public double? First { get; set; }

    /// <summary>Seconds of the others.</summary>
    public double Spent { get; set; }

    /// <summary>Everything, what is under way included.</summary>
    public double Total => (First ?? 0) + Spent + _open;

    /// <param name="trainingSeconds">Without the monitor's own.</param>
    public bool Due(double trainingSeconds) => First is null || (share > 0 && Spent + _open <= share / (1 - share) * trainingSeconds);

    /// <summary>Time was spent on a measurement.</summary>
    /// <param name="seconds">How much.</param>
    /// <param name="complete">Whether the measurement is done.</param>
    public void Add(double seconds, bool complete)
    {
        _open += seconds;
        if (!complete) return;
        if (First is null) First = _open;
        else Spent += _open;
        _open = 0;
    }
}
