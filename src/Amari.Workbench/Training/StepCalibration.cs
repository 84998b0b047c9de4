using System.Diagnostics;
using Amari.Native;
using Amari.Optimizers;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Times steps of an optimizer on a temporary model, for <see cref="Planner"/>.</summary>
/// <param name="trainer">A trainer with the workload.</param>
/// <param name="choice">The optimizer with the intervals of the calibration.</param>
/// <param name="cycle">Steps after which its work repeats.</param>
/// <param name="steps">The number of timed steps, rounded up to whole cycles; null for the default.</param>
/// <param name="maxSeconds">No step starts after this time.</param>
internal sealed class StepCalibration(Trainer trainer, OptimizerChoice choice, int cycle, int? steps, double maxSeconds) : IDisposable
{
    private const int MinSteps = 32,
        MaxSteps = 512,
        MinCycles = 3,
        IterativeSteps = 10; // of a method that evaluates the loss itself
    private const long Work = 1L << 23; // parameters times steps of the default
    private const int MinWarmUpSteps = 2;
    private const double MaxCompileSeconds = 2,
        MaxCompileShare = 1.0 / 3; // of the limit
    private readonly OptimizerEntry _entry = OptimizerCatalog.Find(choice.Name);
    private readonly nn.Module<Tensor, Tensor> _model = Create(trainer);
    private readonly List<TimedStep> _steps = [];
    private Optimizer? _optimizer;

    /// <summary>Number of trained parameters.</summary>
    public long Parameters => field != 0 ? field : field = _model.parameters().Where(p => p.requires_grad).Sum(p => p.numel());

    /// <summary>Bytes of optimizer state after the calibration.</summary>
    public long StateBytes => _optimizer!.StateBytes;

    /// <summary>The number of steps to time. It depends on the model and the optimizer only: many for a small model, where they are
    /// short.</summary>
    public int PlannedSteps
    {
        get
        {
            int wanted =
                steps
                ?? (
                    _entry.EvaluatesLoss
                        ? IterativeSteps
                        : Math.Max(MinCycles * cycle, (int)Math.Clamp(Work / Parameters, MinSteps, MaxSteps))
                );
            return (wanted + cycle - 1) / cycle * cycle;
        }
    }

    /// <summary>The timed steps; if there is none, those before except the first.</summary>
    public IReadOnlyList<TimedStep> Timed =>
        [
            .. _steps.Skip(
                IsWarm ? WarmUpSteps
                : _steps.Count > 1 ? 1
                : 0
            ),
        ];

    /// <summary>Whether a step was timed after those that create states.</summary>
    public bool IsWarm => _steps.Count > WarmUpSteps;

    /// <summary>Whether all planned steps were timed.</summary>
    public bool IsComplete => _steps.Count == WarmUpSteps + PlannedSteps;

    /// <summary>The share of the time in which threads of this process could run but other processes had the processors; null if the system
    /// does not report it.</summary>
    public double? WaitedForCpu { get; private set; }

    /// <summary>Makes the planned steps. Before them, steps of another temporary model wait until .NET has compiled their code.</summary>
    public void Run(CancellationToken stop)
    {
        _ = Parameters;
        long start = Stopwatch.GetTimestamp();
        trainer.WarmUp(choice, Math.Min(MaxCompileSeconds, maxSeconds * MaxCompileShare));
        manual_seed(0);
        _optimizer = _entry.Create(_model, trainer.Options(choice), trainer.Workload.Likelihood);
        var began = CpuTime.Now;
        while (!IsComplete && (_steps.Count == 0 || !(stop.IsCancellationRequested || Elapsed(start).TotalSeconds >= maxSeconds)))
        {
            var cpu = Environment.CpuUsage.TotalTime;
            long from = Stopwatch.GetTimestamp();
            trainer.Step(_model, _optimizer, 0, _steps.Count);
            double wall = Elapsed(from).TotalMilliseconds;
            _steps.Add(new(wall, (Environment.CpuUsage.TotalTime - cpu).TotalMilliseconds));
        }
        var end = CpuTime.Now;
        if (end.Waited - began.Waited is { } seconds)
            WaitedForCpu = Math.Max(0, seconds) / (Math.Max(0, seconds) + Math.Max(1e-9, end.Ran - began.Ran));
    }

    /// <summary>The first cycle creates states. Methods that evaluate the loss are timed from the first step on, as their first steps
    /// differ.</summary>
    private int WarmUpSteps => _entry.EvaluatesLoss ? 0 : (MinWarmUpSteps + cycle - 1) / cycle * cycle;

    private static TimeSpan Elapsed(long since) => Stopwatch.GetElapsedTime(since);

    private static nn.Module<Tensor, Tensor> Create(Trainer trainer)
    {
        manual_seed(0);
        return trainer.Workload.CreatedModel();
    }

    /// <summary>Disposes the model and the optimizer.</summary>
    public void Dispose()
    {
        _optimizer?.Dispose();
        _model.Dispose();
    }
}
