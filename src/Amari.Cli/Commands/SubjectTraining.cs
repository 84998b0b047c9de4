using System.Diagnostics;
using Amari.Native;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary>Trains a <see cref="Subject"/> with AdamW before its curvature is measured.</summary>
/// <remarks>The steps are those of <see cref="Trainer.Train"/> with the same seed. Evaluations are due after fixed numbers of steps, never
/// after a time. Without a time limit the weights and the path therefore depend on the command line only, whatever else runs on the
/// machine.</remarks>
/// <param name="subject">Receives the weights of each evaluation.</param>
/// <param name="seed">The seed of weights and data order.</param>
/// <param name="length">The length of the training.</param>
/// <param name="maxPoints">Maximum points of the recorded path; 0 to record none.</param>
/// <param name="progress">Called about ten times per second and at every evaluation.</param>
internal sealed class SubjectTraining(Subject subject, int seed, TrainingLength length, int maxPoints, IProgress<RunProgress> progress)
{
    private const string Optimizer = "adamw";
    private const int MaxEvaluations = 100; // of a training with a number of steps
    private const double ReportSeconds = 0.1;
    private readonly Trainer _trainer = subject.Trainer;
    private long _step;
    private double _seconds, // of training, without evaluations
        _reported,
        _batchLoss = double.NaN,
        _metric = double.NaN;
    private LossPoint _last;
    private bool _reached; // the workload's target, at the last evaluation

    private Target Target => subject.Workload.Target;

    /// <summary>Trains until the end of <see cref="TrainingLength"/>, a loss that is not finite, or <paramref name="stop"/>, and gives the
    /// subject its <see cref="Subject.Origin"/>.</summary>
    /// <returns>Whether the loss stayed finite.</returns>
    public bool Run(CancellationToken stop)
    {
        manual_seed(seed);
        using var model = _trainer.CreateModel();
        using var optimizer = OptimizerCatalog
            .Find(Optimizer)
            .Create(model, _trainer.Options(new(Optimizer, new Dictionary<string, string>())), subject.Workload.Likelihood);
        long interval = Interval();
        Evaluate(model);
        while (!stop.IsCancellationRequested && !IsOver)
        {
            long start = Stopwatch.GetTimestamp();
            _batchLoss = _trainer.Step(model, optimizer, seed, _step++);
            _seconds += Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (!double.IsFinite(_batchLoss))
                return false;
            if (_step % interval == 0)
                Evaluate(model);
            else if (_seconds - _reported > ReportSeconds)
                Report(evaluated: false);
        }
        if (_last.Step != _step)
            Evaluate(model);
        Report(evaluated: true, stop.IsCancellationRequested ? RunStatus.Interrupted : RunStatus.Completed);
        (subject.TrainedSteps, subject.Origin) = (_step, Origin);
        return double.IsFinite(_last.Loss);
    }

    private bool IsAtTarget => length.ToTarget && _last.Step == _step && _reached;
    private bool IsOver => IsAtTarget || _step >= length.Steps || _seconds >= length.Seconds;

    /// <summary>The weights in words: the same for each training by steps, so without its time.</summary>
    private string Origin =>
        length.Seconds is { } s ? FormattableString.Invariant($"trained with AdamW for {s:0.##} s: {_step} steps")
        : IsAtTarget ? FormattableString.Invariant($"trained with AdamW for {_step} steps, to the target {Target.Metric} {Target.Value}")
        : FormattableString.Invariant($"trained with AdamW for {_step} steps");

    /// <summary>Steps between evaluations: a multiple of the number after which a <see cref="Trainer"/> may evaluate.</summary>
    private long Interval()
    {
        long unit = _trainer.StepsPerEvaluation,
            least = (length.Steps ?? 0) / MaxEvaluations;
        return unit * Math.Max(1, (least + unit - 1) / unit);
    }

    private void Evaluate(nn.Module<Tensor, Tensor> model)
    {
        var (loss, heldOut, metric) = _trainer.Measure(model);
        (_last, _metric) = (new(_step, _seconds, loss), metric);
        _reached = Target.IsReached(
            Target.Of(loss, heldOut ?? double.NaN, heldOut is null ? double.NaN : metric),
            Target.HigherIsBetter(subject.Workload.Metric)
        );
        subject.Take(model, _last, maxPoints);
        Report(evaluated: true);
    }

    private void Report(bool evaluated, RunStatus? status = null)
    {
        _reported = _seconds;
        double share = status == RunStatus.Completed ? 1 : length.Share(_step, _seconds);
        progress.Report(
            new(
                Optimizer,
                seed,
                "",
                _step,
                _seconds,
                share,
                _batchLoss,
                _last.Loss,
                _metric,
                1e3 * _seconds / Math.Max(1, _step),
                share > 0 ? _seconds * (1 - share) / share : double.NaN,
                evaluated
            )
            {
                Status = status,
            }
        );
    }
}
