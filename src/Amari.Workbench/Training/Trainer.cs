using System.Diagnostics;
using System.Globalization;
using Amari.Distributed;
using Amari.Native;
using Amari.Optimizers;
using Amari.Serialization;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Trains a workload with one optimizer at a time; holds the data. Seeds fix weights, data order and sampling, so that a run is
/// repeatable, and one that is resumed from a checkpoint is bit-identical to an uninterrupted one.</summary>
/// <remarks>A batch is drawn without replacement from the epoch's own permutation; what is left over at the end of an epoch is dropped. The
/// clock counts drawing the batch, forward, backward and the optimizer's whole step; evaluation and saving are not counted, nor are the
/// steps of a throw-away model by which <see cref="OptimizerBenchmark"/> has code compiled before the first run.
/// <para>Where the weights to be used are not those in training (<see cref="ScheduleFree"/>), an evaluation takes BatchNorm's statistics
/// anew at the former, from ten batches, and then puts back those of training, which are also what a checkpoint holds.</para>
/// <para>With a communicator of several ranks, each takes its part of every batch and gradients are averaged: the run is that of one
/// process to rounding (BatchNorm normalises each part by its own statistics; dropout, and what methods other than K-FAC draw, differ from
/// rank to rank). All ranks make the same calls; progress, monitors, evaluations' callbacks and files are rank 0's.</para></remarks>
public sealed class Trainer : IDisposable
{
    private const int EvaluationChunk = 1000,
        WarmUpSteps = 3;
    private const double WarmUpSeconds = 1; // after which no further one of these begins
    private readonly WorkloadData _data;
    private readonly Communicator _ranks;
    private readonly Lazy<ConstantPrediction?> _constant;
    private readonly Lazy<string> _fingerprint; // of the data
    private (int Seed, ShardedBatches Batches)? _batches;

    /// <param name="workload">What to train.</param>
    /// <param name="dataDirectory">Where the data is, or null for the usual places.</param>
    /// <param name="communicator">The ranks that train together; null for this process alone. Not owned.</param>
    /// <exception cref="FileNotFoundException">The data is missing; the message says how to get it.</exception>
    /// <exception cref="ArgumentException">Too few examples for the batch, or the batch for the ranks; or a target that is not one of the
    /// loss.</exception>
    public Trainer(Workload workload, string? dataDirectory, Communicator? communicator = null)
    {
        ArgumentNullException.ThrowIfNull(workload);
        Workload = workload;
        if (workload.Target is not { Metric: Target.Loss } || !double.IsFinite(workload.Target.Value))
            throw new ArgumentException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The target of {workload.Name} is {workload.Target.Metric} {workload.Target.Value}; runs are timed to a finite value "
                        + $"of the {Target.Loss}."
                )
            );
        _ranks = communicator ?? SingleProcess.Instance;
        if (workload.BatchSize < _ranks.Size)
            throw new ArgumentException($"A batch of {workload.BatchSize} cannot be divided over {_ranks.Size} ranks.");
        _data = workload.Load(dataDirectory).Aligned();
        _fingerprint = new(() => DataFingerprint.Of(_data));
        _constant = new(ConstantPrediction);
        if (_data.Train.Count < workload.BatchSize)
            throw new ArgumentException(
                $"The workload {workload.Name} has {_data.Train.Count} examples, fewer than its batch of {workload.BatchSize}."
            );
    }

    /// <summary>What is trained.</summary>
    public Workload Workload { get; }

    /// <summary>What it is trained on.</summary>
    public WorkloadData Data => _data;

    /// <summary>Whether elementwise optimizers divide their state over the ranks (ZeRO stage 1); checkpoints are the same either
    /// way.</summary>
    public bool ShardState { get; init; }

    /// <summary>How the weights of linear layers and convolutions start.</summary>
    public WeightStart Start { get; init; }

    /// <summary>What the best constant prediction gets of the loss that is evaluated; null where the likelihood does not know.</summary>
    public ConstantPrediction? BestConstant => _constant.Value;

    /// <summary>It serves a warning, and so ends no run.</summary>
    private ConstantPrediction? ConstantPrediction()
    {
        try
        {
            return Workload.Likelihood.BestConstant((_data.Measured ?? _data.Train).Targets);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Warnings.Once(
                $"The loss of a constant prediction is not known, and a run that rests there is not noticed: {e.Message.Split('\n')[0]}"
            );
            return null;
        }
    }

    /// <summary>How gradients travel between ranks.</summary>
    public DataParallel.Options Parallelism { get; init; } = new();

    /// <summary>Seconds that the last run's ranks (this one) spent on gradients' way to the others; 0 in one process.</summary>
    public double GradientSeconds { get; internal set; }

    /// <summary>What monitors take their own time by; the system's if null.</summary>
    internal TimeProvider? MonitorClock { get; init; }

    /// <summary>Steps of an epoch.</summary>
    public long StepsPerEpoch => _data.Train.Count / Workload.BatchSize;

    // As many as the measured examples make: a pass over those costs a fixed share of the training.
    internal long StepsPerEvaluation => Math.Max(1, (_data.Measured ?? _data.Train).Count / Workload.BatchSize);

    /// <summary>The options that a choice comes to: defaults, the workload's settings, then the choice's own.</summary>
    /// <exception cref="ArgumentException">An unknown optimizer or option, or a bad value.</exception>
    public OptimizerOptions Options(OptimizerChoice choice)
    {
        ArgumentNullException.ThrowIfNull(choice);
        var entry = OptimizerCatalog.Find(choice.Name);
        return Settings.Apply(entry.OptionsType, [.. entry.SettingsIn(Workload), .. choice.Settings]);
    }

    /// <summary>Refuses a model without parameters.</summary>
    /// <exception cref="ArgumentException">It has none.</exception>
    internal void RequireParameters(string purpose)
    {
        using var model = Made();
        Require.Parameters(model, purpose);
    }

    /// <summary>Refuses, before anything runs, a choice that cannot be made: a bad option, or a dense method on too large a
    /// model.</summary>
    /// <exception cref="ArgumentException">It cannot; one sentence says why.</exception>
    public void Check(OptimizerChoice choice)
    {
        var options = Options(choice);
        using var model = CreateModel();
        using var optimizer = OptimizerCatalog.Find(choice.Name).Create(model, options, Workload.Likelihood);
        try
        {
            if (!IsAlone)
                optimizer.RefuseUnshareable(_ranks.Size, ShardState);
        }
        catch (NotSupportedException e)
        {
            throw new ArgumentException(e.Message, nameof(choice), e);
        }
    }

    /// <summary>Refuses, before anything is trained, checkpoints that the run could not be saved to or continued from. Rank 0's
    /// alone.</summary>
    /// <exception cref="ArgumentException">As of <see cref="Train"/>.</exception>
    /// <exception cref="InvalidDataException">All checkpoints are damaged.</exception>
    internal void Check(OptimizerChoice choice, int seed, CheckpointOptions checkpoint)
    {
        if (_ranks.Rank == 0)
            RunSaver.Check(checkpoint, RecordOf(choice, Options(choice), seed));
    }

    private RunRecord RecordOf(OptimizerChoice choice, OptimizerOptions options, int seed) =>
        new(Workload.Name, choice.Name.ToLowerInvariant(), Settings.Describe(options), seed, Start) { Data = _fingerprint };

    /// <summary>Steps of a model that is thrown away, so that the first run's clock does not count what is compiled or loaded once. No run
    /// depends on it: each seeds torch's generator anew.</summary>
    /// <param name="choice">The optimizer and its settings.</param>
    /// <param name="longest">Seconds, after a few steps, to wait for .NET to have compiled them.</param>
    internal void WarmUp(OptimizerChoice choice, double longest)
    {
        manual_seed(0);
        using var model = CreateModel();
        using var optimizer = OptimizerCatalog.Find(choice.Name).Create(model, Options(choice), Workload.Likelihood);
        optimizer.Distribute(_ranks, ShardState);
        using var parallel = new DataParallel(model, _ranks, Parallelism);
        var clock = Stopwatch.StartNew();
        var compilation = new Compilation();
        for (int step = 0; _ranks.Sum(GoesOn(step) ? 1 : 0)[0] > 0; step++) // as many on all ranks
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

    /// <summary>A fresh model of the workload, started as <see cref="Start"/> says.</summary>
    internal nn.Module<Tensor, Tensor> CreateModel()
    {
        var model = Made();
        WeightStarts.Apply(Start, model);
        return model;
    }

    private nn.Module<Tensor, Tensor> Made() =>
        Workload.CreateModel() ?? throw new ArgumentException($"The workload {Workload.Name} made no model: CreateModel returned null.");

    /// <summary>Trains a fresh model until the budget is used, the loss diverges, or <paramref name="stop"/>.</summary>
    /// <param name="choice">The optimizer and its settings.</param>
    /// <param name="seed">≥ 0.</param>
    /// <param name="budget">How long.</param>
    /// <param name="progress">Reported to about ten times a second, and at every evaluation.</param>
    /// <param name="checkpoint">Null to save nothing.</param>
    /// <param name="evaluated">Shown the model at every evaluation, the first before the first step and the last at the end; its time is
    /// not counted. It must not draw from torch's generator.</param>
    /// <param name="monitor">What of the curvature to watch; null for nothing. It changes neither the weights nor the clock.</param>
    /// <param name="monitored">Reported every measurement, and every report of a second-order method's step, as they come; after a resume
    /// those before it, too.</param>
    /// <param name="stop">Ends the run after the step under way; what was done is returned (and saved).</param>
    /// <exception cref="ArgumentException">A bad choice; or checkpoints are of another run, of one that was not to be resumed, or cannot be
    /// written.</exception>
    /// <exception cref="InvalidDataException">All checkpoints are damaged.</exception>
    public TrainingRun Train(
        OptimizerChoice choice,
        int seed,
        Budget budget,
        IProgress<RunProgress>? progress = null,
        CheckpointOptions? checkpoint = null,
        Action<nn.Module<Tensor, Tensor>, LossPoint>? evaluated = null,
        MonitorOptions? monitor = null,
        IProgress<MonitorLine>? monitored = null,
        CancellationToken stop = default
    )
    {
        using var loop = Begin(new(choice, seed, budget, progress, checkpoint, evaluated, monitor, monitored));
        return loop.Train(stop);
    }

    /// <summary>The same, but an exception while it trains makes a run with the status <see cref="RunStatus.Failed"/>, of what was
    /// recorded until then. Over several ranks it
    /// is thrown: the others wait for this one, and the job has to end.</summary>
    internal TrainingRun Attempt(TrainingRequest request, CancellationToken stop)
    {
        using var loop = Begin(request);
        try
        {
            return loop.Train(stop);
        }
        catch (Exception e) when (IsAlone)
        {
            return loop.Fail(e);
        }
    }

    /// <summary>The run of a request that could not begin.</summary>
    internal TrainingRun Failed(TrainingRequest request, Exception why) =>
        RecordOf(request.Choice, Options(request.Choice), request.Seed).ToRun(Workload.Target, RunStatus.Failed, null) with
        {
            Failure = why,
        };

    /// <summary>Whether this process trains without others.</summary>
    internal bool IsAlone => _ranks.Size == 1;

    private Fingerprint FingerprintOf(TrainingRequest request) =>
        new Fingerprint()
            .AddCode(Workload.GetType().Assembly)
            .Add("the workload", Workload.Name)
            .Add("the optimizer", request.Choice.Name)
            .Add("the seed", request.Seed)
            .Add("the budget", request.Budget)
            .Add("the start of weights", Start)
            .Add("the data", _fingerprint.Value)
            .Add("the batch size", Workload.BatchSize)
            .Add("checkpoints", request.Checkpoint is { } c ? $"every {c.Interval.TotalSeconds} s{(c.Resume ? ", resumed" : "")}" : "none");

    /// <summary>Whether it is the one that writes.</summary>
    internal bool IsFirst => _ranks.Rank == 0;

    private TrainingLoop Begin(TrainingRequest request)
    {
        ArgumentNullException.ThrowIfNull(request.Choice);
        ArgumentNullException.ThrowIfNull(request.Budget);
        ArgumentOutOfRangeException.ThrowIfNegative(request.Seed);
        var options = Options(request.Choice);
        if (!IsAlone)
            FingerprintOf(request).Agree(_ranks);
        return new(this, _ranks, request, options, RecordOf(request.Choice, options, request.Seed));
    }

    /// <summary>One step on the batch of its number; the loss before it.</summary>
    internal double Step(nn.Module<Tensor, Tensor> model, Optimizer optimizer, int seed, long step)
    {
        using var parallel = new DataParallel(model, SingleProcess.Instance);
        return Step(model, optimizer, parallel, seed, step).Loss;
    }

    /// <summary>The loss of this rank's part of the batch before the step, and the terms that it is the mean of.</summary>
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
            optimizer.BatchPart = _batches!.Value.Batches.Part(step);
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

    /// <summary>This rank's part of the batch of a step: the batch depends on nothing but the seed and the step.</summary>
    internal (Tensor X, Tensor Y) Batch(int seed, long step)
    {
        if (_batches?.Seed != seed)
            _batches = (seed, new(_data.Train.Count, Workload.BatchSize, seed, _ranks.Rank, _ranks.Size, dropLast: true));
        var rows = tensor(_batches.Value.Batches.Rows(step).ToArray(), dtype: ScalarType.Int64);
        return (_data.Train.Inputs.index_select(0, rows), _data.Train.Targets.index_select(0, rows));
    }

    /// <summary>Mean loss over the training set, or its measured part; mean metric over the held-out set, or where the loss is
    /// from.</summary>
    internal (double Loss, double Metric) Measure(nn.Module<Tensor, Tensor> model)
    {
        using var off = no_grad();
        model.eval();
        double loss = Mean(
            _data.Measured ?? _data.Train,
            (f, y) => Workload.Likelihood.SumNegativeLogLikelihood(f, y),
            Workload.Likelihood.Terms
        );
        var held = _data.Test ?? _data.Measured ?? _data.Train;
        double metric = Mean(held, Workload.Metric.Sum, Workload.Metric.Count ?? ((f, _) => f.shape[0]));
        model.train();
        return (loss, metric);

        double Mean(Dataset set, Func<Tensor, Tensor, Tensor> sum, Func<Tensor, Tensor, long> terms)
        {
            double total = 0,
                count = 0;
            int chunk = (int)Math.Min(EvaluationChunk, (set.Count + _ranks.Size - 1) / _ranks.Size),
                index = 0;
            foreach (var (x, y) in set.Batches(_ranks.Size == 1 ? EvaluationChunk : chunk))
            {
                if (index++ % _ranks.Size != _ranks.Rank)
                    continue;
                using var scope = NewDisposeScope();
                var f = ForwardFailure.Call(model, x);
                total += sum(f, y).to_type(ScalarType.Float64).ToDouble();
                count += terms(f, y);
            }
            double[] sums = _ranks.Sum(total, count);
            return sums[0] / sums[1];
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _data.Dispose();
}
