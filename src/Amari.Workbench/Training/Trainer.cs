using System.Diagnostics;
using System.Globalization;
using Amari.Distributed;
using Amari.Native;
using Amari.Optimizers;
using Amari.Serialization;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Trains a workload with one optimizer at a time, and holds its data. Seeds fix weights, data order and sampling. A run is
/// therefore repeatable, and a run resumed from a checkpoint is bit-identical to an uninterrupted one.</summary>
/// <remarks>Batches are drawn without replacement from the epoch's permutation, and the remainder at the end of an epoch is dropped; or the
/// data draws new examples for each step (<see cref="WorkloadData.Draw"/>). The clock
/// counts drawing the batch, forward and backward passes and the whole optimizer step. It does not count evaluation, saving, or the warm-up
/// steps of a temporary model with which <see cref="OptimizerBenchmark"/> compiles code before the first run.
/// <para>If the evaluation weights differ from the training weights (<see cref="ScheduleFree"/>), an evaluation recomputes BatchNorm's
/// statistics for them from ten batches, then restores the training statistics, which are also saved in checkpoints.</para>
/// <para>With a communicator of several ranks, each takes its part of every batch and gradients are averaged. The run equals that of one
/// process up to rounding, except that BatchNorm normalises each part by its own statistics, and that dropout and random draws of methods
/// other than K-FAC differ between ranks. All ranks make the same calls. Only rank 0 reports progress, runs monitors and callbacks, and
/// writes files.</para></remarks>
/// <example><code>
/// using Amari.Training;
/// using Amari.Workloads;
///
/// using var trainer = new Trainer(new DigitsSoftmax(), dataDirectory: null);
/// var lion = new OptimizerChoice("lion", new Dictionary&lt;string, string> { ["LearningRate"] = "1e-3" });
/// TrainingRun run = trainer.Train(lion, seed: 1, Budget.OfEpochs(1));
/// Console.WriteLine($"{run.Status}: loss {run.FinalLoss} after {run.Steps} steps");
/// </code></example>
public sealed partial class Trainer : IDisposable
{
    private const int WarmUpSteps = 3;
    private const double WarmUpSeconds = 1; // no further warm-up step starts after this time
    private readonly WorkloadData _data;
    private readonly Communicator _ranks;
    private readonly Lazy<ConstantPrediction?> _constant;
    private readonly Lazy<string> _fingerprint; // of the data
    private (int Seed, ShardedBatches Batches)? _batches;

    /// <param name="workload">The workload.</param>
    /// <param name="dataDirectory">The directory of the data, or null for the default locations.</param>
    /// <param name="communicator">The ranks that train together; null for this process alone. Not owned.</param>
    /// <param name="target">The target of the runs; null for the workload's own.</param>
    /// <exception cref="FileNotFoundException">The data is missing. The message says how to get it.</exception>
    /// <exception cref="ArgumentException">There are too few examples for the batch, the batch is smaller than the number of ranks, or the
    /// target is neither a loss nor the workload's metric, or out of its range.</exception>
    public Trainer(Workload workload, string? dataDirectory, Communicator? communicator = null, Target? target = null)
        : this(workload, dataDirectory, null, communicator, target) { }

    private Trainer(Workload workload, string? dataDirectory, WorkloadData? data, Communicator? communicator, Target? target)
    {
        ArgumentNullException.ThrowIfNull(workload);
        workload.RequireMembers();
        Workload = workload;
        Target = target ?? workload.Target;
        var ((metric, value), name) = (Target, workload.Metric.Name);
        if (metric is not (Workloads.Target.Loss or Workloads.Target.HeldOutLoss) && metric != name || !double.IsFinite(value))
            throw new ArgumentException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The target of {workload.Name} is {metric} {value}; it must be a finite value of the {Workloads.Target.Loss}, the "
                        + $"{Workloads.Target.HeldOutLoss} or the {name}."
                )
            );
        if (metric == name && workload.Metric.Range is var (low, high) && (value < low || value > high))
            throw new ArgumentException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"The target of {workload.Name} is {metric} {value}; it must be from {low} to {high}."
                )
            );
        _ranks = communicator ?? SingleProcess.Instance;
        if (workload.BatchSize < _ranks.Size)
            throw new ArgumentException($"A batch of {workload.BatchSize} cannot be divided over {_ranks.Size} ranks.");
        _data = data ?? workload.LoadedData(dataDirectory).Aligned();
        bool ofModel = metric == name && workload.Metric.OfModel is not null;
        if (Target.IsHeldOut && _data.Test is null && !ofModel)
            throw new ArgumentException($"The target of {workload.Name} is its {metric}, but it has no test set.");
        _fingerprint = new(() => DataFingerprint.Of(_data));
        _constant = new(ConstantPrediction);
        BatchSize = data is null ? workload.BatchSize : (int)Math.Min(workload.BatchSize, data.Train.Count);
        if (_data.Train.Count < BatchSize)
            throw new ArgumentException(
                $"The workload {workload.Name} has {_data.Train.Count} examples, fewer than its batch of {workload.BatchSize}."
            );
    }

    /// <summary>The workload.</summary>
    public Workload Workload { get; }

    /// <summary>The value that defines the time to target.</summary>
    public Target Target { get; }

    /// <summary>The <see cref="DataFingerprint"/> of the data.</summary>
    internal string Fingerprint => _fingerprint.Value;

    /// <summary>Examples per batch: the workload's, or all of a smaller training set of tuning trials.</summary>
    internal int BatchSize { get; }

    /// <summary>A trainer of tuning trials: it trains without the validation part, and holds that out in place of the test set, which it
    /// does not have. The caller disposes it.</summary>
    internal Trainer ForTuning() =>
        new(Workload, null, _data.ForTuning(), _ranks, Target)
        {
            WeightInit = WeightInit,
            ShardState = ShardState,
            Parallelism = Parallelism,
        };

    /// <summary>The data of the workload.</summary>
    public WorkloadData Data => _data;

    /// <summary>Whether elementwise optimizers shard their state over the ranks (ZeRO stage 1). Checkpoints do not depend on it.</summary>
    public bool ShardState { get; init; }

    /// <summary>The initialisation of linear layers and convolutions.</summary>
    public WeightInit WeightInit { get; init; }

    /// <summary>The evaluated loss of the best constant prediction; null if the likelihood does not define it.</summary>
    public ConstantPrediction? BestConstant => _constant.Value;

    /// <summary>It only serves a warning, so a failure must not end a run.</summary>
    private ConstantPrediction? ConstantPrediction()
    {
        try
        {
            return Workload.Likelihood.BestConstant((_data.Measured ?? _data.Train).Targets);
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            Warnings.Once($"The loss of a constant prediction is unknown, so plateaus at it are not detected: {e.Message.Split('\n')[0]}");
            return null;
        }
    }

    /// <summary>Options of the gradient communication between ranks.</summary>
    public DataParallel.Options Parallelism { get; init; } = new();

    /// <summary>Seconds that this rank spent on gradient communication in the last run; 0 in a single process.</summary>
    public double GradientSeconds { get; internal set; }

    /// <summary>The clock of monitors; the system clock if null.</summary>
    internal TimeProvider? MonitorClock { get; init; }

    /// <summary>Steps per epoch.</summary>
    public long StepsPerEpoch => _data.Train.Count / BatchSize;

    /// <summary>Seconds of the shortest evaluation of any run so far; infinite before the first.</summary>
    internal double LeastEvaluation { get; set; } = double.PositiveInfinity;

    /// <summary>Steps between evaluations of a run with a budget in epochs.</summary>
    internal long StepsPerEvaluation => StepsBetweenEvaluations(0);

    /// <summary>Steps between evaluations that also have forward passes of some training batches.</summary>
    internal long StepsBetweenEvaluations(int batches) =>
        EvaluationSpacing.Steps((_data.Measured ?? _data.Train).Count + (_data.Test?.Count ?? 0) + (long)batches * BatchSize, BatchSize);

    /// <summary>The effective options of a choice: defaults, then the workload's settings, then the choice's own.</summary>
    /// <exception cref="ArgumentException">The optimizer or an option is unknown, or a value is invalid.</exception>
    public OptimizerOptions Options(OptimizerChoice choice)
    {
        ArgumentNullException.ThrowIfNull(choice);
        var entry = OptimizerCatalog.Find(choice.Name);
        return Settings.Apply(entry.OptionsType, [.. entry.SettingsIn(Workload), .. choice.Settings]);
    }

    /// <summary>Throws for a model without parameters.</summary>
    /// <exception cref="ArgumentException">It has none.</exception>
    internal void RequireParameters(string purpose)
    {
        using var model = Workload.CreatedModel();
        Require.Parameters(model, purpose);
    }

    /// <summary>Throws, before training starts, for a choice that cannot be trained: an invalid option, or a dense method on too large a
    /// model.</summary>
    /// <exception cref="ArgumentException">The choice cannot be trained. The message says why.</exception>
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

    /// <summary>Throws, before training starts, if the run could not be saved to or continued from the checkpoints. Only rank 0 calls
    /// it.</summary>
    /// <exception cref="ArgumentException">As in <see cref="Train"/>.</exception>
    /// <exception cref="InvalidDataException">All checkpoints are damaged.</exception>
    internal void Check(OptimizerChoice choice, int seed, Budget budget, CheckpointOptions checkpoint)
    {
        if (_ranks.Rank == 0)
            RunSaver.Check(checkpoint, RecordOf(choice, Options(choice), seed, budget));
    }

    private RunRecord RecordOf(OptimizerChoice choice, OptimizerOptions options, int seed, Budget budget) =>
        new(Workload.Name, choice.Name.ToLowerInvariant(), Settings.Describe(options), seed, WeightInit)
        {
            WorkloadSettings = Workload.SettingValues,
            Data = _fingerprint,
            Schedule = choice.Schedule ?? Schedule.Constant,
            Budget = budget,
            StepsPerEpoch = StepsPerEpoch,
        };

    /// <summary>Steps of a temporary model, so that the clock of the first run does not count compilation and loading. No run depends on
    /// it: each run seeds torch's generator itself.</summary>
    /// <param name="choice">The optimizer and its settings.</param>
    /// <param name="longest">Maximum seconds, after a few steps, to wait until .NET has compiled them.</param>
    internal void WarmUp(OptimizerChoice choice, double longest)
    {
        manual_seed(0);
        using var model = CreateModel();
        using var optimizer = OptimizerCatalog.Find(choice.Name).Create(model, Options(choice), Workload.Likelihood);
        optimizer.Distribute(_ranks, ShardState);
        using var parallel = new DataParallel(model, _ranks, Parallelism);
        var clock = Stopwatch.StartNew();
        var compilation = new Compilation();
        for (int step = 0; _ranks.Sum(GoesOn(step) ? 1 : 0)[0] > 0; step++) // the same number on all ranks
            Step(model, optimizer, parallel, seed: 0, step);
        Measure(model);

        bool GoesOn(int step)
        {
            double seconds = clock.Elapsed.TotalSeconds;
            bool compiled = compilation.IsOver(seconds);
            return step < WarmUpSteps ? seconds < WarmUpSeconds : seconds < longest && !compiled;
        }
    }

    /// <summary>Whether any rank was asked to stop; the same result on all ranks.</summary>
    internal bool IsStopped(CancellationToken stop) =>
        _ranks.Size == 1 ? stop.IsCancellationRequested : _ranks.Sum(stop.IsCancellationRequested ? 1 : 0)[0] > 0;

    /// <summary>A new model of the workload with the initialisation <see cref="WeightInit"/>.</summary>
    internal nn.Module<Tensor, Tensor> CreateModel()
    {
        var model = Workload.CreatedModel();
        WeightInits.Apply(WeightInit, model);
        return model;
    }

    /// <summary>Trains a new model until the budget is used, the loss diverges, or <paramref name="stop"/> is requested.</summary>
    /// <param name="choice">The optimizer and its settings.</param>
    /// <param name="seed">≥ 0.</param>
    /// <param name="budget">The length of the run.</param>
    /// <param name="progress">Called about ten times per second and at every evaluation.</param>
    /// <param name="checkpoint">Null to save nothing.</param>
    /// <param name="evaluated">Called with the model at every evaluation; the first is before the first step and the last at the end. Its
    /// time does not count. It must not draw from torch's generator.</param>
    /// <param name="monitor">Curvature monitoring; null for none. It changes neither the weights nor the clock.</param>
    /// <param name="monitored">Receives every measurement and every step report of a second-order method immediately; after a resume also
    /// the earlier ones.</param>
    /// <param name="stop">Ends the run after the current step. The results so far are returned (and saved).</param>
    /// <exception cref="ArgumentException">The choice is invalid; or the checkpoints belong to another run, exist although resuming was not
    /// requested, or cannot be written.</exception>
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

    /// <summary>As <see cref="Train"/>, but an exception during training gives a run with the status <see cref="RunStatus.Failed"/> and its
    /// record so far. With several ranks the exception is thrown, because the other ranks wait and the job has to end.</summary>
    internal TrainingRun Attempt(TrainingRequest request, CancellationToken stop)
    {
        using var recorder = IsFirst ? SolutionRecorder.Of(Workload) : null;
        if (recorder is not null)
            request = request with { Evaluated = request.Evaluated + recorder.Record };
        using var loop = Begin(request);
        try
        {
            return loop.Train(stop) with { Solution = recorder?.Result };
        }
        catch (Exception e) when (IsAlone)
        {
            return loop.Fail(e) with { Solution = recorder?.Result };
        }
    }

    /// <summary>The run of a request that could not start.</summary>
    internal TrainingRun Failed(TrainingRequest request, Exception why) =>
        RecordOf(request.Choice, Options(request.Choice), request.Seed, request.Budget)
            .ToRun(Target, Workload.Metric, RunStatus.Failed, null) with
        {
            Failure = why,
        };

    /// <summary>Whether this process trains alone.</summary>
    internal bool IsAlone => _ranks.Size == 1;

    private Fingerprint FingerprintOf(TrainingRequest request) =>
        new Fingerprint()
            .AddCode(Workload.GetType().Assembly)
            .Add("the workload", Workload.Name)
            .Add("the workload's settings", string.Join(' ', Workload.SettingValues.Select(s => $"{s.Key}={s.Value}")))
            .Add("the optimizer", request.Choice.Name)
            .Add("the seed", request.Seed)
            .Add("the budget", request.Budget)
            .Add("the weight initialisation", WeightInit)
            .Add("the data", _fingerprint.Value)
            .Add("the batch size", BatchSize)
            .Add("the schedule", request.Choice.Schedule ?? Schedule.Constant)
            .Add("checkpoints", request.Checkpoint is { } c ? $"every {c.Interval.TotalSeconds} s{(c.Resume ? ", resumed" : "")}" : "none");

    /// <summary>Whether this rank writes files.</summary>
    internal bool IsFirst => _ranks.Rank == 0;

    private TrainingLoop Begin(TrainingRequest request)
    {
        ArgumentNullException.ThrowIfNull(request.Choice);
        ArgumentNullException.ThrowIfNull(request.Budget);
        ArgumentOutOfRangeException.ThrowIfNegative(request.Seed);
        var options = Options(request.Choice);
        if (!IsAlone)
            FingerprintOf(request).Agree(_ranks);
        return new(this, _ranks, request, options, RecordOf(request.Choice, options, request.Seed, request.Budget));
    }

    /// <summary>Whether every step has the same data, and all of it.</summary>
    internal bool StepsOnAllData => _data.Draw is null && BatchSize == _data.Train.Count;

    /// <inheritdoc/>
    public void Dispose() => _data.Dispose();
}
