using Amari.Curvature;
using Amari.Native;
using Amari.Reporting;
using Amari.Spectrum;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Measures curvature while a model trains, without changing the training: sharpness, top eigenvalues, gradient noise scale, KL
/// divergence per step, and condition numbers of K-FAC's factors.</summary>
/// <remarks><code>
/// using var monitor = new CurvatureMonitor(model, likelihood, x, y, optimizer, new() { Quantities = MonitorQuantities.Sharpness });
/// monitor.Observe(0);
/// for (long step = 1; ...; step++)
/// {
///     ...                                    // zero_grad, forward, backward, step
///     if (monitor.Observe(step) is { } row) Console.WriteLine($"{row.Step}: {row.Sharpness} of {row.StabilityBound}");
/// }
/// monitor.Measure(steps);                     // at the end
/// </code>
/// It measures at the first call, and later at intervals such that measurements take about <see cref="MonitorOptions.Share"/> of the time.
/// All quantities are measured on one fixed sample, with the model in evaluation mode, without capture by K-FAC and without draws from
/// torch's generator. The weights are bit-equal to those of a run without it. Eigenvalues are the Hessian's by Lanczos, started from the
/// last measurement's eigenvectors plus a small random vector.</remarks>
public sealed class CurvatureMonitor : IDisposable
{
    private const int ChunkSize = 512,
        NoiseBatches = 16;
    private const int ExtraVectors = 6; // vectors of a warm-started basis in addition to the pairs
    private const double RandomWeight = 0.1; // weight of the random vector in a warm start: it finds eigenvalues that overtake others
    private readonly optim.Optimizer? _optimizer;
    private readonly Objective _objective,
        _inParts;
    private readonly Hessian _hessian;
    private readonly MonitorSchedule _schedule;
    private readonly TimeProvider _clock;
    private readonly long _start;
    private readonly List<MonitorRow> _rows = [];
    private List<Tensor>? _before; // outputs before the next measured step
    private long _beforeStep,
        _reported = -1;
    private Tensor? _warm;
    private double _trained;
    private bool _hasNoHessian;

    /// <param name="model">Not owned. Must be on its final device, because <c>module.to</c> replaces the parameters.</param>
    /// <param name="likelihood">p(y | f).</param>
    /// <param name="inputs">The sample's x : [n, ...], n ≥ 2. Not owned; must live as long as the monitor.</param>
    /// <param name="targets">The sample's y : [n, ...]. Not owned.</param>
    /// <param name="optimizer">The optimizer of the model, for the learning rate, the stability bound, K-FAC's factors and a second-order
    /// method's reports. May be null.</param>
    /// <param name="options">Defaults if null. <see cref="MonitorOptions.Examples"/> is not used here.</param>
    /// <param name="clock">The system clock if null.</param>
    /// <exception cref="ArgumentException">The sample has fewer than two examples, or inputs and targets differ in number.</exception>
    public CurvatureMonitor(
        nn.Module<Tensor, Tensor> model,
        Likelihood likelihood,
        Tensor inputs,
        Tensor targets,
        optim.Optimizer? optimizer = null,
        MonitorOptions? options = null,
        TimeProvider? clock = null
    )
    {
        ArgumentNullException.ThrowIfNull(inputs);
        ArgumentNullException.ThrowIfNull(targets);
        long n = inputs.shape[0];
        if (n < 2 || targets.shape[0] != n)
            throw new ArgumentException(
                $"The sample has {n} inputs and {targets.shape[0]} targets; both must be equal and at least 2.",
                nameof(inputs)
            );
        Options = options ?? new();
        _optimizer = optimizer;
        var sample = new Dataset(inputs, targets);
        var parameters = ParameterLayout.Of(model);
        _objective = new(model, likelihood, sample.Batches(ChunkSize), parameters);
        _inParts = new(model, likelihood, sample.Batches((int)Math.Max(1, n / NoiseBatches)), parameters);
        _hessian = new(_objective);
        _schedule = new(Options.Share);
        _clock = clock ?? TimeProvider.System;
        _start = _clock.GetTimestamp();
    }

    /// <summary>The measured quantities and the settings.</summary>
    public MonitorOptions Options { get; }

    /// <summary>The measurements so far and their cost.</summary>
    public MonitorResult Result =>
        new(
            Options.Quantities,
            [.. _rows],
            Options.Share,
            _schedule.Spent == 0 ? 0 : _schedule.Spent / (_schedule.Spent + _trained),
            _schedule.Apart,
            _schedule.Spent,
            _optimizer is null ? null : Training.StabilityBound.Of(_optimizer)?.Rule
        );

    /// <summary>Call it before the first step and after every step; it measures when a measurement is due. All time outside of the monitor
    /// counts as training time.</summary>
    /// <param name="step">Completed steps, increasing from call to call.</param>
    /// <returns>The measurement, or a second-order method's report of the step; usually null.</returns>
    public MonitorRow? Observe(long step) => Observe(step, TrainingSeconds);

    /// <summary>For a loop with its own clock: as <see cref="Observe(long)"/>.</summary>
    /// <param name="step">Completed steps, increasing from call to call.</param>
    /// <param name="trainingSeconds">Training time so far, without the monitor's.</param>
    /// <returns>The measurement, or a second-order method's report of the step; usually null.</returns>
    public MonitorRow? Observe(long step, double trainingSeconds)
    {
        _trained = trainingSeconds;
        var latest = _optimizer switch
        {
            SecondOrderOptimizer o => o.Report,
            Kfac k => k.Report,
            _ => null,
        };
        var report = latest is not null && latest.Step != _reported ? latest : null;
        _reported = report?.Step ?? _reported;
        if (_before is not null)
            return Measure(step, report, apart: false);
        if (_schedule.Due(trainingSeconds) && !Has(step))
        {
            // KL needs two calls: outputs before a step, then all measurements after it. No step precedes the first call.
            if (_schedule.First is null || !Requests(MonitorQuantities.Kl))
                return Measure(step, report, apart: false);
            long began = _clock.GetTimestamp();
            (_before, _beforeStep) = (Outputs(), step);
            _schedule.Add(_clock.GetElapsedTime(began).TotalSeconds, complete: false);
        }
        return report is null
            ? null
            : new()
            {
                Step = step,
                Seconds = trainingSeconds,
                Report = report,
            };
    }

    /// <summary>Measures now, at the end of a run. The time does not count towards the share.</summary>
    /// <param name="step">Completed steps.</param>
    /// <returns>The measurement; null if this step was measured already.</returns>
    public MonitorRow? Measure(long step) => Measure(step, TrainingSeconds);

    /// <summary>For a loop with its own clock: as <see cref="Measure(long)"/>.</summary>
    /// <param name="step">Completed steps.</param>
    /// <param name="trainingSeconds">Training time so far, without the monitor's.</param>
    /// <returns>The measurement; null if this step was measured already.</returns>
    public MonitorRow? Measure(long step, double trainingSeconds)
    {
        _trained = trainingSeconds;
        return Has(step) ? null : Measure(step, null, apart: true);
    }

    private double TrainingSeconds => _clock.GetElapsedTime(_start).TotalSeconds - _schedule.Total;

    private bool Has(long step) => _rows.Count > 0 && step <= _rows[^1].Step;

    private MonitorRow Measure(long step, StepReport? report, bool apart)
    {
        long began = _clock.GetTimestamp();
        _rows.Add(Row(step, report));
        _schedule.Add(_clock.GetElapsedTime(began).TotalSeconds, complete: true, apart);
        return _rows[^1];
    }

    /// <summary>Continues from the measurements of an interrupted run.</summary>
    internal void Restore(MonitorResult earlier)
    {
        _rows.AddRange(earlier.Rows);
        (_schedule.Spent, _schedule.Apart) = (earlier.Seconds, earlier.EndSeconds);
    }

    private MonitorRow Row(long step, StepReport? report)
    {
        using var scope = NewDisposeScope();
        bool hessian = Requests(MonitorQuantities.Sharpness | MonitorQuantities.Spectrum);
        using var pairs = hessian && !_hasNoHessian ? Eigenpairs() : null;
        var row = new MonitorRow
        {
            Step = step,
            Seconds = _trained,
            Report = report,
            LearningRate = _optimizer?.ParamGroups.FirstOrDefault()?.LearningRate,
            NoiseScale = Requests(MonitorQuantities.Noise) ? GradientNoiseScale.Of(_inParts).Scale : null,
            Kl = _before is null || step == _beforeStep ? null : Kl(_before),
            KlSteps = _before is null || step == _beforeStep ? null : step - _beforeStep,
            Factors = Requests(MonitorQuantities.Factors) ? (_optimizer as Kfac)?.FactorConditions() : null,
            Eigenvalues = Requests(MonitorQuantities.Spectrum) ? pairs?.Values ?? [] : null,
        };
        DisposeOutputs();
        return !Requests(MonitorQuantities.Sharpness)
            ? row
            : row with
            {
                Sharpness = pairs?.Values.Count > 0 ? pairs.Values[0] : double.NaN,
                SharpnessResidual = pairs?.Values.Count > 0 ? pairs.Residuals[0] : double.NaN,
                StabilityBound = _optimizer is null ? null : Training.StabilityBound.Of(_optimizer)?.Value,
            };
    }

    private Eigenpairs? Eigenpairs()
    {
        int count = Requests(MonitorQuantities.Spectrum) ? Options.Eigenvalues : 1;
        Eigenpairs pairs;
        try
        {
            pairs = Lanczos.Run(
                _hessian,
                new()
                {
                    Count = count,
                    Tolerance = Options.Tolerance,
                    MaxProducts = Options.MaxProducts,
                    Seed = Options.Seed,
                    Start = _warm,
                    BasisSize = _warm is null ? null : count + ExtraVectors,
                }
            );
        }
        catch (InvalidOperationException e) // the training continues
        {
            _hasNoHessian = true;
            Warnings.Once($"The monitor cannot measure the Hessian of this model and omits its eigenvalues. {e.Message}");
            return null;
        }
        if (pairs.Vectors is not { } v)
            return pairs;
        using var generator = new Generator((ulong)(Options.Seed + _rows.Count + 1));
        var random = randn(v.shape[0], dtype: v.dtype, generator: generator).to(v.device);
        _warm?.Dispose();
        _warm = (v.sum(dim: 1) / Math.Sqrt(v.shape[1]))
            .add_(random, alpha: RandomWeight / random.norm().ToDouble())
            .DetachFromDisposeScope();
        return pairs;
    }

    /// <summary>f of every batch; owned by the caller.</summary>
    private List<Tensor> Outputs()
    {
        var outputs = new List<Tensor>();
        _objective.Walk(false, p => outputs.Add(p.Output.clone().DetachFromDisposeScope()));
        return outputs;
    }

    private double Kl(List<Tensor> before)
    {
        double sum = 0;
        int i = 0;
        long terms = _objective.Walk(
            false,
            p => sum += _objective.Likelihood!.KlDivergence(Double(before[i++]), Double(p.Output)).sum().ToDouble()
        );
        return sum / terms;

        static Tensor Double(Tensor t) => t.cpu().to_type(ScalarType.Float64);
    }

    private bool Requests(MonitorQuantities some) => (Options.Quantities & some) != 0;

    private void DisposeOutputs()
    {
        foreach (var output in _before ?? [])
            output.Dispose();
        _before = null;
    }

    /// <summary>Disposes the vectors and outputs that it keeps between measurements.</summary>
    public void Dispose()
    {
        DisposeOutputs();
        _warm?.Dispose();
    }
}
