using System.Text.Json.Serialization;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>The result of <c>compare</c>: all runs on one workload.</summary>
/// <param name="Workload">The name of the workload.</param>
/// <param name="Metric">The name of its metric.</param>
/// <param name="Target">The target of the runs.</param>
/// <param name="Budget">The budget of each run.</param>
/// <param name="Runs">Ordered by optimizer as requested; the seeds of an optimizer are consecutive.</param>
/// <param name="Trials">All tuning trials, if the optimizers were tuned.</param>
public sealed record BenchmarkResult(
    string Workload,
    string Metric,
    Target Target,
    Budget Budget,
    IReadOnlyList<TrainingRun> Runs,
    IReadOnlyList<Trial> Trials
)
{
    /// <summary>The workload's <see cref="Workloads.Workload.SettingValues"/>.</summary>
    public IReadOnlyDictionary<string, string> WorkloadSettings { get; init; } = new Dictionary<string, string>();

    /// <summary>Where the settings of the optimizers come from.</summary>
    public SettingsSource Settings { get; init; }

    /// <summary>The schedule of the runs; null if tuning chose it for each optimizer.</summary>
    public Schedule? Schedule { get; init; }

    /// <summary>Whether a higher value of the target's quantity is better.</summary>
    public bool HigherIsBetter { get; init; }

    /// <summary><see cref="Workloads.Workload.DefaultsChosenHere"/> of the workload.</summary>
    public bool DefaultsChosenHere { get; init; }

    /// <summary>The workload's data, network and size in one line.</summary>
    public string Description { get; init; } = "";

    /// <summary>Examples per training batch; 0 if unknown.</summary>
    public int BatchSize { get; init; }

    /// <summary>Number of held-out examples, by which runs are judged; null if there are none, or if it is unknown.</summary>
    public long? HeldOutExamples { get; init; }

    /// <summary>Results of a trainer, with the properties of its workload.</summary>
    internal static BenchmarkResult Of(Trainer trainer, Budget budget, IReadOnlyList<TrainingRun> runs, IReadOnlyList<Trial> trials) =>
        new(trainer.Workload.Name, trainer.Workload.Metric.Name, trainer.Target, budget, runs, trials)
        {
            WorkloadSettings = trainer.Workload.SettingValues,
            Description = trainer.Workload.Description,
            BatchSize = trainer.Workload.BatchSize,
            HeldOutExamples = trainer.Data.Test?.Count,
            HigherIsBetter = trainer.Target.HigherIsBetter(trainer.Workload.Metric),
            DefaultsChosenHere = trainer.Workload.DefaultsChosenHere,
            DataCaution = trainer.Data.Caution,
        };

    /// <summary>What is wrong with the data, in one sentence; null if nothing is known.</summary>
    [JsonInclude]
    internal string? DataCaution { get; init; }

    /// <summary>For each optimizer the result that it comes from, if several are joined; otherwise empty.</summary>
    internal IReadOnlyDictionary<string, ResultSource> Sources { get; init; } = new Dictionary<string, ResultSource>();

    /// <summary>How and where it was made; null if unknown.</summary>
    internal Provenance? Provenance { get; init; }
}
