using Amari.Optimizers;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>The runs and trials of an earlier comparison that are not repeated.</summary>
/// <param name="earlier">The earlier comparison; null for none. Its interrupted runs and trials are repeated.</param>
internal sealed class EarlierRuns(BenchmarkResult? earlier)
{
    private readonly List<TrainingRun> _runs = [.. (earlier?.Runs ?? []).Where(r => r.Status != RunStatus.Interrupted)];
    private readonly List<Trial> _trials = [.. (earlier?.Trials ?? []).Where(t => t.Status != RunStatus.Interrupted)];

    public TrainingRun? Find(Trainer trainer, OptimizerChoice choice, int seed) =>
        _runs.Count == 0 ? null
        : Options(trainer, choice) is var options
            ? _runs.Find(r =>
                r.Optimizer.Equals(choice.Name, StringComparison.OrdinalIgnoreCase)
                && r.Seed == seed
                && r.Schedule == choice.Schedule
                && Same(r.Options, options)
            )
        : null;

    /// <summary>Removes and returns the first trial with these options and this budget; null if there is none.</summary>
    public Trial? Take(Trainer trainer, OptimizerChoice choice, Budget budget)
    {
        var options = Options(trainer, choice);
        int at = _trials.FindIndex(t =>
            t.Optimizer == choice.Name && t.Budget == budget && t.Schedule == choice.Schedule && Same(t.Options, options)
        );
        if (at < 0)
            return null;
        var trial = _trials[at];
        _trials.RemoveAt(at);
        return trial;
    }

    private static IReadOnlyDictionary<string, string> Options(Trainer trainer, OptimizerChoice choice) =>
        Settings.Describe(trainer.Options(choice));

    private static bool Same(IReadOnlyDictionary<string, string> a, IReadOnlyDictionary<string, string> b) =>
        a.Count == b.Count && a.All(p => b.TryGetValue(p.Key, out string? value) && value == p.Value);
}
