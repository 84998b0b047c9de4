namespace Amari.Training;

/// <summary>Decides when to measure, so that measurements take about a share s of the run time.</summary>
/// <remarks><code>
/// due when   spent ≤ s / (1 - s) · training time
/// </code>
/// The second measurement is due when training has taken as long as the first one. The cost of a measurement is paid afterwards, so it need
/// not be known before, and the share is exceeded by at most one measurement. The first one includes warm-up (compilation, a cold start of
/// Lanczos) and is accounted for separately, because a short run would never pay for it.</remarks>
internal sealed class MonitorSchedule(double share)
{
    private double _open,
        _apart;

    /// <summary>Seconds of the first measurement; null before it is complete.</summary>
    public double? First { get; private set; }

    /// <summary>Seconds of the first measurement and of those that were requested.</summary>
    public double Apart
    {
        get => _apart + (First ?? 0);
        set => _apart = value - (First ?? 0);
    }

    /// <summary>Seconds of the other measurements.</summary>
    public double Spent { get; set; }

    /// <summary>Seconds of all measurements, including the current one.</summary>
    public double Total => Apart + Spent + _open;

    /// <param name="trainingSeconds">Training time without the monitor's.</param>
    public bool Due(double trainingSeconds) =>
        First is null || (share > 0 && (Spent > 0 || trainingSeconds >= First) && Spent + _open <= share / (1 - share) * trainingSeconds);

    /// <summary>Adds the time of a measurement.</summary>
    /// <param name="seconds">The time.</param>
    /// <param name="complete">Whether the measurement is complete.</param>
    /// <param name="apart">Whether it was requested and therefore does not count towards the share.</param>
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
