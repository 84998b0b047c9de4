namespace Amari.Training;

/// <summary>When to measure, so that measurements take about a share s of the run time.</summary>
/// <remarks><code>
/// due when   spent ≤ s / (1 - s) · training time
/// </code>
/// and, for the second one, when training has taken as long as the first measurement. A measurement is paid for afterwards: what one costs
/// need not be known before, and the share is exceeded by one measurement at most. The first one, at the start, warms up (code is compiled,
/// Lanczos starts cold) and is kept apart: a short run would never pay for it.</remarks>
internal sealed class MonitorSchedule(double share)
{
    private double _open,
        _apart;

    /// <summary>Seconds of the first measurement; null before it is complete.</summary>
    public double? First { get; private set; }

    /// <summary>Seconds of the first measurement and of those that were not waited for.</summary>
    public double Apart
    {
        get => _apart + (First ?? 0);
        set => _apart = value - (First ?? 0);
    }

    /// <summary>Seconds of the others.</summary>
    public double Spent { get; set; }

    /// <summary>Everything, what is under way included.</summary>
    public double Total => Apart + Spent + _open;

    /// <param name="trainingSeconds">Without the monitor's own.</param>
    public bool Due(double trainingSeconds) =>
        First is null || (share > 0 && (Spent > 0 || trainingSeconds >= First) && Spent + _open <= share / (1 - share) * trainingSeconds);

    /// <summary>Time was spent on a measurement.</summary>
    /// <param name="seconds">How much.</param>
    /// <param name="complete">Whether the measurement is done.</param>
    /// <param name="apart">Whether it was asked for out of turn, so that it is not part of the share.</param>
    public void Add(double seconds, bool complete, bool apart = false)
    {
        _open += seconds;
        if (!complete)
            return;
        if (First is null)
            First = _open;
        else if (apart)
            _apart += _open;
        else
            Spent += _open;
        _open = 0;
    }
}
