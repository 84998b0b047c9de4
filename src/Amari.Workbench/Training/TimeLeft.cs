namespace Amari.Training;

/// <summary>Estimates how long the rest of a comparison takes: warm-ups, trials and runs with their evaluations, by the wall time of what
/// is done.</summary>
/// <remarks>Seconds per second or epoch of a part come from parts of the same kind: of any workload first, then of its own, then of its
/// optimizer, each correcting the estimate before. Until a part with a budget in seconds is known, evaluation is assumed to add a
/// tenth.</remarks>
internal sealed class TimeLeft(TimeProvider? clock = null)
{
    private const double Overhead = 1.1; // wall time by training time, before anything is known
    private const double PriorWeight = 0.1; // of the estimate before, in parts
    private const double MinShare = 0.1; // of the current part, before it counts as known

    private readonly TimeProvider _clock = clock ?? TimeProvider.System;
    private readonly List<WorkPart> _planned = [];
    private readonly List<(WorkPart Part, double Used, double Wall)> _done = [];
    private (WorkPart Part, long Start)? _current;
    private double? _from; // share of the current part that an earlier process did
    private double _share;

    /// <summary>Adds parts to do.</summary>
    public void Plan(IEnumerable<WorkPart> parts) => _planned.AddRange(parts);

    /// <summary>Removes a part that need not be done.</summary>
    public void Skip(WorkPart part) => _planned.Remove(part);

    /// <inheritdoc cref="Measure{T}"/>
    public void Measure(WorkPart part, Action work) =>
        Measure(
            part,
            () =>
            {
                work();
                return part;
            }
        );

    /// <summary>Does a part.</summary>
    public T Measure<T>(WorkPart part, Func<T> work)
    {
        Skip(part);
        (_current, _from, _share) = ((part, _clock.GetTimestamp()), null, 0);
        try
        {
            return work();
        }
        finally
        {
            _done.Add(Current(part.IsWarmUp ? 1 : _share));
            _current = null;
        }
    }

    /// <summary>The seconds left; null if they cannot be estimated yet.</summary>
    /// <param name="share">The share of the current part that is done, 0..1.</param>
    /// <param name="hasEnded">Whether it has ended, perhaps early.</param>
    public double? After(double share, bool hasEnded)
    {
        _from ??= share;
        _share = share;
        List<(WorkPart Part, double Used, double Wall)> known = [.. _done];
        if (_current is not null && share - _from >= MinShare)
            known.Add(Current(share));
        double seconds = _planned.Sum(p => p.Amount * Rate(p, known));
        if (_current is { Part: var current } && !hasEnded)
            seconds += (1 - share) * current.Amount * Rate(current, known);
        return double.IsFinite(seconds) ? Math.Max(0, seconds) : null;
    }

    private (WorkPart Part, double Used, double Wall) Current(double share)
    {
        var (part, start) = _current!.Value;
        return (part, (share - (_from ?? 0)) * part.Amount, _clock.GetElapsedTime(start).TotalSeconds);
    }

    /// <summary>Seconds of wall time per second or epoch of a part; NaN if unknown.</summary>
    private static double Rate(WorkPart part, IReadOnlyList<(WorkPart Part, double Used, double Wall)> known)
    {
        double rate =
            part.IsWarmUp ? 1
            : part.Budget.Seconds is null ? double.NaN
            : Overhead;
        foreach (
            var isNear in (Func<WorkPart, bool>[])
                [_ => true, p => p.Workload == part.Workload, p => p.Workload == part.Workload && p.Optimizer == part.Optimizer]
        )
        {
            double used = 0,
                wall = 0;
            foreach (var (done, amount, seconds) in known)
                if (done.IsLike(part) && isNear(done))
                    (used, wall) = (used + amount, wall + seconds);
            double prior = double.IsNaN(rate) ? 0 : PriorWeight * part.Amount;
            if (used > 0)
                rate = ((prior > 0 ? rate * prior : 0) + wall) / (prior + used);
        }
        return rate;
    }
}
