using Amari.Distributed;
using Amari.Optimizers;
using Amari.Training;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Benchmarks.Faults;

/// <summary>Batches and gradients that are not finite, with every optimizer.</summary>
internal sealed class BadBatches : IFaultKind
{
    private const int Steps = 60;

    /// <inheritdoc/>
    public string Name => "batches";

    /// <inheritdoc/>
    public string Promise => "a batch with a gradient that is not finite changes nothing, is counted and reported, and training continues";

    /// <inheritdoc/>
    public string? Missing => null;

    /// <inheritdoc/>
    public IEnumerable<Fault> Inject(string folder, Random random, int repeats)
    {
        foreach (var entry in OptimizerCatalog.All)
        {
            string name =
                !entry.Takes(new Categorical()) ? "diabetes-mlp"
                : entry.EvaluatesLoss ? "digits-softmax" // some form dense matrices
                : "digits-mlp";
            var workload = WorkloadCatalog.Find(name, null);
            using var data = workload.Load(null);
            for (int i = 0; i < repeats; i++)
                foreach (var fault in Train(workload, data, entry, random))
                    yield return fault;
        }
    }

    private static List<Fault> Train(Workload workload, WorkloadData data, OptimizerEntry entry, Random random)
    {
        manual_seed(random.NextInt64());
        using var model = workload.CreateModel();
        using var optimizer = entry.Create(model, Settings.Apply(entry.OptionsType, entry.Preset ?? []), workload.Likelihood);
        var batches = new Distributed.ShardedBatches(data.Train.Count, 128, 1, dropLast: true);
        var faults = new List<Fault>();
        for (int step = 0; step < (entry.EvaluatesLoss ? Steps / 6 : Steps); step++)
        {
            using var scope = NewDisposeScope();
            using var rows = tensor(batches.Rows(step).ToArray(), dtype: ScalarType.Int64);
            var (x, y) = (data.Train.Inputs.index_select(0, rows), data.Train.Targets.index_select(0, rows));
            string? what = random.Next(4) > 0 ? null : Spoil(x, random);
            Tensor[] before = [.. model.parameters().Select(p => p.detach().clone())];
            long skipped = optimizer.SkippedSteps;
            string? loss = null;
            try
            {
                Endurance.Step(workload, model, optimizer, x, y);
            }
            catch (Exception e)
            {
                loss = $"{e.GetType().Name}: {e.Message.Split('\n')[0]}";
            }
            if (what is null && loss is null)
                continue;
            loss ??=
                optimizer.SkippedSteps == skipped ? "it was not counted"
                : model.parameters().Zip(before).Any(p => !p.First.bytes.SequenceEqual(p.Second.bytes)) ? "the weights moved"
                : null;
            faults.Add(new($"{entry.Name}, step {step}: {what ?? "a good batch"}", loss));
        }
        if (model.parameters().Any(p => !p.isfinite().all().item<bool>()))
            faults.Add(new(entry.Name, "its weights are not finite at the end"));
        return faults;
    }

    private static string Spoil(Tensor x, Random random)
    {
        float value = random.Next(3) switch
        {
            0 => float.NaN,
            1 => float.PositiveInfinity,
            _ => float.NegativeInfinity,
        };
        int row = random.Next((int)x.shape[0]);
        if (random.Next(2) == 0)
            x.fill_(value);
        else
            x[row].fill_(value);
        return FormattableString.Invariant($"{value} in the inputs");
    }
}
