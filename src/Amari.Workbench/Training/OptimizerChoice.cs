using Amari.Optimizers;
using Amari.Reporting;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>An optimizer and its settings as on the command line. Missing settings take the workload's setting or the default.</summary>
/// <param name="Name">The name in the catalog.</param>
/// <param name="Settings">Option names (any case, with or without hyphens; <c>lr</c> for the learning rate) and values.</param>
public sealed record OptimizerChoice(string Name, IReadOnlyDictionary<string, string> Settings)
{
    /// <summary>The schedule of the learning rate. Null: a constant rate in <see cref="Trainer.Train"/>; in
    /// <see cref="OptimizerBenchmark"/> <see cref="Schedule.Default"/>, or what tuning finds.</summary>
    public Schedule? Schedule { get; init; }
}
