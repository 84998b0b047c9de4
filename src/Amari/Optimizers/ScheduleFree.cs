using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Schedule-Free: an average of the iterates in place of a learning-rate schedule (Defazio et al. 2024, arXiv:2405.15682,
/// Algorithm 1).</summary>
/// <remarks><code>
/// d = g(y) / (√v̂ + ε) + λ y  of AdamW,   g(y) + λ y  of SGD
/// z ← z - η d
/// x ← (1 - c) x + c z,   c = w / Σ w,  w = tʳ max(η)^p
/// y = (1 - β) z + β x                    the parameters hold y in training, x in evaluation
/// </code>
/// The model tells the mode at every forward pass through <c>call()</c>: after <c>model.eval()</c> the parameters change to x, with
/// gradients after <c>model.train()</c> back to y, bit for bit; so neither can be forgotten. Every module of one to three tensors is
/// hooked, so that a part of the model may be called by itself. A pass of the whole model in training mode without gradients leaves the
/// parameters (statistics of BatchNorm are taken so, after <see cref="Eval"/>), and is told in <see cref="Optimizer.Events"/> if they hold
/// y. Parameters that come without a module, are not the model's, or are of a module that cannot be hooked inside a model that cannot, are
/// told, too: call <see cref="Eval"/> and <see cref="Train"/> yourself. A step in evaluation is refused. <c>model.save()</c> is no forward
/// pass, and cannot be seen: call <see cref="Eval"/> before saving the model for use.</remarks>
/// <param name="groups">At least one.</param>
/// <param name="model">Whose mode is followed for all of its parameters, whatever their groups; null to follow the modules that groups were
/// made of. Not owned; hooks are removed when the optimizer is disposed.</param>
public sealed class ScheduleFree(IEnumerable<ParameterGroup<ScheduleFree.Options>> groups, nn.Module? model = null)
    : GroupedOptimizer<ScheduleFree.Options, ScheduleFree.State>(groups)
{
    private readonly nn.Module? _model = model; // here, and not in a constructor's body: the base adds groups before that
    private readonly Dictionary<nn.Module, bool> _followed = [];
    private readonly List<Action> _unhook = [];
    private bool _evaluating;

    /// <summary>Over all trainable parameters of <paramref name="model"/>, whose mode it follows at every forward pass through
    /// <c>call()</c>.</summary>
    public ScheduleFree(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())], model) { }

    /// <summary>Over parameters as <c>model.parameters()</c> gives them, called 0, 1, 2, ... in saved states: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public ScheduleFree(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

    private protected override void Added(ParameterGroup<Options> group)
    {
        var handles = _model?.parameters().Select(p => p.Handle).ToHashSet();
        var module = handles is not null && group.Parameters.All(p => handles.Contains(p.Parameter.Handle)) ? _model : group.Module;
        if (module is not null && !_followed.ContainsKey(module))
            _followed[module] = Hook(module);
        if (module is null || !_followed[module])
            Log(
                "all",
                "parameters came without a module that can be followed: call Eval() before evaluating and Train() before training",
                Groups.Max(StepsOf)
            );
    }

    /// <summary>Hooks the model, and the modules in it: they may be called by themselves.</summary>
    /// <returns>Whether no parameter can be used before a hook has run: the model is hooked, or every module that has parameters of its
    /// own.</returns>
    private bool Hook(nn.Module model)
    {
        bool whole = Hook(model, () => Follow(model)),
            parts = true;
        foreach (var part in model.modules().Distinct().Where(m => !ReferenceEquals(m, model)))
            parts &= Hook(part, () => FollowInside(model)) || !part.parameters(recurse: false).Any();
        return whole || (parts && !model.parameters(recurse: false).Any());
    }

    private bool Hook(nn.Module module, Action follow)
    {
        switch (module)
        {
            case nn.Module<Tensor, Tensor> m:
                _unhook.Add(
                    m.register_forward_pre_hook(
                        (_, x) =>
                        {
                            follow();
                            return x;
                        }
                    ).remove
                );
                return true;
            case nn.Module<Tensor, Tensor, Tensor> m:
                _unhook.Add(
                    m.register_forward_pre_hook(
                        (_, x, y) =>
                        {
                            follow();
                            return (x, y);
                        }
                    ).remove
                );
                return true;
            case nn.Module<Tensor, Tensor, Tensor, Tensor> m:
                _unhook.Add(
                    m.register_forward_pre_hook(
                        (_, x, y, z) =>
                        {
                            follow();
                            return (x, y, z);
                        }
                    ).remove
                );
                return true;
            default:
                return false;
        }
    }

    private void Follow(nn.Module model)
    {
        FollowInside(model);
        if (model.training && !is_grad_enabled() && !Evaluating)
            Log(
                "all",
                "the model was called in training mode without gradients: what it gave is of the training point y, not of the average x",
                Groups.Max(StepsOf)
            );
    }

    private void FollowInside(nn.Module model)
    {
        if (!model.training)
            Eval();
        else if (is_grad_enabled())
            Train();
    }

    /// <summary>Hyper-parameters of <see cref="ScheduleFree"/>.</summary>
    public sealed record Options() : GroupedOptions(learningRate: 2.5e-3)
    {
        /// <summary>What is averaged.</summary>
        [ShapesState]
        public ScheduleFreeBase Base
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>β in (0, 1): share of the average in the point where the gradient is taken.</summary>
        public double Beta1
        {
            get;
            init => field = Require.Positive(Require.UnitInterval(value));
        } = 0.9;

        /// <summary>β₂ in [0, 1): decay of AdamW's second moment.</summary>
        public double Beta2
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.999;

        /// <summary>ε > 0, added to √v̂.</summary>
        public double Epsilon
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-8;

        /// <summary>Steps over which η rises linearly from nothing, ≥ 0.</summary>
        public int WarmupSteps
        {
            get;
            init => field = Require.AtLeast(0, value);
        }

        /// <summary>r ≥ 0: later iterates weigh more, by tʳ.</summary>
        public double AveragingPower
        {
            get;
            init => field = Require.NonNegative(value);
        }

        /// <summary>p ≥ 0: iterates weigh by the largest η so far to this power.</summary>
        public double RatePower
        {
            get;
            init => field = Require.NonNegative(value);
        } = 2;

        /// <inheritdoc/>
        public override double CycledMomentum => Beta1;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Beta1 = value };
    }

    /// <param name="Iterate">z, shaped as w.</param>
    /// <param name="SecondMoment">v of AdamW, shaped as w; else null.</param>
    /// <param name="MeanWeight">The mean of w over the steps so far, a scalar.</param>
    /// <param name="LargestRate">The largest η so far, a scalar.</param>
    /// <param name="Share">β of the last step, a scalar: between x and y there is no way without it.</param>
    public sealed record State(
        Tensor Iterate,
        [property: Moment(IsOfSquares = true)] Tensor? SecondMoment,
        Tensor MeanWeight,
        Tensor LargestRate,
        Tensor Share
    ) : ParameterState
    {
        /// <summary>y, shaped as w, while the parameters hold x; else null.</summary>
        public Tensor? TrainingPoint { get; internal set; }

        /// <summary>The dtype of w when it took x; null if it is not known that it did.</summary>
        internal ScalarType? Evaluated { get; set; }
    }

    /// <inheritdoc/>
    /// <remarks>They hold the average x.</remarks>
    public override bool Evaluating => _evaluating;

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options)
    {
        Tensor Scalar() => zeros([], dtype: StateType(parameter), device: parameter.device);
        return new(
            parameter.detach().to_type(StateType(parameter)).contiguous().clone(),
            options.Base == ScheduleFreeBase.AdamW ? ZeroState(parameter) : null,
            Scalar(),
            Scalar(),
            Scalar()
        );
    }

    /// <inheritdoc/>
    /// <remarks>Weights that were loaded meanwhile, so that a parameter no longer holds x bit for bit, are kept: they become its y, its x
    /// and its z, and <see cref="Optimizer.Events"/> say so.</remarks>
    public override void Train()
    {
        if (!Evaluating)
            return;
        Adopt();
        using var off = no_grad();
        ForEach(
            (_, parameter, state) =>
            {
                parameter.copy_(state.TrainingPoint!);
                state.TrainingPoint!.Dispose();
                (state.TrainingPoint, state.Evaluated) = (null, null);
            }
        );
        _evaluating = false;
    }

    /// <summary>Takes weights that were loaded in evaluation as y, x and z.</summary>
    private void Adopt()
    {
        using var off = no_grad();
        ForEach(
            (name, parameter, state) =>
            {
                using var scope = NewDisposeScope();
                if (state.Evaluated is null || HoldsAverage(parameter, state))
                    return;
                state.Iterate.copy_(parameter);
                state.TrainingPoint!.copy_(parameter);
                state.Evaluated = parameter.dtype;
                Warnings.Once(Loaded);
                Log(name, Loaded, state.Step);
            }
        );
    }

    private const string Loaded =
        "Schedule-Free: weights were loaded while it evaluated; training goes on from them, as average and as iterate";

    /// <summary>x, of the dtype of the state.</summary>
    private static Tensor Average(State state) =>
        state.Share.ToDouble() is > 0 and var share ? state.TrainingPoint!.lerp(state.Iterate, 1 - 1 / share) : state.TrainingPoint!;

    private static bool HoldsAverage(Tensor parameter, State state) =>
        parameter.eq(Average(state).to_type(state.Evaluated ?? parameter.dtype).to(parameter.dtype, parameter.device)).all().ToBoolean();

    /// <inheritdoc/>
    /// <remarks>Meanwhile y is kept beside: one more tensor. Weights that were loaded in training since the last step are not seen, for
    /// nothing is kept to hold them against: they are taken as y, and x is computed of them and the old z. Load weights after
    /// <see cref="Eval"/>, and go on with <see cref="Train"/>.</remarks>
    public override void Eval()
    {
        if (Evaluating)
            return;
        using var off = no_grad();
        ForEach(
            (_, parameter, state) =>
            {
                using var scope = NewDisposeScope();
                state.TrainingPoint = parameter.detach().to(StateType(parameter), copy: true).DetachFromDisposeScope();
                parameter.copy_(Average(state));
                state.Evaluated = parameter.dtype;
            }
        );
        _evaluating = true;
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The parameters hold x: the gradient is not of the training point.</exception>
    public override Tensor? step(Func<Tensor>? closure = null)
    {
        if (Evaluating && closure is null)
            throw new InvalidOperationException(
                "The parameters hold the average, as for evaluation: call model.train() before the forward pass, or Train() of the "
                    + "optimizer."
            );
        if (closure is not null)
            Train();
        return base.step(closure);
    }

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        if (Evaluating)
            throw new InvalidOperationException("The closure called the model in evaluation mode: call model.train() first.");
        long t = state.Step;
        double rate = options.LearningRate * Math.Min(1, t / Math.Max(1.0, options.WarmupSteps)),
            beta = options.Beta1;
        double largest = Math.Max(rate, state.LargestRate.ToDouble());
        double weight = Math.Pow(t, options.AveragingPower) * Math.Pow(largest, options.RatePower),
            mean = state.MeanWeight.ToDouble();
        mean += (weight - mean) / t;
        double c = mean > 0 ? weight / (mean * t) : 0;
        state.LargestRate.fill_(largest);
        state.MeanWeight.fill_(mean);

        var d = gradient;
        if (state.SecondMoment is { } v)
        {
            v.mul_(options.Beta2).addcmul_(gradient, gradient, 1 - options.Beta2);
            d = gradient.div(v.div(1 - Math.Pow(options.Beta2, t)).sqrt_().add_(options.Epsilon));
        }
        d = WeightStep.WithDecay(d, parameter, options);
        double made = state.Share.ToDouble();
        if (made > 0 && made != beta)
            parameter.lerp_(state.Iterate, 1 - beta / made); // y was made with another β
        state.Share.fill_(beta);
        parameter.lerp_(state.Iterate, c).add_(d, alpha: rate * (beta * (1 - c) - 1));
        state.Iterate.sub_(d.mul(rate));
    }

    /// <inheritdoc/>
    /// <remarks>In evaluation, weights that were loaded meanwhile are taken as by <see cref="Train"/>, so that they are saved,
    /// too.</remarks>
    public override OptimizerSnapshot Snapshot()
    {
        if (Evaluating)
            Adopt();
        var snapshot = base.Snapshot();
        snapshot.Values["evaluating"] = Evaluating;
        return snapshot;
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        using var scope = NewDisposeScope();
        bool evaluating = (bool?)snapshot.Values["evaluating"] ?? false;
        var points = new Dictionary<string, Tensor>(); // copied first: the snapshot may be of this optimizer, whose state now goes
        string[] names = evaluating ? [.. snapshot.Values["steps"]!.AsObject().Select(s => s.Key)] : [];
        foreach (string name in names)
        {
            if (!snapshot.Tensors.TryGetValue($"{name}.{nameof(State.TrainingPoint)}", out var point))
                throw new InvalidDataException($"The state lacks '{name}.{nameof(State.TrainingPoint)}'.");
            points[name] = point.clone();
        }
        base.Restore(snapshot);
        _evaluating = evaluating;
        if (!Evaluating)
            return;
        using var off = no_grad();
        ForEach(
            (name, parameter, state) =>
            {
                state.TrainingPoint = points[name].DetachFromDisposeScope();
                if (HoldsAverage(parameter, state))
                    state.Evaluated = parameter.dtype; // else the model's weights are still to be loaded
            }
        );
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _unhook.ForEach(unhook => unhook());
        base.Dispose(disposing);
    }
}
