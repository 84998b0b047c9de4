using System.Diagnostics;
using Amari.Optimizers;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Times steps of an optimizer on a temporary model, for <see cref="Planner"/>.</summary>
/// <param name="trainer">A trainer with the workload.</param>
/// <param name="choice">The optimizer with the intervals of the calibration.</param>
/// <param name="intervals">These intervals, ascending.</param>
/// <param name="seconds">Seconds of calibration.</param>
internal sealed class StepCalibration(Trainer trainer, OptimizerChoice choice, int[] intervals, double seconds) : IDisposable
{
    private const int MinCycles = 3,
        MinWarmUpSteps = 2;
    private const double MaxWarmUp = 4, // all three in multiples of the calibration's seconds
        MaxAveraging = 10,
        MaxTotal = 30;
    private const double MaxStandardError = 0.06; // of a mean over steps with different costs, relative to it
    private readonly OptimizerEntry _entry = OptimizerCatalog.Find(choice.Name);
    private readonly Compilation _compilation = new();
    private readonly List<double> _times = []; // milliseconds
    private readonly int _cycle = intervals.Length == 0 ? 1 : intervals[^1];
    private nn.Module<Tensor, Tensor> _model = Create(trainer);
    private Optimizer? _optimizer;
    private int _warm, // steps before the first timed one
        _begin; // steps before the restart
    private double _total, // seconds of all steps
        _timed; // seconds of the timed steps

    /// <summary>Number of trained parameters.</summary>
    public long Parameters => field != 0 ? field : field = _model.parameters().Where(p => p.requires_grad).Sum(p => p.numel());

    /// <summary>Bytes of optimizer state after the calibration.</summary>
    public long StateBytes => _optimizer!.StateBytes;

    /// <summary>Milliseconds of the timed steps; if there is none, of all but the first.</summary>
    public double[] Timed =>
        [
            .. _times.Skip(
                _times.Count > _warm ? _warm
                : _times.Count > 1 ? 1
                : 0
            ),
        ];

    /// <summary>Makes steps until they are timed well enough.</summary>
    public void Run(CancellationToken stop)
    {
        _ = Parameters;
        _optimizer = CreateOptimizer();
        while (_times.Count == 0 || (!stop.IsCancellationRequested && _total < MaxTotal * seconds && NeedsMore()))
        {
            long start = Stopwatch.GetTimestamp();
            trainer.Step(_model, _optimizer, 0, _times.Count - _begin);
            double took = Stopwatch.GetElapsedTime(start).TotalSeconds;
            _total += took;
            _times.Add(1e3 * took);
            if (!IsWarm())
                (_warm, _timed) = (_times.Count, 0);
            else if (_entry.EvaluatesLoss && _begin == 0)
                Restart();
            else
                _timed += took;
        }
    }

    /// <summary>The mean cost of a step with given intervals.</summary>
    /// <returns>Mean milliseconds, milliseconds of a step without a refresh, number of timed steps, and whether some kind of step was not
    /// timed after warm-up.</returns>
    public (double Mean, double Plain, int Steps, bool IsPreliminary) Cost(int[] target)
    {
        double[][] cycles = [.. _times.Skip(_warm).Chunk(_cycle).Where(c => c.Length == _cycle).Select(c => c.Order().ToArray())];
        double[] timed = Timed;
        if (_entry.EvaluatesLoss || cycles.Length == 0)
            return (timed.Average(), timed.Min(), timed.Length, IsPreliminary: MinCycles * _cycle > timed.Length);
        double[] costs = [.. Enumerable.Range(0, _cycle).Select(i => Median([.. cycles.Select(c => c[i])]))];
        return (Planner.Mean(costs, intervals, target), costs[(_cycle - 1) / 2], cycles.Length * _cycle, false);
    }

    private bool NeedsMore() =>
        _times.Count < _warm + MinCycles * _cycle
        || _timed < seconds
        || (_entry.EvaluatesLoss && _timed < MaxAveraging * seconds && !IsMeanAccurate());

    /// <summary>Whether steps may be timed: the first ones create states and are compiled.</summary>
    private bool IsWarm() =>
        _begin > 0
        || _warm < _times.Count - 1
        || ((_compilation.IsOver(_total) || _total >= MaxWarmUp * seconds) && _times.Count > Math.Max(MinWarmUpSteps, _cycle));

    /// <summary>Starts a new run: steps with different costs are timed from the first step on.</summary>
    private void Restart()
    {
        (_warm, _begin) = (_times.Count, _times.Count);
        _optimizer!.Dispose();
        _model.Dispose();
        _model = Create(trainer);
        _optimizer = CreateOptimizer();
    }

    private bool IsMeanAccurate()
    {
        double[] timed = [.. _times.Skip(_warm)];
        double mean = timed.Average();
        return timed.Sum(t => (t - mean) * (t - mean)) / (timed.Length * (timed.Length - 1.0))
            <= MaxStandardError * MaxStandardError * mean * mean;
    }

    private static nn.Module<Tensor, Tensor> Create(Trainer trainer)
    {
        manual_seed(0);
        return trainer.Workload.CreateModel();
    }

    private Optimizer CreateOptimizer() => _entry.Create(_model, trainer.Options(choice), trainer.Workload.Likelihood);

    private static double Median(List<double> times)
    {
        times.Sort();
        return times.Count % 2 == 1 ? times[times.Count / 2] : (times[times.Count / 2 - 1] + times[times.Count / 2]) / 2;
    }

    /// <summary>Disposes the model and the optimizer.</summary>
    public void Dispose()
    {
        _optimizer?.Dispose();
        _model.Dispose();
    }
}
