using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Distributed;
using Amari.Native;
using Amari.Optimizers;
using Amari.Serialization;
using Amari.Verification;

namespace Amari;

/// <summary>An optimizer that takes the loss as a function it can evaluate, differentiate twice and try steps on.</summary>
/// <remarks>It computes gradients and curvature itself: the parameters' <c>grad</c> is neither read nor written. While it does so the model
/// is in evaluation mode (dropout off, BatchNorm by its running statistics), so that all evaluations of a step see one function. A step
/// whose
/// loss, gradient or curvature is not finite is skipped: see <see cref="Optimizer.SkippedSteps"/>. Frozen parameters are
/// constants.</remarks>
public abstract class SecondOrderOptimizer : Optimizer
{
    /// <summary>What the last step did; null before the first.</summary>
    public StepReport? Report { get; private protected set; }

    /// <summary>The ranks whose parts of the batch make the loss.</summary>
    private protected Communicator Ranks { get; private set; } = SingleProcess.Instance;

    /// <summary>One step on one batch; over ranks, on the batch of which each rank gives its part, and with one report for all.</summary>
    /// <param name="inputs">x, as the model takes it. Not owned.</param>
    /// <param name="targets">y, as the likelihood takes it. Not owned.</param>
    /// <exception cref="InvalidOperationException">The optimizer was made from parameters, without a model and a likelihood.</exception>
    public abstract StepReport StepOnBatch(Tensor inputs, Tensor targets);

    /// <summary>Over the ranks of a communicator: losses, gradients and products with the curvature are those of the batch of all ranks,
    /// added up over their parts, so that every rank decides alike and takes the same step. The weights must be the same at first, as
    /// <see cref="DataParallel"/> makes them; gradients are averaged here, not there.</summary>
    internal override void Share(Communicator communicator, bool shardState) => Ranks = communicator;

    internal override void RefuseUnshareable(int ranks, bool shardState)
    {
        if (shardState)
            throw new NotSupportedException(
                $"The state of {GetType().Name} cannot be divided over ranks; that of SGD, Adam, AdamW and Lion can."
            );
    }
}

/// <summary>The base of second-order methods: objective, trial steps, state, saving.</summary>
/// <typeparam name="TOptions">The method's options.</typeparam>
public abstract class SecondOrderOptimizer<TOptions> : SecondOrderOptimizer
    where TOptions : OptimizerOptions
{
    private const double RoundingErrors = 10; // of the loss, in units of its last place (Conn, Gould and Toint 2000, §17.4.2)
    private const string SkippedFor = " was not finite; the step was skipped";
    private readonly EventLog _events = new();
    private IReadOnlyList<string> _directed = []; // the parameters that Direction is over
    private readonly nn.Module<Tensor, Tensor>? _model;
    private readonly Likelihood? _likelihood;

    private protected SecondOrderOptimizer(nn.Module<Tensor, Tensor> model, Likelihood likelihood, TOptions options)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(likelihood);
        (_model, _likelihood, Group) = (model, likelihood, ParameterGroup.Of(model, options));
        Check();
    }

    private protected SecondOrderOptimizer(IEnumerable<Parameter> parameters, TOptions options)
    {
        Group = ParameterGroup.Of(parameters, options);
        Check();
    }

    private void Check()
    {
        Require.Trainable(parameters(), GetType().Name);
        foreach (var (name, parameter) in Group.Parameters)
            Require.Real(name, parameter);
        _ = Layout();
        _events.AddUninitialised(Group.Parameters);
    }

    /// <summary>The parameters and the options in force, which may be replaced between steps.</summary>
    public ParameterGroup<TOptions> Group { get; }

    /// <inheritdoc/>
    public override IEnumerable<optim.ILearningRateController> ParamGroups => [Group];

    private protected override IEnumerable<OptimizerOptions> OptionsOfGroups => [Group.Options];

    /// <inheritdoc/>
    public override IEnumerable<Parameter> parameters() => Group.Parameters.Select(p => p.Parameter);

    /// <inheritdoc/>
    public override Coverage Coverage =>
        new([.. Group.Parameters.Select(p => new CoverageRow(p.Name, GetType().Name, "every parameter").AsTrained(p.Parameter))]);

    /// <inheritdoc/>
    /// <remarks>What is kept between steps; a dense method needs far more while it steps.</remarks>
    public override long StateBytes => Direction is { } d ? d.numel() * d.ElementSize : 0;

    /// <inheritdoc/>
    /// <remarks>The same thing happening again is counted in the message of the first time.</remarks>
    public override IReadOnlyList<OptimizerEvent> Events => _events.Events;

    /// <summary>How many steps were begun, without the skipped ones.</summary>
    public long Steps { get; private set; }

    /// <summary>The number that a method adapts from step to step (damping, trust radius); null before the first.</summary>
    private protected double? Adapted { get; set; }

    /// <summary>The vector [d] that a method carries from step to step, owned; null if none. Entries of parameters that are frozen are
    /// dropped, those of thawed ones begin at zero.</summary>
    private protected Tensor? Direction
    {
        get;
        set
        {
            if (!ReferenceEquals(field, value))
                field?.Dispose();
            field = value?.DetachFromDisposeScope();
        }
    }

    /// <summary>Whether a loss alone is not enough: the method needs the model's outputs and a likelihood.</summary>
    private protected virtual bool NeedsOutputs => false;

    /// <summary>One step from parameters where the loss and its gradient are finite.</summary>
    /// <param name="objective">L.</param>
    /// <param name="loss">L(w).</param>
    /// <param name="gradient">g : [d], clipped; not to be changed.</param>
    private protected abstract StepReport Update(Objective objective, double loss, Tensor gradient);

    /// <inheritdoc/>
    public override StepReport StepOnBatch(Tensor inputs, Tensor targets)
    {
        if (_model is null)
            throw new InvalidOperationException(
                $"This {GetType().Name} was made from parameters, without a model and a likelihood: give step(closure) the loss instead."
            );
        using var scope = NewDisposeScope();
        return Step(new Objective(_model, _likelihood!, [(inputs, targets)], Layout()) { Ranks = Ranks });
    }

    /// <summary>One step on a loss given as a function of the parameters.</summary>
    /// <param name="closure">Computes the loss, differentiable; called several times, also without gradients. One that calls
    /// <c>backward</c> itself, as for <c>torch.optim.LBFGS</c>, is taken by <see cref="Lbfgs"/>, which needs no second derivatives; its
    /// gradients are then those that <c>backward</c> left.</param>
    /// <returns>The loss before the step; the caller owns it.</returns>
    /// <exception cref="InvalidOperationException">There is no closure; or the method needs the model's outputs, or a derivative that the
    /// closure does not have: the message says which, and what to do; or its loss depends on none of the parameters.</exception>
    /// <exception cref="ArgumentException">The loss is not one real number.</exception>
    /// <exception cref="NotSupportedException">There are several ranks.</exception>
    public override Tensor step(Func<Tensor>? closure = null)
    {
        if (NeedsOutputs)
            throw new InvalidOperationException(
                $"{GetType().Name} needs the model's outputs, not only its loss: call StepOnBatch(inputs, targets)."
            );
        if (closure is null)
            throw new InvalidOperationException(
                $"{GetType().Name} evaluates the loss itself: call StepOnBatch(inputs, targets), or give step(closure) the differentiable "
                    + "loss, without backward."
            );
        if (Ranks.Size > 1)
            throw new NotSupportedException(
                "A closure does not tell how many terms a rank's loss is the mean of: over several ranks call StepOnBatch(inputs, "
                    + $"targets) of {GetType().Name}."
            );
        var layout = Layout();
        var report = Step(new Objective(closure, layout));
        return tensor(report.LossBefore, dtype: layout.Type, device: layout.Device);
    }

    private StepReport Step(Objective objective)
    {
        using var scope = NewDisposeScope();
        Steps++;
        Follow(objective.Parameters);
        var (loss, gradient) = objective.Gradient();
        double norm = gradient.norm().ToDouble(),
            scale = 1;
        GradientNorm = norm;
        long clipped = ClippedSteps;
        if (MaxGradientNorm is not null && double.IsFinite(norm))
            scale = ClipScale(norm * norm);
        Report = double.IsFinite(loss) && double.IsFinite(norm) ? Move() : Skipped(loss, NotFinite(objective.Parameters, loss, gradient));
        if (Report.Outcome == StepOutcome.Rejected)
            Log("the step was rejected");
        if (Report.Outcome == StepOutcome.Skipped)
            (Steps, ClippedSteps) = (Steps - 1, clipped);
        return Report;

        StepReport Move()
        {
            if (scale != 1)
                gradient.mul_(scale);
            using var off = no_grad();
            return Update(objective, loss, gradient);
        }
    }

    /// <summary>The first parameter whose gradient is not finite, if the loss is.</summary>
    private static string NotFinite(ParameterLayout layout, double loss, Tensor gradient) =>
        !double.IsFinite(loss)
            ? "all"
            : layout
                .Parameters.Zip(layout.Split(gradient))
                .Where(p => p.Second.numel() > 0 && !IsFinite(p.Second))
                .Select(p => p.First.Name)
                .FirstOrDefault("all");

    /// <summary>The report of a step that what is not finite keeps from being tried. The method has changed nothing yet.</summary>
    /// <param name="loss">L(w).</param>
    /// <param name="parameter">The first one whose gradient it is; <c>all</c> if it is the loss, or the curvature.</param>
    /// <param name="curvature">Whether it is the curvature.</param>
    private protected StepReport Skipped(double loss, string parameter = "all", bool curvature = false)
    {
        SkippedSteps++;
        Log(
            (
                curvature ? "the curvature"
                : parameter == "all" ? "the loss or its gradient"
                : "its gradient"
            ) + SkippedFor,
            parameter
        );
        return new()
        {
            Step = Steps,
            Outcome = StepOutcome.Skipped,
            LossBefore = loss,
            LossAfter = loss,
            GradientNorm = GradientNorm,
        };
    }

    /// <summary>Whether no number of a matrix or vector is infinite or NaN.</summary>
    private protected static bool IsFinite(Tensor x) => double.IsFinite(GradientCheck.LargestMagnitude(x));

    /// <summary>Tries w + s D; keeps it if the loss there is finite and the reduction at least a share of what the model
    /// promises.</summary>
    /// <param name="objective">L.</param>
    /// <param name="loss">L(w).</param>
    /// <param name="direction">D : [d].</param>
    /// <param name="size">s.</param>
    /// <param name="predicted">The reduction that the model promises of s D.</param>
    /// <param name="least">The smallest ρ that is accepted; any, if it is -∞.</param>
    private protected StepReport Try(
        Objective objective,
        double loss,
        Tensor direction,
        double size,
        double predicted,
        double least = double.NegativeInfinity
    )
    {
        using var scope = NewDisposeScope();
        var layout = objective.Parameters;
        var w = layout.Read();
        layout.Write(w.add(direction, alpha: size));
        double after = objective.Loss(),
            ratio = Ratio(objective, loss, after, predicted);
        bool accepted = double.IsFinite(after) && ratio >= least;
        if (!accepted)
            layout.Write(w);
        return Made(accepted, loss, after, direction, size, predicted, ratio);
    }

    /// <summary>The report of a trial step s D.</summary>
    private protected StepReport Made(
        bool accepted,
        double loss,
        double after,
        Tensor direction,
        double size,
        double? predicted,
        double? ratio
    ) =>
        new()
        {
            Step = Steps,
            Outcome = accepted ? StepOutcome.Accepted : StepOutcome.Rejected,
            LossBefore = loss,
            LossAfter = accepted ? after : loss,
            GradientNorm = GradientNorm,
            StepSize = size,
            StepNorm = Math.Abs(size) * direction.norm().ToDouble(),
            PredictedReduction = predicted,
            ReductionRatio = ratio,
        };

    /// <summary>A report of a step that could not be made.</summary>
    private protected StepReport NoStep(double loss, string message)
    {
        Log(message);
        return new()
        {
            Step = Steps,
            Outcome = StepOutcome.Rejected,
            LossBefore = loss,
            LossAfter = loss,
            GradientNorm = GradientNorm,
        };
    }

    /// <summary>ρ: both reductions are raised by the rounding error of the loss, so that it tends to 1 and not to noise as they
    /// vanish.</summary>
    private protected static double Ratio(Objective objective, double before, double after, double predicted)
    {
        if (!double.IsFinite(after))
            return double.NegativeInfinity;
        double noise = RoundingError(objective, before);
        return predicted + noise > 0 ? (before - after + noise) / (predicted + noise)
            : before - after < 0 ? double.NegativeInfinity
            : 1;
    }

    /// <summary>How far two evaluations of the loss may lie apart by rounding.</summary>
    private protected static double RoundingError(Objective objective, double loss) =>
        RoundingErrors * finfo(objective.Parameters.Type).eps * Math.Abs(loss);

    /// <summary>u'v.</summary>
    private protected static double Dot(Tensor u, Tensor v)
    {
        using var dot = u.dot(v);
        return dot.ToDouble();
    }

    /// <summary>Remembers something worth a user's attention.</summary>
    private protected void Log(string message, string subject = "all") => _events.Add(subject, message, Steps);

    /// <summary>The parameters that are trained now, without frozen ones, as they are now, for <c>module.to</c> makes new ones.</summary>
    private ParameterLayout Layout()
    {
        if (Group.Parameters.Any(p => p.Parameter.IsInvalid))
            Group.Refresh();
        var layout = new ParameterLayout(Group.Parameters.Where(p => p.Parameter.requires_grad));
        return layout.Type is ScalarType.Float32 or ScalarType.Float64
            ? layout
            : throw new ArgumentException($"{GetType().Name} needs float32 or float64 parameters; they are {layout.Type}.");
    }

    /// <summary>How many numbers the parameters that are trained now hold.</summary>
    private protected long Dimension => Layout().Dimension;

    /// <summary>Bytes of a dense d x d method: the matrix, the columns it is made of, and its factor.</summary>
    private protected long DenseBytes
    {
        get
        {
            var layout = Layout();
            long d = layout.Dimension,
                size = layout.Type == ScalarType.Float64 ? sizeof(double) : sizeof(float);
            return d > int.MaxValue ? long.MaxValue : 3 * d * d * size;
        }
    }

    /// <summary>Refuses a model that is too large for a dense matrix.</summary>
    private protected void RequireDense(long limit, string instead)
    {
        const double Gigabyte = 1 << 30;
        if (DenseBytes <= limit)
            return;
        throw new ArgumentException(
            string.Create(
                System.Globalization.CultureInfo.InvariantCulture,
                $"{GetType().Name} forms a dense matrix: {Dimension:N0} parameters need {DenseBytes / Gigabyte:F1} GiB, above the limit of "
                    + $"{limit / Gigabyte:F1} GiB (MaxDenseBytes); use {instead}, which forms none."
            )
        );
    }

    private void Follow(ScalarType type, Device device)
    {
        if (Direction is { } d && (d.dtype != type || !Native.TensorDevice.IsOn(d, device)))
            Direction = d.to(type, device);
    }

    /// <summary>Makes the direction one over the parameters of this step.</summary>
    private void Follow(ParameterLayout layout)
    {
        Follow(layout.Type, layout.Device);
        List<string> names = [.. layout.Parameters.Select(p => p.Name)];
        if (Direction is { } d && !names.SequenceEqual(_directed))
        {
            using var scope = NewDisposeScope();
            var parts = d.split([.. Sizes(_directed)]);
            var last = _directed.Zip(parts).ToDictionary(p => p.First, p => p.Second);
            Direction = layout.Flatten([.. names.Select(n => last.GetValueOrDefault(n))]);
        }
        _directed = names;
    }

    private IEnumerable<long> Sizes(IReadOnlyCollection<string> names)
    {
        var sizes = Group.Parameters.ToDictionary(p => p.Name, p => p.Parameter.numel());
        return names.Select(n => sizes[n]);
    }

    /// <inheritdoc/>
    public override void zero_grad()
    {
        if (Group.Parameters.Any(p => p.Parameter.IsInvalid))
            Group.Refresh();
        foreach (var p in parameters())
            Native.LibTorch.ReleaseGradient(p.Handle);
    }

    /// <inheritdoc/>
    public override OptimizerSnapshot Snapshot() =>
        new(
            Direction is { } d ? new Dictionary<string, Tensor> { ["Direction"] = d } : [],
            new()
            {
                ["type"] = GetType().Name,
                ["schema"] = SavedState.Schema,
                ["parameters"] = new JsonArray([.. Group.Parameters.Select(p => (JsonNode)p.Name)]),
                ["dimension"] = Group.Parameters.Sum(p => p.Parameter.numel()),
                ["directed"] = new JsonArray([.. _directed.Select(n => (JsonNode)n)]),
                ["options"] = SavedState.Write(Group.Options),
                ["initialLearningRate"] = Group.InitialLearningRate,
                ["steps"] = Steps,
                ["adapted"] = Adapted,
                ["clippedSteps"] = ClippedSteps,
                ["skippedSteps"] = SkippedSteps,
                ["events"] = _events.Save(),
            }
        );

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        var (tensors, values) = snapshot;
        SavedState.RequireHeader(values, GetType().Name);
        if (
            !SavedState.Required(values, "parameters").AsArray().Select(n => (string)n!).SequenceEqual(Group.Parameters.Select(p => p.Name))
            || (long)SavedState.Required(values, "dimension") != Group.Parameters.Sum(p => p.Parameter.numel())
        )
            throw new InvalidDataException("The state is of other parameters than the optimizer's.");
        var direction = tensors.GetValueOrDefault(nameof(Direction));
        List<string> directed = [.. values["directed"]?.AsArray().Select(n => (string)n!) ?? Group.Parameters.Select(p => p.Name)];
        long expected = Sizes(directed).Sum();
        if (direction is not null && (direction.dim() != 1 || direction.shape[0] != expected))
            throw new InvalidDataException(
                $"'{nameof(Direction)}' has the shape [{string.Join(", ", direction.shape)}], expected [{expected}]."
            );
        if ((double?)values["adapted"] is { } adapted)
            RequireAdapted(adapted);
        var (options, steps) = (SavedState.Read<TOptions>(values["options"]), SavedState.Count(values, "steps"));
        var (clipped, skipped) = (
            SavedState.Count(values, "clippedSteps", optional: true),
            SavedState.Count(values, "skippedSteps", optional: true)
        );
        (Group.Options, Group.InitialLearningRate) = (options, (double?)values["initialLearningRate"] ?? options.LearningRate);
        (Steps, Adapted) = (steps, (double?)values["adapted"]);
        (ClippedSteps, SkippedSteps) = (clipped, skipped);
        _events.Load(values["events"]);
        (Direction, _directed) = (direction?.clone(), directed);
        Report = null;
    }

    /// <summary>Refuses a saved <see cref="Adapted"/> that the method cannot have left.</summary>
    /// <exception cref="InvalidDataException">It is no damping and no trust radius.</exception>
    private protected virtual void RequireAdapted(double value)
    {
        if (!(value > 0 && double.IsFinite(value)))
            throw new InvalidDataException(
                FormattableString.Invariant($"The state's damping or trust radius is {value}; it must be a finite number > 0.")
            );
    }

    /// <inheritdoc/>
    public override void to(Device device)
    {
        ArgumentNullException.ThrowIfNull(device);
        if (Direction is { } d)
            Follow(d.dtype, device);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            Direction = null;
        base.Dispose(disposing);
    }
}
