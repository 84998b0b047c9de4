using System.Runtime.CompilerServices;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Schedule-Free: an average of the iterates in place of a learning-rate schedule (Defazio et al. 2024, arXiv:2405.15682,
/// Algorithm 1).</summary>
/// <remarks><code>
/// d = g(y) / (√v̂ + ε) + λ y  with AdamW,   g(y) + λ y  with SGD
/// z ← z - η d
/// x ← (1 - c) x + c z,   c = w / Σ w,  w = tʳ max(η)^p
/// y = (1 - β) z + β x                    the parameters hold y in training, x in evaluation
/// </code>
/// The optimizer follows the mode of the model at every forward pass by <c>call()</c>. After <c>model.eval()</c> the parameters change to
/// x; after <c>model.train()</c>, in a pass with gradients, back to y, bit for bit. Every module with one to three input tensors has a
/// hook, so you can call a part of the model by itself.
/// <para>A pass of the whole model in training mode without gradients does not change the parameters, because statistics of BatchNorm are
/// collected in this way after <see cref="Eval"/>. If the parameters hold y then, <see cref="Optimizer.Events"/> reports it. A step while
/// the parameters hold x is refused.</para>
/// <para>Some parameters cannot be followed: those given without a module, those that are not the model's, and those of modules that cannot
/// have a hook. They are reported, too: call <see cref="Eval"/> and <see cref="Train"/> yourself. <c>model.save()</c> does not call the
/// model, so call <see cref="Eval"/> before you save the model for use.</para></remarks>
/// <param name="groups">At least one.</param>
/// <param name="model">The model that determines the mode for all parameters of the optimizer, in every group. Null follows the modules
/// from which the groups were made. Not owned; hooks are removed when the optimizer is disposed.</param>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 16)), ("relu", nn.ReLU()), ("fc2", nn.Linear(16, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new ScheduleFree(model, new() { LearningRate = 1e-2, WarmupSteps = 5 });
/// model.train();
/// for (int step = 0; step &lt; 20; step++)
/// {
///     using var scope = NewDisposeScope();
///     optimizer.zero_grad();
///     nn.functional.cross_entropy(model.call(x), y).backward();
///     optimizer.step();
/// }
/// model.eval();
/// Console.WriteLine(nn.functional.cross_entropy(model.call(x), y).ToDouble());   // at the average
/// optimizer.Train();                                                             // back to the training point
/// </code></example>
public sealed partial class ScheduleFree(IEnumerable<ParameterGroup<ScheduleFree.Options>> groups, nn.Module? model = null)
    : GroupedOptimizer<ScheduleFree.Options, ScheduleFree.State>(groups)
{
    /// <summary>Over all trainable parameters of <paramref name="model"/>. The optimizer follows the mode of the model at every forward
    /// pass by <c>call()</c>.</summary>
    public ScheduleFree(nn.Module model, Options? options = null)
        : this([ParameterGroup.Of(model, options ?? new())], model) { }

    /// <summary>Over bare parameters, such as <c>model.parameters()</c>. Their names in saved states are 0, 1, 2, ...: see
    /// <see cref="ParameterGroup.Of{TOptions}(IEnumerable{Parameter}, TOptions)"/>.</summary>
    [OverloadResolutionPriority(-1)] // [new(...)] is a list of groups
    public ScheduleFree(IEnumerable<Parameter> parameters, Options? options = null)
        : this([ParameterGroup.Of(parameters, options ?? new())]) { }

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

        /// <summary>β in (0, 1): the share of the average x in y, the point where the gradient is taken.</summary>
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

        /// <summary>Number of steps in which η rises linearly from 0, ≥ 0.</summary>
        public int WarmupSteps
        {
            get;
            init => field = Require.AtLeast(0, value);
        }

        /// <summary>r ≥ 0: iterates have the weight tʳ, so later ones have more.</summary>
        public double AveragingPower
        {
            get;
            init => field = Require.NonNegative(value);
        }

        /// <summary>p ≥ 0: iterates have the largest η so far, to this power, as a further weight.</summary>
        public double RatePower
        {
            get;
            init => field = Require.NonNegative(value);
        } = 2;

        /// <inheritdoc/>
        public override double CycledMomentum => Beta1;

        /// <inheritdoc/>
        public override OptimizerOptions WithCycledMomentum(double value) => this with { Beta1 = value };

        /// <inheritdoc/>
        internal override double LeastCycledMomentum => 0.01;
    }

    /// <param name="Iterate">z, shaped as w.</param>
    /// <param name="SecondMoment">v of AdamW, shaped as w; else null.</param>
    /// <param name="MeanWeight">The mean of w over the steps so far, a scalar.</param>
    /// <param name="LargestRate">The largest η so far, a scalar.</param>
    /// <param name="Share">β of the last step, a scalar: between x and y there is no way without it.</param>
    public sealed record State(
        Tensor Iterate,
        [property: Moment(IsOfSquares = true)] Tensor? SecondMoment,
        [property: NonNegative] Tensor MeanWeight,
        [property: NonNegative] Tensor LargestRate,
        [property: NonNegative] Tensor Share
    ) : ParameterState
    {
        /// <summary>y, shaped as w, while the parameters hold x; else null.</summary>
        public Tensor? TrainingPoint { get; internal set; }

        /// <summary>The dtype of w when it took x; null if it is not known that it did.</summary>
        internal ScalarType? Evaluated { get; set; }

        /// <summary>Of w as the last step left it.</summary>
        internal WeightSample Left { get; } = new();
    }

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
        AdoptTraining();
        var loss = base.step(closure);
        ForEach((_, parameter, state) => state.Left.Take(parameter));
        return loss;
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
}
