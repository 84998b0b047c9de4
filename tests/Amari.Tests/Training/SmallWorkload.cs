using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>What the workloads of these tests have in common: the digits, in classes, for one epoch.</summary>
internal abstract class SmallWorkload(string name, int batchSize) : Workload
{
    public override string Name => name;
    public override string Description => Name;
    public override int BatchSize => batchSize;
    public override Likelihood Likelihood { get; } = new Categorical();
    public override Metric Metric => Metric.Accuracy;
    public override Target Target => new(Target.Loss, 0);
    public override Budget DefaultBudget => Budget.OfEpochs(1);

    public override WorkloadData Load(string? directory) => Amari.Workloads.Data.Digits.Load();
}
