using Amari.Curvature;
using Amari.Native;
using Amari.Reporting;
using Amari.Spectrum;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Watches curvature while a model trains, without changing the training: sharpness, top eigenvalues, gradient noise scale, KL per
/// step, condition of K-FAC's factors.</summary>
/// <remarks><code>
/// using var monitor = new CurvatureMonitor(model, likelihood, x, y, optimizer, new() { Quantities = MonitorQuantities.Sharpness });
/// monitor.Observe(0);
/// for (long step = 1; ...; step++)
/// {
///     ...                                    // zero_grad, forward, backward, step
///     if (monitor.Observe(step) is { } row) Console.WriteLine($"{row.Step}: {row.Sharpness} of {row.StabilityBound}");
/// }
/// monitor.Measure(steps);                     // the end
/// </code>
/// It measures at the first call and then so seldom that it takes about <see cref="MonitorOptions.Share"/> of the time. All is measured on
/// one fixed sample with the model in evaluation mode, unseen by K-FAC and without a draw from torch's generator: the weights are bit for
/// bit those of a run without it. Eigenvalues are the Hessian's by Lanczos, started from the last measurement's eigenvectors and a little
/// random vector.</remarks>
public sealed class CurvatureMonitor : IDisposable
{
    private const int Together = 512,
        NoiseBatches = 16;
    private const int Slack = 6; // vectors that a warm basis has beyond the pairs
    private const double Fresh = 0.1; // of a random vector in a warm start: eigenvalues that overtake are seen
    private readonly optim.Optimizer? _optimizer;
    private readonly Objective _objective,
        _inParts;
    private readonly Hessian _hessian;
    private readonly MonitorSchedule _schedule;
    private readonly TimeProvider _clock;
    private readonly long _start;
    private readonly List<MonitorRow> _rows = [];
    private List<Tensor>? _before; // outputs before the step that is measured next
    private long _beforeStep,
        _reported = -1;
    private Tensor? _warm;
    private double _trained;
    private bool _hasNoHessian;

    /// <param name="model">Not owned. On its device already: <c>module.to</c> replaces the parameters.</param>
    /// <param name="likelihood">p(y | f).</param>
    /// <param name="inputs">The sample's x : [n, ...], n ≥ 2. Not owned; must live as long as the monitor.</param>
    /// <param name="targets">The sample's y : [n, ...]. Not owned.</param>
    /// <param name="optimizer">What trains the model: for the learning rate, the stability bound, K-FAC's factors and a second-order
    /// method's reports; null to go without.</param>
    /// <param name="options">Defaults if null; <see cref="MonitorOptions.Examples"/> is not used here.</param>
    /// <param name="clock">The system's if null.</param>
    /// <exception cref="ArgumentException">The sample has fewer than two examples, or its sizes differ.</exception>
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
                $"The sample has {n} inputs and {targets.shape[0]} targets; it must be as many, at least 2.",
                nameof(inputs)
            );
        Options = options ?? new();
        _optimizer = optimizer;
        var sample = new Dataset(inputs, targets);
        var parameters = ParameterLayout.Of(model);
        _objective = new(model, likelihood, sample.Batches(Together), parameters);
        _inParts = new(model, likelihood, sample.Batches((int)Math.Max(1, n / NoiseBatches)), parameters);
        _hessian = new(_objective);
        _schedule = new(Options.Share);
        _clock = clock ?? TimeProvider.System;
        _start = _clock.GetTimestamp();
    }

    /// <summary>What is measured, and how.</summary>
    public MonitorOptions Options { get; }

    /// <summary>The measurements so far, and what they cost.</summary>
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

    /// <summary>Call it before the first step and after every one; it measures when it is time to. Training time is all time not spent
    /// here.</summary>
    /// <param name="step">Steps done, rising from call to call.</param>
    /// <returns>The measurement, or what a second-order method reports of the step; null mostly.</returns>
    public MonitorRow? Observe(long step) => Observe(step, TrainingSeconds);

    /// <summary>The same for a loop that has a clock of its own.</summary>
    /// <param name="step">Steps done, rising from call to call.</param>
    /// <param name="trainingSeconds">Training time so far, without the monitor's.</param>
    /// <returns>The measurement, or what a second-order method reports of the step; null mostly.</returns>
    public MonitorRow? Observe(long step, double trainingSeconds)
    {
        _trained = trainingSeconds;
        var told = _optimizer switch
        {
            SecondOrderOptimizer o => o.Report,
            Kfac k => k.Report,
            _ => null,
        };
        var report = told is { } last && last.Step != _reported ? last : null;
        _reported = report?.Step ?? _reported;
        if (_before is not null)
            return Measure(step, report, apart: false);
        if (_schedule.Due(trainingSeconds) && !Has(step))
        {
            // KL takes two calls: outputs before a step, then all measurements after it. No step leads to the first one.
            if (_schedule.First is null || !Asked(MonitorQuantities.Kl))
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

    /// <summary>Measures now, due or not, and outside the share: for the end of a run.</summary>
    /// <param name="step">Steps done.</param>
    /// <returns>The measurement; null if this step was measured already.</returns>
    public MonitorRow? Measure(long step) => Measure(step, TrainingSeconds);

    /// <summary>The same for a loop that has a clock of its own.</summary>
    /// <param name="step">Steps done.</param>
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

    /// <summary>Continues from the measurements of a run that was interrupted.</summary>
    internal void Restore(MonitorResult earlier)
    {
        _rows.AddRange(earlier.Rows);
        (_schedule.Spent, _schedule.Apart) = (earlier.Seconds, earlier.EndSeconds);
    }

    private MonitorRow Row(long step, StepReport? report)
    {
        using var scope = NewDisposeScope();
        bool hessian = Asked(MonitorQuantities.Sharpness | MonitorQuantities.Spectrum);
        using var pairs = hessian && !_hasNoHessian ? Eigenpairs() : null;
        var row = new MonitorRow
        {
            Step = step,
            Seconds = _trained,
            Report = report,
            LearningRate = _optimizer?.ParamGroups.FirstOrDefault()?.LearningRate,
            NoiseScale = Asked(MonitorQuantities.Noise) ? GradientNoiseScale.Of(_inParts).Scale : null,
            Kl = _before is null || step == _beforeStep ? null : Kl(_before),
            KlSteps = _before is null || step == _beforeStep ? null : step - _beforeStep,
            Factors = Asked(MonitorQuantities.Factors) ? (_optimizer as Kfac)?.FactorConditions() : null,
            Eigenvalues = Asked(MonitorQuantities.Spectrum) ? pairs?.Values ?? [] : null,
        };
        Forget();
        return !Asked(MonitorQuantities.Sharpness)
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
        int count = Asked(MonitorQuantities.Spectrum) ? Options.Eigenvalues : 1;
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
                    BasisSize = _warm is null ? null : count + Slack,
                }
            );
        }
        catch (InvalidOperationException e) // the training goes on
        {
            _hasNoHessian = true;
            Warnings.Once($"The monitor cannot measure the Hessian of this model, and leaves its eigenvalues out. {e.Message}");
            return null;
        }
        if (pairs.Vectors is not { } v)
            return pairs;
        using var generator = new Generator((ulong)(Options.Seed + _rows.Count + 1));
        var random = randn(v.shape[0], dtype: v.dtype, generator: generator).to(v.device);
        _warm?.Dispose();
        _warm = (v.sum(dim: 1) / Math.Sqrt(v.shape[1])).add_(random, alpha: Fresh / random.norm().ToDouble()).DetachFromDisposeScope();
        return pairs;
    }

    /// <summary>f of every batch; owned.</summary>
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

    private bool Asked(MonitorQuantities some) => (Options.Quantities & some) != 0;

    private void Forget()
    {
        foreach (var output in _before ?? [])
            output.Dispose();
        _before = null;
    }

    /// <summary>Disposes what it keeps between measurements: a vector of the model's size, and outputs.</summary>
    public void Dispose()
    {
        Forget();
        _warm?.Dispose();
    }
}
