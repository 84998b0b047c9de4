using System.Diagnostics;
using Amari.Distributed;
using Amari.Native;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>One run of a <see cref="Trainer"/>: the model, the optimizer and the record so far. Owns them.</summary>
internal sealed class TrainingLoop : IDisposable
{
    private const int MaxEvaluations = 200,
        StatisticsBatches = 10;
    private const double ReportSeconds = 0.1,
        RetrySeconds = 10; // seconds of training after a failed checkpoint
    private const double MinCpuShare = 0.5,
        MinWall = 0.5; // share of the time in which threads could run; seconds
    private static readonly TimeSpan[] LastRetries = [TimeSpan.FromSeconds(0.5), TimeSpan.FromSeconds(1.5)]; // of the last checkpoint

    private readonly Trainer _trainer;
    private readonly Communicator _ranks;
    private readonly TrainingRequest _request = null!;
    private readonly RunRecord _record;
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly Optimizer _optimizer = null!;
    private readonly RunSaver? _saver;
    private readonly DataParallel _parallel = null!;
    private readonly Dataset? _sample;
    private readonly CurvatureMonitor? _watch;
    private readonly optim.lr_scheduler.LRScheduler? _scheduler;
    private long? _counted; // when the use of the processors was last taken
    private CpuTime _cpu;
    private int _reportedEvaluations;
    private long _spacing; // steps between evaluations, with a budget in epochs
    private double _reported = double.NegativeInfinity,
        _saved,
        _batchLoss = double.NaN,
        _evaluation; // seconds that the next one is expected to take
    private readonly List<double> _evaluations = []; // seconds of those so far

    /// <summary>Creates the model and the optimizer, and restores a checkpoint if the run is resumed.</summary>
    public TrainingLoop(Trainer trainer, Communicator ranks, TrainingRequest request, OptimizerOptions options, RunRecord record)
    {
        (_trainer, _ranks, _record, _request) = (trainer, ranks, record, request);
        int seed = request.Seed;
        manual_seed(seed);
        _model = trainer.CreateModel();
        try
        {
            _optimizer = OptimizerCatalog.Find(request.Choice.Name).Create(_model, options, trainer.Workload.Likelihood);
            _optimizer.Distribute(ranks, trainer.ShardState);
            _saver = request.Checkpoint is null ? null : new RunSaver(request.Checkpoint, _model, _optimizer, ranks);
            _saver?.Resume(record);
            if (record.Schedule != Schedule.Constant && OptimizerCatalog.Find(request.Choice.Name).OwnSchedule is null)
                _scheduler = record.Schedule.For(_optimizer, () => Fraction);
            _parallel = new DataParallel(_model, ranks, trainer.Parallelism);
            if (ranks.Rank > 0)
            {
                manual_seed(HashSeed.Of(seed, record.Step, ranks.Rank));
                request = request with { Progress = null, Monitor = null, Evaluated = null };
            }
            _request = request;
            if (request.Monitor is not { } monitor)
                return;
            _sample = trainer.Data.Train.Sample(monitor.Examples, monitor.Seed);
            _watch = new CurvatureMonitor(
                _model,
                trainer.Workload.Likelihood,
                _sample.Inputs,
                _sample.Targets,
                _optimizer,
                monitor,
                trainer.MonitorClock
            );
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Trains until the budget is used, no further step would change anything, the loss diverges, or <paramref name="stop"/> is
    /// requested.</summary>
    public TrainingRun Train(CancellationToken stop)
    {
        if (_watch is not null && _record.Monitor is { } earlier)
        {
            _watch.Restore(earlier);
            foreach (var row in earlier.Rows)
                Log(row);
        }
        _saved = _record.Seconds;
        (_counted, _cpu) = (Stopwatch.GetTimestamp(), CpuTime.Now);
        _reportedEvaluations = _record.Losses.Count;
        _evaluation = _record.EvaluationSeconds / Math.Max(1, _record.Losses.Count); // of a resumed run
        _optimizer.Eval();
        _spacing = _trainer.StepsBetweenEvaluations(
            _optimizer.Evaluating && RecomputedStatistics.AppliesTo(_model) ? StatisticsBatches : 0
        );
        if (_record.Losses.Count == 0)
            Evaluate();
        Report();
        Log(_watch?.Observe(_record.Step, _record.Seconds));
        var status = Steps(stop);
        bool isTransient = _request.Checkpoint is { IsTransient: true };
        if (isTransient && status == RunStatus.Interrupted)
            SaveEnd(); // before a measurement that an uninterrupted run would not make
        if (status != RunStatus.Diverged)
            Log(_watch?.Measure(_record.Step, _record.Seconds));
        if (_record.Losses[^1].Step != _record.Step)
            Evaluate();
        if (status == RunStatus.Completed)
            status =
                !double.IsFinite(_record.Losses[^1].Loss) ? RunStatus.Diverged
                : _record.CameApart(_trainer.Target, _trainer.Workload.Metric) ? RunStatus.CameApart
                : RunStatus.Completed;
        Report(status);
        if (status == RunStatus.Diverged)
            _saver?.SaveBest(_record);
        else if (!isTransient)
            SaveEnd();
        _trainer.GradientSeconds = _parallel.Seconds;
        return End(status);
    }

    /// <summary>The run after an exception. Only the weights of the best evaluation are saved.</summary>
    public TrainingRun Fail(Exception why)
    {
        _saver?.SaveBest(_record);
        if (_record.Losses.Count > 0)
            Report(RunStatus.Failed);
        return End(RunStatus.Failed) with { Failure = why };
    }

    private RunStatus Steps(CancellationToken stop)
    {
        var clock = new Stopwatch();
        bool stopping = false; // agreed on by all ranks
        while (Fraction < 1 && _record.Ending is null)
        {
            if (_ranks.Size == 1)
                stopping = stop.IsCancellationRequested;
            if (stopping)
                return RunStatus.Interrupted;
            clock.Restart();
            _scheduler?.step();
            (_batchLoss, double weight) = _trainer.Step(_model, _optimizer, _parallel, _request.Seed, _record.Step);
            double seconds = clock.Elapsed.TotalSeconds;
            if (_ranks.Size > 1)
            {
                double[] sums = _ranks.Sum(
                    weight * _batchLoss,
                    weight,
                    _ranks.Rank == 0 ? seconds : 0,
                    stop.IsCancellationRequested ? 1 : 0
                );
                (_batchLoss, seconds, stopping) = (sums[0] / sums[1], sums[2], sums[3] > 0);
            }
            _record.Add(seconds);
            if (!double.IsFinite(_batchLoss))
                return RunStatus.Diverged;
            Log(_watch?.Observe(_record.Step, _record.Seconds));
            if (Ending() is { } reason)
            {
                _record.End(reason);
                break;
            }
            bool due = IsEvaluationDue();
            if (due)
                Evaluate();
            if (due || _record.Seconds - _reported > ReportSeconds)
                Report();
            if (_saver is not null && _record.Seconds - _saved >= SaveSeconds)
                Save();
        }
        return RunStatus.Completed;
    }

    /// <summary>Why a least-squares method would do no more on the same data; null if it may.</summary>
    private string? Ending() =>
        _trainer.StepsOnAllData
        && _optimizer is SecondOrderOptimizer { Report: { GradientCosine: not null } report }
        && (LeastSquaresTolerances.ToRounding.Met(report) ?? report.LeastSquaresStatus) is { } status
            ? new LeastSquaresResult(status, report.LossAfter, _record.Step, report.Evaluations ?? 0, _record.Step, report).Reason
            : null;

    /// <summary>The used share of the budget.</summary>
    private double Fraction => Used(new(_record.Step, _record.Seconds, double.NaN));

    private double Used(LossPoint at) => _request.Budget.UsedBy(at.Step, at.Seconds, _trainer.StepsPerEpoch);

    /// <summary>Whether the run is evaluated here, in addition to its end: <see cref="EvaluationSpacing"/>. With a budget in epochs this
    /// does not depend on the clock.</summary>
    private bool IsEvaluationDue()
    {
        var last = _record.Losses[^1];
        if (Fraction >= 1 || Fraction - Used(last) < 1.0 / MaxEvaluations)
            return false;
        if (_request.Budget.Epochs is { } epochs)
            return EvaluationSpacing.IsDue(_record.Step, epochs * _trainer.StepsPerEpoch, _spacing);
        bool due = EvaluationSpacing.IsDue(
            _record.Seconds,
            last.Seconds,
            _request.Budget.Seconds!.Value,
            _record.EvaluationSeconds,
            _evaluation
        );
        return _ranks.Size == 1 ? due : _ranks.Sum(_ranks.Rank == 0 && due ? 1 : 0)[0] > 0;
    }

    private void Evaluate()
    {
        long start = Stopwatch.GetTimestamp();
        _parallel.AverageBuffers();
        _optimizer.Eval();
        using var statistics =
            _optimizer.Evaluating && _record.Step > 0
                ? new RecomputedStatistics(_model, StatisticsBatches, i => _trainer.Batch(_request.Seed, _record.Step + i).X)
                : null;
        if (statistics is { Any: true })
            _parallel.AverageBuffers();
        bool best = _record.Evaluated(_trainer.Measure(_model), _optimizer.ParamGroups.First().LearningRate);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        _record.EvaluationSeconds += seconds;
        _evaluations.Add(seconds);
        _evaluation = EvaluationSpacing.Cost(_evaluations, _trainer.LeastEvaluation);
        _trainer.LeastEvaluation = Math.Min(_trainer.LeastEvaluation, seconds);
        if (best)
            _saver?.TakeBest(_record);
        _request.Evaluated?.Invoke(_model, _record.Losses[^1]);
    }

    private void Log(MonitorRow? row)
    {
        if (row is not null)
            _request.Monitored?.Report(new(_record.Optimizer, _request.Seed, row));
    }

    private void Save()
    {
        CountProcessors();
        _record.Monitor = _watch?.Result ?? _record.Monitor;
        _optimizer.Eval(); // a checkpoint holds the evaluation weights
        if (_saver is not null)
            _parallel.AverageBuffers();
        _saver?.Save(_record);
        _saved = _record.Seconds;
    }

    /// <summary>Training time between attempts to save.</summary>
    private double SaveSeconds
    {
        get
        {
            double every = _request.Checkpoint!.Interval.TotalSeconds;
            bool isRetry = _ranks.Size == 1 && _saver!.Failure is not null; // several ranks save together, and only rank 0 knows
            return isRetry ? Math.Min(every, RetrySeconds) : every;
        }
    }

    /// <summary>Writes the last checkpoint with retries, because no later one replaces it.</summary>
    private void SaveEnd()
    {
        Save();
        if (_ranks.Size > 1)
            return; // ranks would have to agree on retries
        foreach (var pause in LastRetries)
        {
            if (_saver?.Failure is null)
                return;
            Thread.Sleep(pause);
            Save();
        }
        if (_saver?.Failure is { } why)
            Console.Error.WriteLine($"The end of the run was not saved: {why.ReplaceLineEndings(" ")}");
    }

    private void Report(RunStatus? status = null)
    {
        bool evaluated = _record.Losses.Count > _reportedEvaluations;
        (_reported, _reportedEvaluations) = (_record.Seconds, _record.Losses.Count);
        double done = _record.Ending is null ? Math.Min(1, Fraction) : 1;
        double left =
            done == 1 ? 0
            : _request.Budget.Seconds is { } s ? Math.Max(0, s - _record.Seconds)
            : done > 0 ? _record.Seconds * (1 - done) / done
            : double.NaN;
        _request.Progress?.Report(
            new(
                _request.Choice.Name,
                _request.Seed,
                "",
                _record.Step,
                _record.Seconds,
                done,
                _batchLoss,
                _record.Losses[^1].Loss,
                _record.Metric,
                _record.RecentMillisecondsPerStep,
                left,
                evaluated
            )
            {
                Workload = _trainer.Workload.Name,
                MetricName = _trainer.Workload.Metric.Name,
                HeldOutLoss = _record.HeldOut.Count > 0 ? _record.HeldOut[^1].Loss : null,
                LearningRate = _record.Rates.Count > 0 ? _record.Rates[^1].Rate : double.NaN,
                Status = status,
                SoFar = () => SoFar(status),
            }
        );
    }

    /// <summary>The results with the run as it is now. Only what changes is copied here; the rest is for the thread that reads
    /// them.</summary>
    private Lazy<BenchmarkResult> SoFar(RunStatus? status)
    {
        var (record, trained, target, metric) = (
            _record.Copy(),
            OptimizerSummary.Of(_optimizer),
            _trainer.Target,
            _trainer.Workload.Metric
        );
        var monitor = _watch?.Result is { } watched ? watched with { Rows = [.. watched.Rows] } : record.Monitor;
        var result = BenchmarkResult.Of(_trainer, _request.Budget, [], []);
        return new(() =>
        {
            var run = record.ToRun(target, metric, status ?? RunStatus.Interrupted, trained);
            run = run with { IsRunning = status is null, CameApart = status is not null && run.CameApart, Monitor = monitor };
            return result with { Runs = [run] };
        });
    }

    private TrainingRun End(RunStatus status)
    {
        _record.Monitor = _watch?.Result ?? _record.Monitor;
        _optimizer.Train(); // the additional copies of Eval() do not count as state
        bool isTrouble =
            status is RunStatus.Diverged or RunStatus.Failed || _record.HeldOut is [.., { Loss: var heldOut }] && !double.IsFinite(heldOut);
        if (isTrouble && _trainer.Data.NotFinite() is { } why)
            _record.Events.Add(new(_record.Step, WorkloadData.EventSubject, why));
        CountProcessors();
        double? waited = WaitedForCpu();
        return _record.ToRun(_trainer.Target, _trainer.Workload.Metric, status, OptimizerSummary.Of(_optimizer)) with
        {
            Plateau = Plateau.Find(_record.Losses, _trainer.BestConstant, Used),
            CpuOverWall = _record.CountedSeconds > 0 ? _record.CpuSeconds / (_record.CountedSeconds * get_num_threads()) : double.NaN,
            WaitedForCpu = waited,
        };
    }

    /// <summary>Adds the use of the processors since the last time to the record.</summary>
    private void CountProcessors()
    {
        if (_counted is not { } last)
            return;
        var now = CpuTime.Now;
        double? waited = now.Waited - _cpu.Waited;
        _record.AddProcessors(
            Stopwatch.GetElapsedTime(last).TotalSeconds,
            now.Ran - _cpu.Ran,
            waited is { } seconds ? Math.Max(0, seconds) : null
        );
        (_counted, _cpu) = (Stopwatch.GetTimestamp(), now);
    }

    /// <summary>The share of the run's time in which it waited for a processor. More than half is reported on standard error.</summary>
    private double? WaitedForCpu()
    {
        if (_counted is null)
            return null;
        double? waited = _record.WaitedSeconds is { } seconds ? seconds / (seconds + _record.CpuSeconds) : null;
        if (waited > MinCpuShare && _record.CountedSeconds > MinWall && _ranks.Rank == 0)
            Warnings.Once(
                "A run had less than half of the processor time that its threads could use, because of other processes: its times are "
                    + "unreliable. "
                    + "The results contain the share of each run."
            );
        return waited;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _watch?.Dispose();
        _sample?.Dispose();
        _parallel?.Dispose();
        _saver?.Dispose();
        _optimizer?.Dispose();
        _model.Dispose();
    }
}
