using Amari.Distributed;
using Amari.Native;
using Amari.Optimizers;
using Amari.Workloads;

namespace Amari.Training;

// The batch of a step, the step, and the evaluation of a model.
public sealed partial class Trainer
{
    /// <summary>One step on the batch of that number. Returns the loss before it.</summary>
    internal double Step(nn.Module<Tensor, Tensor> model, Optimizer optimizer, int seed, long step)
    {
        using var parallel = new DataParallel(model, SingleProcess.Instance);
        return Step(model, optimizer, parallel, seed, step).Loss;
    }

    /// <summary>One step. Returns the loss of this rank's part of the batch before the step, and its number of terms.</summary>
    internal (double Loss, double Weight) Step(
        nn.Module<Tensor, Tensor> model,
        Optimizer optimizer,
        DataParallel parallel,
        int seed,
        long step
    )
    {
        using var scope = NewDisposeScope();
        var (x, y) = Batch(seed, step);
        if (_ranks.Size > 1)
            optimizer.BatchPart = _data.Draw is null
                ? _batches!.Value.Batches.Part(step)
                : BatchPart.Of(BatchSize, _ranks.Rank, _ranks.Size);
        if (optimizer.EvaluatesLoss)
            return (optimizer.StepOnBatch(x, y).LossBefore, 1);
        optimizer.Train();
        optimizer.UpdateCurvature(x, y);
        optimizer.zero_grad();
        var f = ForwardFailure.Call(model, x);
        double weight = _ranks.Size == 1 ? 1 : Workload.Likelihood.Terms(f, y);
        var loss = Workload.Likelihood.Loss(f, y);
        if (_ranks.Size > 1)
            parallel.Weight = weight;
        ReverseMode.Backward(loss);
        parallel.AverageGradients();
        optimizer.step();
        return (loss.ToDouble(), weight);
    }

    /// <summary>This rank's part of the batch of a step. The batch depends only on the seed and the step.</summary>
    internal (Tensor X, Tensor Y) Batch(int seed, long step)
    {
        if (_data.Draw is { } draw)
        {
            using var all = draw(seed, step);
            var part = BatchPart.Of(Drawn(all.Count), _ranks.Rank, _ranks.Size);
            return (all.Inputs.narrow(0, part.Start, part.Length), all.Targets.narrow(0, part.Start, part.Length));
        }
        if (_batches?.Seed != seed)
            _batches = (seed, new(_data.Train.Count, BatchSize, seed, _ranks.Rank, _ranks.Size, dropLast: true));
        var rows = tensor(_batches.Value.Batches.Rows(step).ToArray(), dtype: ScalarType.Int64);
        return (_data.Train.Inputs.index_select(0, rows), _data.Train.Targets.index_select(0, rows));
    }

    /// <exception cref="InvalidOperationException">The number of drawn examples is not that of a batch.</exception>
    private long Drawn(long count) =>
        count == BatchSize
            ? count
            : throw new InvalidOperationException(
                $"The workload {Workload.Name} drew {count} examples for a step; its batch has {BatchSize}."
            );

    /// <summary>Evaluates a model in evaluation mode.</summary>
    internal Measurement Measure(nn.Module<Tensor, Tensor> model)
    {
        using var off = no_grad();
        model.eval();
        var (loss, metric) = Means(_data.Measured ?? _data.Train);
        (double Loss, double Metric)? heldOut = _data.Test is { } test ? Means(test) : null;
        double? ofModel = OfModel(model);
        var table = Workload.Describe(model);
        model.train();
        return new(loss, heldOut?.Loss ?? (ofModel is null ? null : double.NaN), ofModel ?? heldOut?.Metric ?? metric) { Table = table };

        (double Loss, double Metric) Means(Dataset set)
        {
            var sums = new double[4]; // of losses, their terms, metrics, their summands
            var count = Workload.Metric.Count ?? ((f, _) => f.shape[0]);
            int chunk = (int)Math.Min(WorkloadData.EvaluationChunk, (set.Count + _ranks.Size - 1) / _ranks.Size),
                index = 0;
            foreach (var (x, y) in set.Batches(_ranks.Size == 1 ? WorkloadData.EvaluationChunk : chunk))
            {
                if (index++ % _ranks.Size != _ranks.Rank)
                    continue;
                using var scope = NewDisposeScope();
                var f = ForwardFailure.Call(model, x);
                sums[0] += Workload.Likelihood.SumNegativeLogLikelihood(f, y).to_type(ScalarType.Float64).ToDouble();
                sums[1] += Workload.Likelihood.Terms(f, y);
                if (Workload.Metric.OfModel is not null)
                    continue;
                sums[2] += Workload.Metric.Sum(f, y).to_type(ScalarType.Float64).ToDouble();
                sums[3] += count(f, y);
            }
            sums = _ranks.Sum(sums);
            return (sums[0] / sums[1], sums[2] / sums[3]);
        }
    }

    /// <summary>The metric of the model itself; null if it is one over examples. All ranks get what the first one measures.</summary>
    private double? OfModel(nn.Module<Tensor, Tensor> model)
    {
        if (Workload.Metric.OfModel is not { } measure)
            return null;
        using var scope = NewDisposeScope();
        double value = _ranks.Rank == 0 ? measure(model) : 0;
        return _ranks.Size > 1 ? _ranks.Sum(value)[0] : value;
    }
}
