using Amari.Curvature;
using Amari.Distributed;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>An optimizer that gets the loss as a function, which it can evaluate, differentiate twice and use for trial steps.</summary>
/// <remarks>It computes gradients and curvature itself; the <c>grad</c> of the parameters is neither read nor written. During a step the
/// model is in evaluation mode (dropout off, BatchNorm with its running statistics), so all evaluations of a step use the same function. If
/// the loss, its gradient or the curvature is not finite, the step is skipped: see <see cref="Optimizer.SkippedSteps"/>. Frozen parameters
/// are constants.</remarks>
public abstract class SecondOrderOptimizer : Optimizer
{
    /// <summary>What the last step did; null before the first.</summary>
    public StepReport? Report { get; private protected set; }

    /// <summary>The ranks whose parts of the batch make the loss.</summary>
    private protected Communicator Ranks { get; private set; } = SingleProcess.Instance;

    /// <inheritdoc/>
    public override bool EvaluatesLoss => true;

    /// <summary>One step on one batch. With several ranks, each gives its part of the batch, and all get the same report.</summary>
    /// <param name="inputs">x, as the model takes it. Not owned.</param>
    /// <param name="targets">y, as the likelihood takes it. Not owned.</param>
    /// <exception cref="InvalidOperationException">The optimizer was made from parameters, without a model and a likelihood.</exception>
    public abstract override StepReport StepOnBatch(Tensor inputs, Tensor targets);

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

/// <summary>The base of second-order methods: objective and step here, trial steps, layout of the parameters, and saving in files of
/// their own.</summary>
/// <typeparam name="TOptions">The method's options.</typeparam>
public abstract partial class SecondOrderOptimizer<TOptions> : SecondOrderOptimizer
    where TOptions : OptimizerOptions
{
    private IReadOnlyList<string> _directed = []; // the parameters that Direction is over

    private protected SecondOrderOptimizer(nn.Module<Tensor, Tensor> model, Likelihood likelihood, TOptions options)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(likelihood);
        (Model, Likelihood, Group) = (model, likelihood, ParameterGroup.Of(model, options));
        Check();
    }

    private protected SecondOrderOptimizer(IEnumerable<Parameter> parameters, TOptions options)
    {
        Group = ParameterGroup.Of(parameters, options);
        Check();
    }

    private protected SecondOrderOptimizer(ParameterLayout parameters, TOptions options)
    {
        Group = new(parameters.Parameters, options);
        Check();
    }

    private void Check()
    {
        Require.Trainable(parameters(), GetType().Name);
        foreach (var (name, parameter) in Group.Parameters)
            Require.Real(name, parameter);
        _ = Layout();
        EventLog.AddUninitialised(Group.Parameters);
    }

    /// <summary>The model; null where the optimizer was made without one.</summary>
    private protected nn.Module<Tensor, Tensor>? Model { get; }

    private protected override IEnumerable<nn.Module> Models => Model is { } model ? [model] : [];

    /// <summary>p(y | f) of the model's output; null without a model.</summary>
    private protected Likelihood? Likelihood { get; }

    /// <summary>The parameters and their present options, which you can replace between steps.</summary>
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
    /// <remarks>This is the state between steps. During a step, a dense method needs far more.</remarks>
    public override long StateBytes => Direction is { } d ? d.numel() * d.ElementSize : 0;

    /// <summary>Number of steps, without the skipped ones.</summary>
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
        if (Model is null)
            throw new InvalidOperationException(
                $"This {GetType().Name} was made from parameters, without a model and a likelihood: give step(closure) the loss instead."
            );
        using var scope = NewDisposeScope();
        var part = PartAmong(Ranks, inputs.shape[0]);
        return Advance(new Objective(Model, Likelihood!, [(inputs, targets)], Layout()) { Ranks = Ranks, Part = part });
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
                "A closure does not say how many terms a rank's loss is the mean of: over several ranks call StepOnBatch(inputs, "
                    + $"targets) of {GetType().Name}."
            );
        var layout = Layout();
        var report = Advance(new Objective(closure, layout));
        return tensor(report.LossBefore, dtype: layout.Type, device: layout.Device);
    }

    private StepReport Advance(Objective objective) =>
        Advance(
            objective.Parameters,
            objective.Gradient,
            (loss, gradient, scale) => Update(objective, loss, scale == 1 ? gradient : gradient.mul_(scale))
        );

    /// <summary>One step: its count, the clipping, and what is done where the loss or its gradient is not finite.</summary>
    /// <param name="parameters">w.</param>
    /// <param name="evaluate">Computes L(w) and g : [d].</param>
    /// <param name="update">Makes the step of L(w), g, and the factor on g that clips it.</param>
    private protected StepReport Advance(
        ParameterLayout parameters,
        Func<(double Loss, Tensor Gradient)> evaluate,
        Func<double, Tensor, double, StepReport> update
    )
    {
        RequireState();
        using var scope = NewDisposeScope();
        Steps++;
        Follow(parameters);
        var (loss, gradient) = evaluate();
        double norm = gradient.norm().ToDouble(),
            scale = 1;
        GradientNorm = norm;
        long clipped = ClippedSteps;
        if (MaxGradientNorm is not null && double.IsFinite(norm))
            scale = ClipScale(norm * norm);
        Report = double.IsFinite(loss) && double.IsFinite(norm) ? Move() : Skipped(loss, NotFinite(parameters, loss, gradient));
        if (Report.Outcome == StepOutcome.Rejected)
            Log("the step was rejected");
        if (Report.Outcome == StepOutcome.Skipped)
            (Steps, ClippedSteps) = (Steps - 1, clipped);
        return Report;

        StepReport Move()
        {
            using var off = no_grad();
            return update(loss, gradient, scale);
        }
    }

    /// <inheritdoc/>
    public override void zero_grad()
    {
        if (Group.Parameters.Any(p => p.Parameter.IsInvalid))
            Group.Refresh();
        foreach (var p in parameters())
            Native.LibTorch.ReleaseGradient(p.Handle);
    }

    /// <summary>Remembers something worth a user's attention.</summary>
    private protected void Log(string message, string subject = "all") => EventLog.Add(subject, message, Steps);

    /// <summary>Remembers why a model's graph was made for each product of a run.</summary>
    private protected void LogFallback(CurvatureOperator curvature)
    {
        if (curvature.Objective.Model is not null && curvature.Fallback is { } reason)
            Log(reason);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            Direction = null;
        base.Dispose(disposing);
    }
}
