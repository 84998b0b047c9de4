using Amari.Curvature;
using Amari.Distributed;
using Amari.Kernels;
using Amari.Kronecker;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

// What needs the loss itself: Levenberg-Marquardt damping, steps from the quadratic model, rejection (Martens and Grosse 2015, §6.4 to §7).
public sealed partial class Kfac
{
    private (Tensor Inputs, Tensor Targets)? _batch;
    private double? _damping,
        _factorDamping,
        _choosing; // the last: seconds that this step's choice of γ² took
    private readonly Dictionary<ParameterGroup<Options>, double> _momentumRates = []; // the last rate of each group that was not 0
    private DataParallel? _gradients; // over ranks: averages them

    /// <summary>λ of the next step: that of the options, or what <see cref="Options.AdaptiveDamping"/> made of it.</summary>
    public double Damping => Shared.AdaptiveDamping ? _damping ?? Shared.Damping : Shared.Damping;

    /// <summary>γ² that the next step's inverses are damped by: λ, or what <see cref="Options.AdaptiveFactorDamping"/> made of
    /// it.</summary>
    public double FactorDamping => Shared.AdaptiveFactorDamping ? _factorDamping ?? Damping : Damping;

    /// <summary>How many steps were taken back because the loss rose.</summary>
    public long RejectedSteps { get; private set; }

    /// <summary>What the last <see cref="StepOnBatch"/> did; null before.</summary>
    public StepReport? Report { get; private set; }

    /// <inheritdoc/>
    /// <remarks>The options do: adaptive damping and step rejection.</remarks>
    public override bool EvaluatesLoss => Shared.EvaluatesLoss;

    /// <summary>One whole step on one batch: gradients, factors, parameters, and what of the loss the options ask for. Over ranks, each
    /// gives its part of the batch.</summary>
    /// <remarks>Gradients in <c>grad</c> are replaced: they do not add up over batches, so micro-batches and what evaluates the loss
    /// (adaptive damping, the quadratic model, rejection) do not combine. The gradient is that of the model as it is; trial losses and the
    /// quadratic model are of the same batch in evaluation mode (dropout off, BatchNorm by its running statistics).</remarks>
    /// <param name="inputs">x, as the model takes it. Not owned.</param>
    /// <param name="targets">y, as the likelihood takes it. Not owned.</param>
    /// <exception cref="InvalidOperationException">There is no likelihood, or the model takes two tensors.</exception>
    public override StepReport StepOnBatch(Tensor inputs, Tensor targets)
    {
        if (_likelihood is null || Model is not nn.Module<Tensor, Tensor> model)
            throw new InvalidOperationException(
                "StepOnBatch(inputs, targets) needs a likelihood and a model of one tensor: give the constructor both."
            );
        using var scope = NewDisposeScope();
        zero_grad();
        double loss = 0;
        long terms = 0;
        if (_sharing is null || inputs.shape[0] > 0)
            using (enable_grad())
            {
                _capture.SetTargets(targets);
                var sum = _likelihood.SumNegativeLogLikelihood(ForwardFailure.Call(model, inputs), targets);
                if (_capture.IsUnbatched && string.Join(", ", inputs.shape) is var shape)
                    throw new InvalidOperationException(
                        $"StepOnBatch(inputs, targets) takes a batch: one example [{shape}] is [1, {shape}]."
                    );
                terms = _capture.LastTerms;
                var trained = Shared.Reduction == LossReduction.Sum ? sum : sum / terms;
                ReverseMode.Backward(trained);
                loss = sum.to_type(ScalarType.Float64).ToDouble();
            }
        if (_sharing is { World: var ranks })
        {
            _gradients ??= new(model, ranks, new() { Reduction = Shared.Reduction });
            _gradients.AverageGradients(terms);
            double[] sums = ranks.Sum(loss, terms);
            (loss, terms) = (sums[0], (long)sums[1]);
        }
        loss /= terms;
        Report = new()
        {
            Step = _step + 1,
            Outcome = StepOutcome.Skipped,
            LossBefore = loss,
            LossAfter = double.NaN,
            GradientNorm = double.NaN,
        };
        _batch = (inputs, targets);
        try
        {
            step();
        }
        finally
        {
            _batch = null;
        }
        return Report;
    }

    /// <summary>The step along U of every block, its length by the rule; then what the loss says to it.</summary>
    /// <param name="steps">Where blocks go, by gradients times <paramref name="clip"/>.</param>
    /// <param name="options">In force.</param>
    /// <param name="examples">Of the batch; null if none were seen.</param>
    /// <param name="nu">Of the KL clip.</param>
    /// <param name="clip">What clipping multiplied the gradient by: the step becomes shorter by it, whose promise is by the whole
    /// gradient.</param>
    /// <param name="norm">Of the whole gradient.</param>
    private void Move(List<Direction> steps, Options options, Examples? examples, double nu, double clip, double norm)
    {
        bool exact = options.StepRule == StepRule.QuadraticModel && steps.Count > 0,
            adapts = _batch is not null && options.AdaptiveDamping && _step % options.DampingInterval == 0;
        double alpha = nu;
        double? mu = null;
        double? predicted = null;
        QuadraticModel? model = null;
        if (exact)
        {
            (alpha, double best, model) = Minimum(steps, options, examples!.Value, clip);
            (mu, predicted) = (best, model.Value.Unclipped(clip).Reduction(alpha * Share(Group), best * Share(Group)));
        }
        else if (adapts && steps.Count > 0 && examples is { } some)
        {
            var delta = steps.ConvertAll(s =>
                (
                    s.V,
                    s.Block,
                    U: (
                        _momentum.TryGetValue(s.Block, out var b)
                            ? b.mul(Carried(s.Block, Of(s.Block, options))).add_(s.U, alpha: nu)
                            : s.U.mul(nu)
                    ).mul_(-Of(s.Block, options).LearningRate)
                )
            );
            predicted = QuadraticModel
                .Of(
                    ObjectiveOf(steps, Part(some)),
                    null,
                    (delta.Sum(d => InnerProducts.Of(d.V, d.U).AB), 0),
                    [
                        [.. delta.SelectMany(d => d.Block.Split(d.U))],
                    ],
                    default
                )
                .Unclipped(clip)
                .Reduction(1, 0);
        }
        if (_batch is not { } batch || steps.Count == 0)
        {
            Take(steps, options, examples, model, alpha, mu);
            return;
        }
        var objective = new Objective((nn.Module<Tensor, Tensor>)Model, _likelihood!, [batch], LayoutOf(steps))
        {
            Ranks = _sharing?.World ?? SingleProcess.Instance,
        };
        bool evaluates = adapts || options.StepRejection;
        double before = evaluates ? objective.Loss() : Report!.LossBefore;
        using var trial = new TrialStep(objective, before, restorable: options.StepRejection);
        double length = Take(steps, options, examples, model, alpha, mu),
            after = evaluates ? trial.Loss() : double.NaN;
        double? ratio = evaluates && predicted is { } p ? trial.ReductionRatio(after, p) : null;
        bool rejected = options.StepRejection && trial.Rises(after);
        Report = new()
        {
            Step = _step,
            Outcome = rejected ? StepOutcome.Rejected : StepOutcome.Accepted,
            LossBefore = before,
            LossAfter = rejected ? before : after,
            GradientNorm = norm,
            StepSize = exact ? alpha : options.LearningRate,
            StepNorm = length,
            PredictedReduction = predicted,
            ReductionRatio = ratio,
            Damping = options.Damping,
        };
        if (rejected)
        {
            RejectedSteps++;
            trial.TakeBack();
            foreach (var step in steps)
                _momentum[step.Block].zero_();
            _length = 0;
        }
        if (!options.AdaptiveDamping || !(adapts || rejected))
            return;
        double change = Math.Pow(options.DampingDecay, options.DampingInterval),
            lowered = Math.Max(options.Damping * change, LeastAdapted(options, objective.Parameters.Type));
        _damping = LevenbergMarquardt.Next(rejected ? null : ratio, poor: options.Damping / change, good: lowered) ?? _damping;
    }

    /// <summary>That of <see cref="Options.MinDamping"/>; a damping in mean eigenvalues is in another unit, and has only that of its
    /// dtype.</summary>
    private static double LeastAdapted(Options options, ScalarType type) =>
        options.DampingScale == DampingScale.MeanEigenvalue
            ? double.Epsilon / finfo(type).eps
            : options.MinDamping ?? DampingSettings.Least(type);

    /// <summary>How a block's inverse is damped: by γ² in the place of λ, if they have parted.</summary>
    private DampingSettings OfInverse(CurvatureBlock block, Options options)
    {
        var own = Of(block, options).DampingSettings;
        return options.AdaptiveFactorDamping && _factorDamping is { } gamma
            ? own with
            {
                Damping = own.Damping * (gamma / options.Damping),
            }
            : own;
    }

    /// <summary>Takes the γ² whose step the model promises most of.</summary>
    private void ChooseFactorDamping(List<(CurvatureBlock Block, Tensor V)> gradients, Options options, Examples examples, double clip)
    {
        double now = _factorDamping ?? options.Damping,
            change = Math.Pow(options.DampingDecay, options.FactorDampingInterval),
            best = now,
            least = double.PositiveInfinity;
        foreach (double candidate in (double[])[now, now * change, now / change])
        {
            using var scope = NewDisposeScope();
            Use(candidate);
            var steps = gradients.ConvertAll(g => DirectionOf(g.Block, g.V, options));
            double value = ModelOf(steps, options, examples, clip).Least();
            if (value < least)
                (best, least) = (candidate, value);
        }
        Use(best);

        void Use(double damping)
        {
            _factorDamping = damping;
            Refresh(options);
        }
    }

    /// <summary>b ← μ b + α U, w ← (1 - η λw) w - η b; by the options of the group, or with a given μ and -b as it is.</summary>
    /// <returns>|Δw|; 0 when nobody asks.</returns>
    private double Take(List<Direction> steps, Options shared, Examples? examples, QuadraticModel? model, double alpha, double? given)
    {
        bool contained = model is not null && shared.MaxGrowth is not null;
        using var outputs = contained ? OutputOf(steps, examples!.Value) : null;
        double squares = 0;
        foreach (var (block, _, u, _) in steps)
        {
            var options = Of(block, shared);
            double mu = given ?? Carried(block, options),
                length = given is null ? options.LearningRate : Share(_groupOf[block]);
            if (options.LearningRate == 0)
                continue;
            if (!_momentum.TryGetValue(block, out var b))
                _momentum[block] = b = zeros(u.shape, u.dtype, u.device).DetachFromDisposeScope();
            b.mul_(mu).add_(u, alpha: alpha);
            if (_batch is not null && options.WeightDecay == 0)
                squares += length * length * InnerProducts.Of(b, b).AA;
            foreach (var (w, d) in block.Parameters.Zip(block.Split(b)))
            {
                if (!HasGradient(w))
                    continue;
                double decay = w.dim() > 1 && block is not NormBlock ? options.LearningRate * options.WeightDecay : 0;
                if (_batch is not null && options.WeightDecay > 0)
                {
                    var change = decay > 0 ? length * d + decay * w : length * d;
                    squares += InnerProducts.Of(change, change).AA;
                }
                if (decay > 0)
                    w.mul_(1 - decay);
                w.add_(d, alpha: -length);
            }
        }
        if (contained)
            squares *= Contain(steps, examples!.Value, outputs, model!.Value.Divergence(alpha, given!.Value));
        foreach (var group in _groups.Where(g => g.LearningRate > 0))
            _momentumRates[group] = group.LearningRate;
        return Math.Sqrt(squares);
    }

    /// <summary>μ of the fixed rule, less where the rate rises: what the momentum holds was clipped at the rate of before.</summary>
    private double Carried(CurvatureBlock block, Options options) =>
        _momentumRates.TryGetValue(_groupOf[block], out double before) && before < options.LearningRate
            ? options.Momentum * (before / options.LearningRate)
            : options.Momentum;

    /// <summary>What adapts, as it stands: the last events.</summary>
    private IEnumerable<OptimizerEvent> Standing()
    {
        if (RejectedSteps > 0)
            yield return new(
                _step,
                "all",
                FormattableString.Invariant($"the loss rose and the step was taken back: {RejectedSteps} times")
            );
        if (Shared.AdaptiveDamping && _damping is { } now)
            yield return new(_step, "all", FormattableString.Invariant($"damping adapted: from {Shared.Damping:G3} to {now:G3}"));
        if (Shared.AdaptiveFactorDamping && _factorDamping is { } gamma)
            yield return new(
                _step,
                "all",
                FormattableString.Invariant($"damping of the inverses adapted: from {Shared.Damping:G3} to {gamma:G3}")
            );
        if (CurvatureChoice is { } choice)
            yield return new(_step, "all", choice.ToString());
    }
}
