namespace Amari.Training;

/// <summary>The cost of a step in training, from the timed steps of a calibration.</summary>
/// <remarks>The calibration repeats a cycle of steps, and the same work is due at the same position of each cycle. A position costs the
/// median of its times over the cycles, which a process that runs now and then does not change. Positions are ordered by cost, and the
/// more expensive a position, the rarer its kind. The spread of the mean takes, of each position, the quartile in place of the
/// median.</remarks>
internal sealed class StepProfile
{
    private readonly int[] _calibrated,
        _intervals;
    private readonly (Quartiles Wall, double Cpu, double[] Times)[] _positions; // ascending by median

    /// <param name="steps">Whole cycles of steps.</param>
    /// <param name="calibrated">The intervals of the calibration, ascending; the last is the length of a cycle. None: all steps are
    /// alike.</param>
    /// <param name="intervals">The intervals in training.</param>
    public StepProfile(IReadOnlyList<TimedStep> steps, int[] calibrated, int[] intervals)
    {
        (_calibrated, _intervals) = (calibrated, intervals);
        int cycle = calibrated.LastOrDefault(1);
        _positions =
        [
            .. Enumerable
                .Range(0, cycle)
                .Select(position => steps.Where((_, i) => i % cycle == position).ToList())
                .Select(at =>
                    (
                        Quartiles.Of(at.Select(s => s.Milliseconds)),
                        at.Average(s => s.CpuMilliseconds),
                        at.Select(s => s.Milliseconds).ToArray()
                    )
                )
                .OrderBy(p => p.Item1.Median),
        ];
        Spread = Quartiles.Of(quartile => Mean(p => quartile(p.Wall)));
    }

    /// <summary>The milliseconds of a step, mean over the kinds of steps.</summary>
    public Quartiles Spread { get; }

    /// <summary>The processor milliseconds of a step, mean over the kinds.</summary>
    public double CpuMilliseconds => Mean(p => p.Cpu);

    /// <summary>The kinds of steps, from the most frequent to the rarest.</summary>
    /// <param name="options">The options of an interval.</param>
    public IReadOnlyList<StepKind> Kinds(Func<int, IReadOnlyList<string>> options)
    {
        var ranks = Planner.Ranks(_positions.Length, _calibrated);
        return
        [
            .. ranks.Select(
                (range, kind) =>
                {
                    double[] times = [.. _positions[range].SelectMany(p => p.Times)];
                    int interval = kind == 0 ? 1 : _intervals[kind - 1];
                    return new StepKind(
                        interval,
                        kind == 0 ? [] : options(interval),
                        Planner.Share(_intervals, kind),
                        times.Length,
                        Quartiles.Of(times)
                    );
                }
            ),
        ];
    }

    private double Mean(Func<(Quartiles Wall, double Cpu, double[] Times), double> cost) =>
        Planner.Mean([.. _positions.Select(cost)], _calibrated, _intervals);
}
