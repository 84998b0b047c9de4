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
    private DataParallel? _gradients; // over ranks: averages them

    /// <summary>λ of the next step: that of the options, or as adapted by <see cref="AdaptiveDamping"/>.</summary>
    public double Damping => Shared.Step.Adaptation is null ? Shared.Damping : _damping ?? Shared.Damping;

    /// <summary>γ² that the next step's inverses are damped by: λ, or what <see cref="QuadraticStep.FactorDamping"/> made of
    /// it.</summary>
    public double FactorDamping => FactorAdaptation is null ? Damping : _factorDamping ?? Damping;

    private QuadraticStep.FactorAdaptation? FactorAdaptation => (Shared.Step as QuadraticStep)?.FactorDamping;

    /// <summary>How many steps were taken back because the loss rose.</summary>
    public long RejectedSteps { get; private set; }

    /// <summary>What the last <see cref="StepOnBatch"/> did; null before the first.</summary>
    public StepReport? Report { get; private set; }

    /// <inheritdoc/>
    /// <remarks>The options do: adaptive damping and step rejection.</remarks>
    public override bool EvaluatesLoss => Shared.EvaluatesLoss;

    /// <summary>One whole step on one batch: gradients, factors and parameters, and the losses that the options need. With several ranks,
    /// each gives its part of the batch.</summary>
    /// <remarks>The gradients in <c>grad</c> are replaced and do not add up over batches. So micro-batches do not combine with what needs
    /// the loss: adaptive damping, the quadratic model and step rejection. The gradient is that of the model in its present mode. Trial
    /// losses and the quadratic model are computed on the same batch in evaluation mode: dropout is off, and BatchNorm uses its running
    /// statistics.</remarks>
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
        if (World is null || inputs.shape[0] > 0)
            using (enable_grad())
            {
                Passes.SetTargets(targets);
                var sum = _likelihood.SumNegativeLogLikelihood(ForwardFailure.Call(model, inputs), targets);
                if (Passes.IsUnbatched && string.Join(", ", inputs.shape) is var shape)
                    throw new InvalidOperationException(
                        $"StepOnBatch(inputs, targets) takes a batch: one example [{shape}] is [1, {shape}]."
                    );
                terms = Passes.LastTerms;
                var trained = Shared.Reduction == LossReduction.Sum ? sum : sum / terms;
                ReverseMode.Backward(trained);
                loss = sum.to_type(ScalarType.Float64).ToDouble();
            }
        if (World is { } ranks)
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

    /// <summary>The reduction of the loss that the quadratic model predicts for a fixed step with its momentum.</summary>
    private double PredictedReduction(List<Direction> steps, Examples examples, double nu, double clip)
    {
        var delta = steps.ConvertAll(s =>
            (
                s.V,
                s.Block,
                U: (_momentum.TryGetValue(s.Block, out var b) ? b.mul(Carried(s.Block)).add_(s.U, alpha: nu) : s.U.mul(nu)).mul_(
                    -RateOf(s.Block)
                )
            )
        );
        double slope = delta.Sum(d => InnerProducts.Of(d.V, d.U).AB);
        List<Tensor> direction = [.. delta.SelectMany(d => d.Block.Split(d.U))];
        return QuadraticModel
            .Of(ObjectiveOf(steps, Part(examples)), null, (slope, 0), [direction], default)
            .Unclipped(clip)
            .Reduction(1, 0);
    }

    /// <summary>The step along U of every block, its length by the rule; then what the loss says to it.</summary>
    /// <param name="steps">Where blocks go, by gradients times <paramref name="clip"/>.</param>
    /// <param name="examples">Of the batch; null if none were seen.</param>
    /// <param name="nu">Of the KL clip.</param>
    /// <param name="clip">What clipping multiplied the gradient by: the step becomes shorter by it, whose promise is by the whole
    /// gradient.</param>
    /// <param name="norm">Of the whole gradient.</param>
    private void Move(List<Direction> steps, Examples? examples, double nu, double clip, double norm)
    {
        var adaptation = Shared.Step.Adaptation;
        bool exact = StepRule is QuadraticStep && steps.Count > 0,
            adapts = _batch is not null && adaptation is not null && _step % adaptation.Interval == 0;
        double alpha = nu;
        double? mu = null;
        double? predicted = null;
        QuadraticModel? model = null;
        if (exact)
        {
            (alpha, double best, model) = Minimum(steps, examples!.Value, clip);
            (mu, predicted) = (best, model.Value.Unclipped(clip).Reduction(alpha * Share(Group), best * Share(Group)));
        }
        else if (adapts && steps.Count > 0 && examples is { } some)
            predicted = PredictedReduction(steps, some, nu, clip);
        if (_batch is not { } batch || steps.Count == 0)
        {
            Take(steps, examples, model, alpha, mu);
            return;
        }
        var objective = new Objective((nn.Module<Tensor, Tensor>)Model, _likelihood!, [batch], LayoutOf(steps))
        {
            Ranks = World ?? SingleProcess.Instance,
        };
        bool evaluates = adapts || Shared.StepRejection;
        double before = evaluates ? objective.Loss() : Report!.LossBefore;
        using var trial = new TrialStep(objective, before, restorable: Shared.StepRejection);
        double length = Take(steps, examples, model, alpha, mu),
            after = evaluates ? trial.Loss() : double.NaN;
        double? ratio = evaluates && predicted is { } p ? trial.ReductionRatio(after, p) : null;
        bool rejected = Shared.StepRejection && trial.Rises(after);
        Report = new()
        {
            Step = _step,
            Outcome = rejected ? StepOutcome.Rejected : StepOutcome.Accepted,
            LossBefore = before,
            LossAfter = rejected ? before : after,
            GradientNorm = norm,
            StepSize = exact ? alpha : Shared.LearningRate,
            StepNorm = length,
            PredictedReduction = predicted,
            ReductionRatio = ratio,
            Damping = Damping,
        };
        if (rejected)
        {
            RejectedSteps++;
            trial.TakeBack();
            foreach (var step in steps)
                _momentum[step.Block].zero_();
            _length = 0;
        }
        if (adaptation is null || !(adapts || rejected))
            return;
        double change = Math.Pow(adaptation.Decay, adaptation.Interval),
            lowered = Math.Max(Damping * change, LeastAdapted(Shared.Curvature, objective.Parameters.Type));
        _damping = LevenbergMarquardt.Next(rejected ? null : ratio, poor: Damping / change, good: lowered) ?? _damping;
    }

    /// <summary>That of <see cref="CurvatureOptions.MinDamping"/>; a damping in mean eigenvalues is in another unit, and has only that of
    /// its dtype.</summary>
    private static double LeastAdapted(CurvatureOptions options, ScalarType type) =>
        options.DampingScale == DampingScale.MeanEigenvalue
            ? double.Epsilon / finfo(type).eps
            : options.MinDamping ?? DampingSettings.Least(type);

    /// <summary>What the inverse of a block is damped by: γ² in the place of λ, if they have parted.</summary>
    private double InverseDampingOf(CurvatureBlock block)
    {
        double own = DampingOf(block);
        return FactorAdaptation is not null && _factorDamping is { } gamma ? own * (gamma / Damping) : own;
    }

    /// <summary>Takes the γ² whose step the model promises most of.</summary>
    private void ChooseFactorDamping(List<(CurvatureBlock Block, Tensor V)> gradients, Examples examples, double clip)
    {
        var adaptation = FactorAdaptation!;
        double now = _factorDamping ?? Damping,
            change = Math.Pow(adaptation.Decay, adaptation.Interval),
            best = now,
            least = double.PositiveInfinity;
        foreach (double candidate in (double[])[now, now * change, now / change])
        {
            using var scope = NewDisposeScope();
            Use(candidate);
            var steps = gradients.ConvertAll(g => DirectionOf(g.Block, g.V));
            double value = ModelOf(steps, examples, clip).Least();
            if (value < least)
                (best, least) = (candidate, value);
        }
        Use(best);

        void Use(double damping)
        {
            _factorDamping = damping;
            Estimate.Refresh(_step);
        }
    }

    /// <summary>What adapts, as it stands: the last events.</summary>
    private IEnumerable<OptimizerEvent> Standing()
    {
        if (RejectedSteps > 0)
            yield return new(
                _step,
                "all",
                FormattableString.Invariant($"the loss rose and the step was taken back: {RejectedSteps} times")
            );
        if (Shared.Step.Adaptation is not null && _damping is { } now)
            yield return new(_step, "all", FormattableString.Invariant($"damping adapted: from {Shared.Damping:G3} to {now:G3}"));
        if (FactorAdaptation is not null && _factorDamping is { } gamma)
            yield return new(
                _step,
                "all",
                FormattableString.Invariant($"damping of the inverses adapted: from {Shared.Damping:G3} to {gamma:G3}")
            );
        if (CurvatureChoice is { } choice)
            yield return new(_step, "all", choice.ToString());
    }
}
