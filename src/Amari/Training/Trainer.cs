using System.Diagnostics;
using Amari.Distributed;
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
/// dropped. The clock counts drawing the batch, forward, backward and the optimizer's whole step; evaluation and saving are not counted, nor are
/// the steps of a throw-away model by which <see cref="Comparer"/> has code compiled before the first run.
/// <para>Where the weights to be used are not those in training (<see cref="ScheduleFree"/>), an evaluation takes BatchNorm's statistics anew at the former, from ten batches, and then
/// puts back those of training, which are also what a checkpoint holds.</para>
/// <para>With a communicator of several ranks, each takes its part of every batch and gradients are averaged: the run is that of one process to rounding (BatchNorm
/// normalises each part by its own statistics; random draws differ from rank to rank). All ranks make the same calls; progress, monitors, evaluations' callbacks and files are rank 0's.</para></remarks>
public sealed class Trainer : IDisposable
{
    private const int MostEvaluations = 200, EvaluationChunk = 1000, StatisticsBatches = 10, WarmUpSteps = 3;
    private const double WarmUpSeconds = 1;                     // after which no further one of these begins
    private readonly WorkloadData _data;
    private readonly Communicator _ranks;
    private (int Seed, ShardedBatches Batches)? _batches;

    /// <param name="workload">What to train.</param>
    /// <param name="dataDirectory">Where the data is, or null for the usual places.</param>
    /// <param name="communicator">The ranks that train together; null for this process alone. Not owned.</param>
    /// <exception cref="FileNotFoundException">The data is missing; the message says how to get it.</exception>
    /// <exception cref="ArgumentException">Too few examples for the batch, or the batch for the ranks; or a target that is not one of the loss.</exception>
    public Trainer(Workload workload, string? dataDirectory, Communicator? communicator = null)
    {
        ArgumentNullException.ThrowIfNull(workload);
        Workload = workload;
        if (workload.Target is not { Metric: Target.Loss } || !double.IsFinite(workload.Target.Value))
            throw new ArgumentException(FormattableString.Invariant($"The target of {workload.Name} is {workload.Target.Metric} {workload.Target.Value}; runs are timed to a finite value of the {Target.Loss}."));
        _ranks = communicator ?? SingleProcess.Instance;
        if (workload.BatchSize < _ranks.Size)
            throw new ArgumentException($"A batch of {workload.BatchSize} cannot be divided over {_ranks.Size} ranks.");
        _data = workload.Load(dataDirectory).Aligned();
        if (_data.Train.Count < workload.BatchSize)
            throw new ArgumentException($"The workload {workload.Name} has {_data.Train.Count} examples, fewer than its batch of {workload.BatchSize}.");
    }

    /// <summary>What is trained.</summary>
    public Workload Workload { get; }

    /// <summary>What it is trained on.</summary>
    public WorkloadData Data => _data;

    /// <summary>Whether elementwise optimizers divide their state over the ranks (ZeRO stage 1); checkpoints are the same either way.</summary>
    public bool ShardState { get; init; }

    /// <summary>How gradients travel between ranks.</summary>
    public DataParallel.Options Parallelism { get; init; } = new();

    /// <summary>Seconds that the last run's ranks (this one) spent on gradients' way to the others; 0 in one process.</summary>
    public double GradientSeconds { get; private set; }

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
        return Settings.Apply(entry.OptionsType, [.. entry.SettingsIn(Workload), .. choice.Settings]);
    }

    /// <summary>Refuses, before anything runs, a choice that cannot be made: a bad option, or a dense method on too large a model.</summary>
    /// <exception cref="ArgumentException">It cannot; one sentence says why.</exception>
    public void Check(OptimizerChoice choice)
    {
        var options = Options(choice);
        using var model = Workload.CreateModel();
        using var optimizer = OptimizerCatalog.Find(choice.Name).Create(model, options, Workload.Likelihood);
        try
        {
            optimizer.Distribute(_ranks, ShardState);
        }
        catch (NotSupportedException e)
        {
            throw new ArgumentException(e.Message, nameof(choice), e);
        }
    }

    /// <summary>Refuses, before anything is trained, checkpoints that the run could not be saved to or continued from. Rank 0's alone.</summary>
    /// <exception cref="ArgumentException">As of <see cref="Train"/>.</exception>
    /// <exception cref="InvalidDataException">All checkpoints are damaged.</exception>
    internal void Check(OptimizerChoice choice, int seed, CheckpointOptions checkpoint)
    {
        if (_ranks.Rank == 0) RunSaver.Check(checkpoint, RecordOf(choice, Options(choice), seed));
    }

    private RunRecord RecordOf(OptimizerChoice choice, OptimizerOptions options, int seed) =>
        new(Workload.Name, choice.Name.ToLowerInvariant(), Settings.Describe(options), seed);

    /// <summary>Steps of a model that is thrown away, so that the first run's clock does not count what is compiled or loaded once. No run depends on it: each seeds torch's
    /// generator anew.</summary>
    /// <param name="choice">The optimizer and its settings.</param>
    /// <param name="longest">Seconds, after a few steps, to wait for .NET to have compiled them.</param>
    internal void WarmUp(OptimizerChoice choice, double longest)
    {
        manual_seed(0);
        using var model = Workload.CreateModel();
        using var optimizer = OptimizerCatalog.Find(choice.Name).Create(model, Options(choice), Workload.Likelihood);
        optimizer.Distribute(_ranks, ShardState);
        using var parallel = new DataParallel(model, _ranks, Parallelism);
        var clock = Stopwatch.StartNew();
        var compilation = new Compilation();
        for (int step = 0; _ranks.Sum(GoesOn(step) ? 1 : 0)[0] > 0; step++)   // as many on all ranks
            Step(model, optimizer, parallel, seed: 0, step);

        bool GoesOn(int step)
        {
            double seconds = clock.Elapsed.TotalSeconds;
            bool compiled = compilation.IsOver(seconds);
            return step < WarmUpSteps ? seconds < WarmUpSeconds : seconds < longest && !compiled;
        }
    }

    /// <summary>Whether any rank was asked to stop; the same on all.</summary>
    internal bool IsStopped(CancellationToken stop) =>
        _ranks.Size == 1 ? stop.IsCancellationRequested : _ranks.Sum(stop.IsCancellationRequested ? 1 : 0)[0] > 0;

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
    /// <exception cref="ArgumentException">A bad choice; or checkpoints are of another run, of one that was not to be resumed, or cannot be written.</exception>
    /// <exception cref="InvalidDataException">All checkpoints are damaged.</exception>
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
        optimizer.Distribute(_ranks, ShardState);
        var record = RecordOf(choice, options, seed);
        var saver = checkpoint is null ? null : new RunSaver(checkpoint, model, optimizer, _ranks);
        saver?.Resume(record);
        using var parallel = new DataParallel(model, _ranks, Parallelism);
        if (_ranks.Rank > 0)
        {
            manual_seed(HashSeed.Of(seed, record.Step, _ranks.Rank));
            (progress, monitor, evaluated) = (null, null, null);
        }
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
        bool stopping = false;                                  // agreed on by all ranks
        if (record.Losses.Count == 0) Evaluate(model, record);
        Report(afterEvaluation: true);
        Tell(watch?.Observe(record.Step, record.Seconds));
        while (Fraction() < 1)
        {
            if (_ranks.Size == 1) stopping = stop.IsCancellationRequested;
            if (stopping)
            {
                status = RunStatus.Interrupted;
                break;
            }
            clock.Restart();
            (batchLoss, double weight) = Step(model, optimizer, parallel, seed, record.Step);
            double seconds = clock.Elapsed.TotalSeconds;
            if (_ranks.Size > 1)
            {
                double[] sums = _ranks.Sum(weight * batchLoss, weight, _ranks.Rank == 0 ? seconds : 0, stop.IsCancellationRequested ? 1 : 0);
                (batchLoss, seconds, stopping) = (sums[0] / sums[1], sums[2], sums[3] > 0);
            }
            record.Add(seconds);
            if (!double.IsFinite(batchLoss))
            {
                status = RunStatus.Diverged;
                break;
            }
            Tell(watch?.Observe(record.Step, record.Seconds));
            bool due = record.Step % StepsPerEvaluation == 0 && Fraction() - Share(record.Losses[^1].Step, record.Losses[^1].Seconds) >= 1.0 / MostEvaluations;
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
        GradientSeconds = parallel.Seconds;
        optimizer.Train();                                       // what Eval() keeps beside is not state to be counted
        return record.ToRun(Workload.Target, optimizer, status);

        double Fraction() => Share(record.Step, record.Seconds);

        double Share(long steps, double seconds) => budget.Seconds is { } s ? seconds / s : (double)steps / (budget.Epochs!.Value * StepsPerEpoch);

        void Evaluate(nn.Module<Tensor, Tensor> m, RunRecord r)
        {
            parallel.AverageBuffers();
            optimizer.Eval();
            using var statistics = optimizer.Evaluating && r.Step > 0 ? new RetakenStatistics(m, StatisticsBatches, i => Batch(seed, r.Step + i).X) : null;
            if (statistics is { Any: true }) parallel.AverageBuffers();
            var (loss, metric) = Measure(m);
            r.Evaluated(loss, metric);
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
            if (saver is not null) parallel.AverageBuffers();
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
        using var parallel = new DataParallel(model, SingleProcess.Instance);
        return Step(model, optimizer, parallel, seed, step).Loss;
    }

    /// <summary>The loss of this rank's part of the batch before the step, and the terms that it is the mean of.</summary>
    private (double Loss, double Weight) Step(nn.Module<Tensor, Tensor> model, Optimizer optimizer, DataParallel parallel, int seed, long step)
    {
        using var scope = NewDisposeScope();
        var (x, y) = Batch(seed, step);
        if (optimizer is SecondOrderOptimizer secondOrder) return (secondOrder.Step(x, y).LossBefore, 1);
        if (optimizer is Kfac { EvaluatesLoss: true } kfac) return (kfac.Step(x, y).LossBefore, 1);
        optimizer.Train();
        optimizer.Observe(x, y);
        optimizer.zero_grad();
        var f = model.call(x);
        double weight = _ranks.Size == 1 ? 1 : Workload.Likelihood.Terms(f);
        var loss = Workload.Likelihood.Loss(f, y);
        if (_ranks.Size > 1) parallel.Weight = weight;
        loss.backward();
        parallel.AverageGradients();
        optimizer.step();
        return (loss.ToDouble(), weight);
    }

    /// <summary>This rank's part of the batch of a step: the batch depends on nothing but the seed and the step.</summary>
    private (Tensor X, Tensor Y) Batch(int seed, long step)
    {
        if (_batches?.Seed != seed) _batches = (seed, new(_data.Train.Count, Workload.BatchSize, seed, _ranks.Rank, _ranks.Size, dropLast: true));
        var rows = tensor(_batches.Value.Batches.Rows(step).ToArray(), dtype: ScalarType.Int64);
        return (_data.Train.Inputs.index_select(0, rows), _data.Train.Targets.index_select(0, rows));
    }

    /// <summary>Mean loss over the training set, or its measured part; mean metric over the held-out set, or where the loss is from.</summary>
    private (double Loss, double Metric) Measure(nn.Module<Tensor, Tensor> model)
    {
        using var off = no_grad();
        model.eval();
        double loss = Mean(_data.Measured ?? _data.Train, (f, y) => Workload.Likelihood.SumNegativeLogLikelihood(f, y), f => Workload.Likelihood.Terms(f));
        var held = _data.Test ?? _data.Measured ?? _data.Train;
        double metric = Mean(held, Workload.Metric.Sum, f => f.shape[0]);
        model.train();
        return (loss, metric);

        double Mean(Dataset set, Func<Tensor, Tensor, Tensor> sum, Func<Tensor, long> terms)
        {
            double total = 0, count = 0;
            int chunk = (int)Math.Min(EvaluationChunk, (set.Count + _ranks.Size - 1) / _ranks.Size), index = 0;
            foreach (var (x, y) in set.Batches(_ranks.Size == 1 ? EvaluationChunk : chunk))
            {
                if (index++ % _ranks.Size != _ranks.Rank) continue;
                using var scope = NewDisposeScope();
                var f = model.call(x);
                total += sum(f, y).to_type(ScalarType.Float64).ToDouble();
                count += terms(f);
            }
            double[] sums = _ranks.Sum(total, count);
            return sums[0] / sums[1];
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _data.Dispose();
}
