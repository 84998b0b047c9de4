using System.Diagnostics;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Where and how often a run saves itself.</summary>
/// <param name="Directory">One run's own folder.</param>
/// <param name="Resume">Whether to continue from the newest valid checkpoint, if there is one.</param>
/// <param name="Every">Training time between checkpoints; one more is written at the end.</param>
public sealed record CheckpointOptions(string Directory, bool Resume, TimeSpan Every);

/// <summary>Trains a workload with one optimizer at a time; holds the data. Seeds fix weights, data order and sampling, so that a run
/// is repeatable, and one that is resumed from a checkpoint is bit-identical to an uninterrupted one.</summary>
/// <remarks>A batch is drawn without replacement from the epoch's own permutation; what is left over at the end of an epoch is
/// dropped. The clock counts drawing the batch, forward, backward and the optimizer's whole step; evaluation and saving are not counted.</remarks>
public sealed class Trainer : IDisposable
{
    private const int MostEvaluations = 200, EvaluationChunk = 1000;
    private static readonly Dictionary<string, string> None = [];
    private readonly WorkloadData _data;

    /// <param name="workload">What to train.</param>
    /// <param name="dataDirectory">Where the data is, or null for the usual places.</param>
    /// <exception cref="FileNotFoundException">The data is missing; the message says how to get it.</exception>
    public Trainer(Workload workload, string? dataDirectory)
    {
        ArgumentNullException.ThrowIfNull(workload);
        Workload = workload;
        _data = workload.Load(dataDirectory);
        if (_data.Train.Count < workload.BatchSize)
            throw new ArgumentException($"The workload {workload.Name} has {_data.Train.Count} examples, fewer than its batch of {workload.BatchSize}.");
    }

    /// <summary>What is trained.</summary>
    public Workload Workload { get; }

    /// <summary>What it is trained on.</summary>
    public WorkloadData Data => _data;

    /// <summary>What monitors take their own time by; the system's if null.</summary>
    internal TimeProvider? MonitorClock { get; init; }

    /// <summary>Steps of an epoch.</summary>
    public long StepsPerEpoch => _data.Train.Count / Workload.BatchSize;

    // As many as the measured examples make: a pass over those costs a fixed share of the training.
    private long StepsPerEvaluation => Math.Max(1, (_data.Measured ?? _data.Train).Count / Workload.BatchSize);

    /// <summary>The options that a choice comes to: defaults, the workload's settings, then the choice's own.</summary>
    /// <exception cref="ArgumentException">An unknown optimizer or option, or a bad value.</exception>
    public OptimizerOptions Options(OptimizerChoice choice)
    {
        ArgumentNullException.ThrowIfNull(choice);
        var entry = OptimizerCatalog.Find(choice.Name);
        var own = Workload.Settings.GetValueOrDefault(entry.Name);
        var original = own is null ? Workload.Settings.GetValueOrDefault(entry.Variant ?? "") : null;
        return Settings.Apply(entry.OptionsType, [.. original ?? None, .. entry.Preset ?? [], .. own ?? None, .. choice.Settings]);
    }

    /// <summary>Refuses, before anything runs, a choice that cannot be made: a bad option, or a dense method on too large a model.</summary>
    /// <exception cref="ArgumentException">It cannot; one sentence says why.</exception>
    public void Check(OptimizerChoice choice)
    {
        var options = Options(choice);
        using var model = Workload.CreateModel();
        using var optimizer = OptimizerCatalog.Find(choice.Name).Create(model, options, Workload.Likelihood);
    }

    /// <summary>Trains a fresh model until the budget is used, the loss diverges, or <paramref name="stop"/>.</summary>
    /// <param name="choice">The optimizer and its settings.</param>
    /// <param name="seed">≥ 0.</param>
    /// <param name="budget">How long.</param>
    /// <param name="progress">Told about ten times a second, and at every evaluation.</param>
    /// <param name="checkpoint">Null to save nothing.</param>
    /// <param name="evaluated">Shown the model at every evaluation, the first before the first step and the last at the end; its time is not counted. It must not draw
    /// from torch's generator.</param>
    /// <param name="monitor">What of the curvature to watch; null for nothing. It changes neither the weights nor the clock.</param>
    /// <param name="monitored">Told every measurement, and every report of a second-order method's step, as they come; after a resume those before it, too.</param>
    /// <param name="stop">Ends the run after the step under way; what was done is returned (and saved).</param>
    /// <exception cref="InvalidDataException">A checkpoint to resume from is of another run, or all are damaged.</exception>
    public Run Train(OptimizerChoice choice, int seed, Budget budget, IProgress<RunProgress>? progress = null,
        CheckpointOptions? checkpoint = null, Action<nn.Module<Tensor, Tensor>, LossPoint>? evaluated = null,
        MonitorOptions? monitor = null, IProgress<MonitorLine>? monitored = null, CancellationToken stop = default)
    {
        ArgumentNullException.ThrowIfNull(budget);
        ArgumentOutOfRangeException.ThrowIfNegative(seed);
        var options = Options(choice);
        manual_seed(seed);
        using var model = Workload.CreateModel();
        using var optimizer = OptimizerCatalog.Find(choice.Name).Create(model, options, Workload.Likelihood);
        var record = new RunRecord(Workload.Name, choice.Name.ToLowerInvariant(), Settings.Describe(options), seed);
        var saver = checkpoint is null ? null : new RunSaver(checkpoint, model, optimizer);
        saver?.Resume(record);
        using var sample = monitor is null ? null : _data.Train.Sample(monitor.Examples, monitor.Seed);
        using var watch = monitor is null ? null : new CurvatureMonitor(model, Workload.Likelihood, sample!.Inputs, sample.Targets, optimizer, monitor, MonitorClock);
        if (watch is not null && record.Monitor is { } earlier)
        {
            watch.Restore(earlier);
            foreach (var row in earlier.Rows) Tell(row);
        }

        var clock = new Stopwatch();
        double told = double.NegativeInfinity, saved = record.Seconds, batchLoss = double.NaN;
        var status = RunStatus.Completed;
        if (record.Losses.Count == 0) Evaluate(model, record);
        Report(afterEvaluation: true);
        Tell(watch?.Observe(record.Step, record.Seconds));
        while (Fraction() < 1)
        {
            if (stop.IsCancellationRequested)
            {
                status = RunStatus.Interrupted;
                break;
            }
            clock.Restart();
            batchLoss = Step(model, optimizer, seed, record.Step);
            double seconds = clock.Elapsed.TotalSeconds;
            record.Add(seconds);
            if (!double.IsFinite(batchLoss))
            {
                status = RunStatus.Diverged;
                break;
            }
            Tell(watch?.Observe(record.Step, record.Seconds));
            bool due = record.Step % StepsPerEvaluation == 0 && Fraction() - record.EvaluatedAt >= 1.0 / MostEvaluations;
            if (due) Evaluate(model, record);
            if (due || record.Seconds - told > 0.1) Report(due);
            if (saver is not null && record.Seconds - saved >= checkpoint!.Every.TotalSeconds) Save();
        }
        if (status != RunStatus.Diverged) Tell(watch?.Measure(record.Step, record.Seconds));
        if (record.Losses[^1].Step != record.Step) Evaluate(model, record);
        if (status == RunStatus.Completed && !double.IsFinite(record.Losses[^1].Loss)) status = RunStatus.Diverged;
        Report(afterEvaluation: true);
        if (status != RunStatus.Diverged) Save();
        record.Monitor = watch?.Result ?? record.Monitor;
        optimizer.Train();                                       // what Eval() keeps beside is not state to be counted
        return record.ToRun(Workload.Target, optimizer, status);

        double Fraction() => budget.Seconds is { } s ? record.Seconds / s : (double)record.Step / (budget.Epochs!.Value * StepsPerEpoch);

        void Evaluate(nn.Module<Tensor, Tensor> m, RunRecord r)
        {
            optimizer.Eval();
            var (loss, metric) = Measure(m);
            r.Evaluated(loss, metric, Fraction());
            evaluated?.Invoke(m, r.Losses[^1]);
        }

        void Tell(MonitorRow? row)
        {
            if (row is not null) monitored?.Report(new(record.Optimizer, seed, row));
        }

        void Save()
        {
            record.Monitor = watch?.Result ?? record.Monitor;
            optimizer.Eval();                                    // a checkpoint holds the weights to be used
            saver?.Save(record);
            saved = record.Seconds;
        }

        void Report(bool afterEvaluation)
        {
            told = record.Seconds;
            double done = Math.Min(1, Fraction());
            double left = budget.Seconds is { } s ? Math.Max(0, s - record.Seconds) : done > 0 ? record.Seconds * (1 - done) / done : double.NaN;
            progress?.Report(new(choice.Name, seed, "", record.Step, record.Seconds, done, batchLoss, record.Losses[^1].Loss,
                record.Metric, record.RecentMillisecondsPerStep, left, afterEvaluation));
        }
    }

    /// <summary>One step on the batch of its number; the loss before it.</summary>
    internal double Step(nn.Module<Tensor, Tensor> model, Optimizer optimizer, int seed, long step)
    {
        using var scope = NewDisposeScope();
        var (x, y) = Batch(seed, step);
        if (optimizer is SecondOrderOptimizer secondOrder) return secondOrder.Step(x, y).LossBefore;
        if (optimizer is Kfac { EvaluatesLoss: true } kfac) return kfac.Step(x, y).LossBefore;
        optimizer.Train();
        optimizer.Observe(x, y);
        optimizer.zero_grad();
        var loss = Workload.Likelihood.Loss(model.call(x), y);
        loss.backward();
        optimizer.step();
        return loss.ToDouble();
    }

    /// <summary>The batch of a step: it depends on nothing but the seed and the step.</summary>
    private (Tensor X, Tensor Y) Batch(int seed, long step)
    {
        long epoch = step / StepsPerEpoch, index = step % StepsPerEpoch;
        if (_order is not { } order || _orderOf != (seed, epoch))
        {
            order = [.. Enumerable.Range(0, (int)_data.Train.Count)];
            new Random(unchecked((int)(seed * 1_000_003L + epoch))).Shuffle(order);
            (_order, _orderOf) = (order, (seed, epoch));
        }
        var rows = tensor(order.AsSpan((int)index * Workload.BatchSize, Workload.BatchSize).ToArray(), dtype: ScalarType.Int64);
        return (_data.Train.Inputs.index_select(0, rows), _data.Train.Targets.index_select(0, rows));
    }

    private int[]? _order;
    private (int Seed, long Epoch) _orderOf;

    /// <summary>Mean loss over the training set, mean metric over the held-out set.</summary>
    private (double Loss, double Metric) Measure(nn.Module<Tensor, Tensor> model)
    {
        using var off = no_grad();
        model.eval();
        double loss = Mean(_data.Measured ?? _data.Train, (f, y) => Workload.Likelihood.SumNegativeLogLikelihood(f, y), f => Workload.Likelihood.Terms(f));
        var held = _data.Test ?? _data.Train;
        double metric = Mean(held, Workload.Metric.Sum, f => f.shape[0]);
        model.train();
        return (loss, metric);

        double Mean(Dataset set, Func<Tensor, Tensor, Tensor> sum, Func<Tensor, long> terms)
        {
            double total = 0, count = 0;
            foreach (var (x, y) in set.Batches(EvaluationChunk))
            {
                using var scope = NewDisposeScope();
                var f = model.call(x);
                total += sum(f, y).to_type(ScalarType.Float64).ToDouble();
                count += terms(f);
            }
            return total / count;
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _data.Dispose();
}
