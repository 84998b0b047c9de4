using Amari.Reporting;
using Amari.Training;

namespace Amari.Benchmarks.Results;

/// <summary>When each optimizer has the held-out loss at which the best first-order method ends, with the same seed.</summary>
/// <remarks>The seconds, or the steps, are compared as ratios, by a <see cref="PairedTest"/> of their logarithms over the seeds, with
/// Holm's correction. A run that does not get there counts with its whole length, and never less than the reference. The reference itself
/// counts with the time to its own end. Loss curves are convex as a rule and lie below the line between two evaluations, so that these
/// times are rather too long.</remarks>
internal sealed class Race
{
    private const double MinSeconds = 1e-3;
    private static readonly string[] FirstOrder = ["sgd", "adamw", "lion", "routed-muon", "muon", "schedulefree-adamw"];
    private readonly Dictionary<int, TrainingRun> _reference;

    private Race(Summary reference, IReadOnlyList<Summary> others)
    {
        (Reference, _reference) = (reference, reference.Runs.ToDictionary(r => r.Seed));
        (Seconds, Steps) = (Tests(others, bySteps: false), Tests(others, bySteps: true));
    }

    /// <summary>The first-order method with the lowest mean held-out loss at the end, on the scale of <see cref="EndTest"/>.</summary>
    public Summary Reference { get; }

    /// <summary>The test of every other optimizer without trouble: of log (its seconds / the reference's), and the corrected p.</summary>
    public IReadOnlyDictionary<string, (PairedTest Test, double P)?> Seconds { get; }

    /// <summary>The same with steps.</summary>
    public IReadOnlyDictionary<string, (PairedTest Test, double P)?> Steps { get; }

    /// <summary>The race of a comparison; null if no first-order method ended without trouble.</summary>
    public static Race? Of(IReadOnlyList<Summary> all)
    {
        var stable = all.Where(s => s.IsStable && s.Runs.All(r => double.IsFinite(r.FinalHeldOutLoss))).ToList();
        var scale = EndTest.Of(all).Scale;
        return
            stable.Where(s => FirstOrder.Contains(s.Optimizer)).MinBy(s => s.Runs.Average(r => scale.Of(r.FinalHeldOutLoss)))
                is { } reference
            ? new(reference, [.. stable.Where(s => s != reference)])
            : null;
    }

    /// <summary>The seconds and steps of a run to the reference's end with its seed, linear between evaluations; null if it does not get
    /// there.</summary>
    public (double Seconds, double Steps)? Reached(TrainingRun run)
    {
        if (run.HeldOut.Count == 0 || !_reference.TryGetValue(run.Seed, out var reference))
            return null;
        double end = reference.FinalHeldOutLoss;
        var before = run.HeldOut[0];
        foreach (var point in run.HeldOut)
        {
            if (point.Loss <= end)
            {
                double share = before.Loss > end ? (before.Loss - end) / (before.Loss - point.Loss) : 1;
                return (before.Seconds + share * (point.Seconds - before.Seconds), before.Step + share * (point.Step - before.Step));
            }
            before = point;
        }
        return null;
    }

    private Dictionary<string, (PairedTest Test, double P)?> Tests(IReadOnlyList<Summary> others, bool bySteps)
    {
        PairedTest[] tests =
        [
            .. others.Select(s =>
                PairedTest.Of([.. s.Runs.Where(r => _reference.ContainsKey(r.Seed)).Select(r => Math.Log(Ratio(r, bySteps)))])
            ),
        ];
        double[] p = Holm.Adjust([.. tests.Select(t => t.P)]);
        return others.Index().ToDictionary(s => s.Item.Optimizer, s => ((PairedTest, double)?)(tests[s.Index], p[s.Index]));
    }

    private double Ratio(TrainingRun run, bool bySteps)
    {
        double reference = Cost(Reached(_reference[run.Seed])!.Value);
        return Reached(run) is { } reached ? Cost(reached) / reference : Math.Max(1, (bySteps ? run.Steps : run.Seconds) / reference);

        double Cost((double Seconds, double Steps) to) => bySteps ? Math.Max(1, to.Steps) : Math.Max(MinSeconds, to.Seconds);
    }
}
