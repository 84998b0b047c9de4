using System.Text.Json.Nodes;

namespace Amari;

/// <summary>What <see cref="ScheduleFree"/> averages.</summary>
public enum ScheduleFreeBase
{
    /// <summary>AdamW's steps, without its first moment.</summary>
    AdamW,
    /// <summary>Plain gradient steps.</summary>
    Sgd,
}

/// <summary>Schedule-Free: an average of the iterates in place of a learning-rate schedule (Defazio et al. 2024, arXiv:2405.15682, Algorithm 1).</summary>
/// <remarks><code>
/// d = g(y) / (√v̂ + ε) + λ y  of AdamW,   g(y) + λ y  of SGD
/// z ← z - η d
/// x ← (1 - c) x + c z,   c = w / Σ w,  w = tʳ max(η)^p
/// y = (1 - β) z + β x                    the parameters hold y in training, x in evaluation
/// </code>Made from a model, it hooks the forward pass: the parameters change to x at the first <c>call()</c> after <c>model.eval()</c>, and back to y
/// after <c>model.train()</c>, so neither can be forgotten. Made from parameters, call <see cref="Eval"/> and <see cref="Train"/>. A step in
/// evaluation is refused. The state remembers the mode; before saving the model for use, call <see cref="Eval"/>.</remarks>
public sealed class ScheduleFree : GroupedOptimizer<ScheduleFree.Options, ScheduleFree.State>
{
    private readonly Action? _unhook;

    /// <param name="groups">At least one. The modes are yours to change.</param>
    public ScheduleFree(IEnumerable<ParameterGroup<Options>> groups) : base(groups) { }

    /// <summary>Over all trainable parameters of <paramref name="model"/>, whose mode it follows at every forward pass through <c>call()</c>.</summary>
    public ScheduleFree(nn.Module<Tensor, Tensor> model, Options? options = null) : base([ParameterGroup.Of(model, options ?? new())])
    {
        _unhook = model.register_forward_pre_hook((_, x) =>
        {
            if (model.training) Train();
            else Eval();
            return x;
        }).remove;
    }

    /// <summary>Hyper-parameters of <see cref="ScheduleFree"/>.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 2.5e-3)
    {
        /// <summary>What is averaged.</summary>
        public ScheduleFreeBase Base { get; init => field = Require.Defined(value); }
        /// <summary>β in (0, 1): share of the average in the point where the gradient is taken.</summary>
        public double Interpolation { get; init => field = Require.Positive(Require.UnitInterval(value)); } = 0.9;
        /// <summary>β₂ in [0, 1): decay of AdamW's second moment.</summary>
        public double Beta2 { get; init => field = Require.UnitInterval(value); } = 0.999;
        /// <summary>ε > 0, added to √v̂.</summary>
        public double Epsilon { get; init => field = Require.Positive(value); } = 1e-8;
        /// <summary>λ ≥ 0, multiplied by η; the decay is at y.</summary>
        public double WeightDecay { get; init => field = Require.NonNegative(value); }
        /// <summary>Steps over which η rises linearly from nothing, ≥ 0.</summary>
        public int WarmupSteps { get; init => field = Require.AtLeast(0, value); }
        /// <summary>r ≥ 0: later iterates weigh more, by tʳ.</summary>
        public double AveragingPower { get; init => field = Require.NonNegative(value); }
        /// <summary>p ≥ 0: iterates weigh by the largest η so far to this power.</summary>
        public double RatePower { get; init => field = Require.NonNegative(value); } = 2;

        /// <inheritdoc/>
        public override double CycledMomentum => Interpolation;
        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Interpolation = value };
    }

    /// <param name="Iterate">z, shaped as w.</param>
    /// <param name="SecondMoment">v of AdamW, shaped as w; else null.</param>
    /// <param name="MeanWeight">The mean of w over the steps so far, a scalar.</param>
    /// <param name="LargestRate">The largest η so far, a scalar.</param>
    /// <param name="Share">β of the last step, a scalar: between x and y there is no way without it.</param>
    public sealed record State(Tensor Iterate, Tensor? SecondMoment, Tensor MeanWeight, Tensor LargestRate, Tensor Share) : ParameterState;

    /// <summary>Whether the parameters hold the average x and not the training point y.</summary>
    public bool Evaluating { get; private set; }

    /// <inheritdoc/>
    protected override State CreateState(Parameter parameter, Options options)
    {
        Tensor Scalar() => zeros([], dtype: StateType(parameter), device: parameter.device);
        return new(parameter.detach().to_type(StateType(parameter)).clone(), options.Base == ScheduleFreeBase.AdamW ? ZeroState(parameter) : null, Scalar(), Scalar(), Scalar());
    }

    /// <summary>Puts the training point y into the parameters; nothing if it is there.</summary>
    public void Train()
    {
        if (!Evaluating) return;
        Move(share => 1 - share);
        Evaluating = false;
    }

    /// <summary>Puts the average x into the parameters, for evaluation and use; nothing if it is there.</summary>
    public void Eval()
    {
        if (Evaluating) return;
        Move(share => 1 - 1 / share);
        Evaluating = true;
    }

    private void Move(Func<double, double> weight)
    {
        using var off = no_grad();
        ForEach((parameter, state) =>
        {
            using var scope = NewDisposeScope();
            var w = parameter.to_type(state.Iterate.dtype);
            parameter.copy_(w.lerp(state.Iterate, weight(state.Share.ToDouble())));
        });
    }

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The parameters hold x: the gradient is not of the training point.</exception>
    public override Tensor? step(Func<Tensor>? closure = null)
    {
        if (Evaluating && closure is null)
            throw new InvalidOperationException("The parameters hold the average, as for evaluation: call model.train() before the forward pass, or Train() of the optimizer.");
        if (closure is not null && _unhook is null) Train();
        return base.step(closure);
    }

    /// <inheritdoc/>
    protected override void Update(Tensor parameter, Tensor gradient, State state, Options options)
    {
        if (Evaluating) throw new InvalidOperationException("The closure evaluated the model in evaluation mode: call model.train() first.");
        long t = state.Step;
        double rate = options.LearningRate * Math.Min(1, t / Math.Max(1.0, options.WarmupSteps)), beta = options.Interpolation;
        double largest = Math.Max(rate, state.LargestRate.ToDouble());
        double weight = Math.Pow(t, options.AveragingPower) * Math.Pow(largest, options.RatePower), mean = state.MeanWeight.ToDouble();
        mean += (weight - mean) / t;
        double c = mean > 0 ? weight / (mean * t) : 0;
        state.LargestRate.fill_(largest);
        state.MeanWeight.fill_(mean);
        state.Share.fill_(beta);

        var d = gradient;
        if (state.SecondMoment is { } v)
        {
            v.mul_(options.Beta2).addcmul_(gradient, gradient, 1 - options.Beta2);
            d = gradient.div(v.div(1 - Math.Pow(options.Beta2, t)).sqrt_().add_(options.Epsilon));
        }
        d = d.add(parameter, alpha: options.WeightDecay);
        parameter.lerp_(state.Iterate, c).add_(d, alpha: rate * (beta * (1 - c) - 1));
        state.Iterate.sub_(d.mul(rate));
    }

    /// <inheritdoc/>
    public override OptimizerSnapshot Snapshot()
    {
        var snapshot = base.Snapshot();
        snapshot.Values["evaluating"] = Evaluating;
        return snapshot;
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        base.Restore(snapshot);
        Evaluating = (bool?)snapshot.Values["evaluating"] ?? false;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing) _unhook?.Invoke();
        base.Dispose(disposing);
    }
}
