using Amari.Curvature;
using Amari.Distributed;
using Amari.Kernels;
using Amari.Kronecker;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

// What needs the loss itself: steps that are tried, rejection, Levenberg-Marquardt damping (Martens and Grosse 2015, §6.5).
public sealed partial class Kfac
{
    private (Tensor Inputs, Tensor Targets)? _batch;
    private double? _damping;
    private DataParallel? _gradients; // over ranks: averages them

    /// <summary>λ of the next step: that of the options, or as adapted by <see cref="AdaptiveDamping"/>.</summary>
    public double Damping => Shared.Step.Adaptation is null ? Shared.Damping : _damping ?? Shared.Damping;

    /// <summary>γ² that the next step's inverses are damped by: λ, or what <see cref="QuadraticStep.FactorDamping"/> made of
    /// it.</summary>
    public double FactorDamping => _rules.Active.FactorDamping ?? Damping;

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

    /// <summary>Takes a step on the batch, and does what the loss says to it.</summary>
    /// <param name="rule">In force.</param>
    /// <param name="step">Where it goes.</param>
    /// <param name="chosen">How far.</param>
    /// <param name="norm">Of the whole gradient.</param>
    private void Try(ActiveStepRule rule, ProposedStep step, StepLength chosen, double norm)
    {
        var (inputs, targets) = _batch!.Value;
        var whole = new ModelBatch(World, (nn.Module<Tensor, Tensor>)Model, _likelihood!, inputs, targets);
        var objective = whole.ObjectiveOf(step.Directions);
        bool adapts = Adapts,
            evaluates = adapts || Shared.StepRejection;
        double before = evaluates ? objective.Loss() : Report!.LossBefore;
        using var trial = new TrialStep(objective, before, restorable: Shared.StepRejection);
        double length = Take(rule, step, chosen),
            after = evaluates ? trial.Loss() : double.NaN;
        double? ratio = evaluates && chosen.Predicted is { } p ? trial.ReductionRatio(after, p) : null;
        bool rejected = Shared.StepRejection && trial.Rises(after);
        Report = new()
        {
            Step = _step,
            Outcome = rejected ? StepOutcome.Rejected : StepOutcome.Accepted,
            LossBefore = before,
            LossAfter = rejected ? before : after,
            GradientNorm = norm,
            StepSize = rule.IsModelled ? chosen.Alpha : Shared.LearningRate,
            StepNorm = length,
            PredictedReduction = chosen.Predicted,
            ReductionRatio = ratio,
            Damping = Damping,
        };
        if (rejected)
        {
            RejectedSteps++;
            trial.TakeBack();
            foreach (var b in step.Directions.Select(d => _momentum.GetValueOrDefault(d.Block)))
                b?.zero_(); // none in a group that has not moved
            rule.Reject();
        }
        trial.Keep();
        if (Shared.Step.Adaptation is { } adaptation && (adapts || rejected))
            Adapt(
                adaptation,
                rejected ? null : ratio,
                objective.Parameters.Type,
                hidden: chosen.Predicted is { } hoped && trial.Hides(after, hoped)
            );
    }

    /// <summary>Whether λ follows this step.</summary>
    private bool Adapts => _batch is not null && Shared.Step.Adaptation is { } adaptation && _step % adaptation.Interval == 0;

    /// <summary>λ by how well a model predicted the last step.</summary>
    private void Adapt(AdaptiveDamping adaptation, double? ratio, ScalarType type, bool hidden) =>
        _damping = TrustRule.Damping(
            Damping,
            ratio,
            Math.Pow(adaptation.Decay, -adaptation.Interval),
            Shared.Damping,
            LeastAdapted(Shared.Curvature, type),
            type,
            hidden
        );

    /// <summary>That of <see cref="CurvatureOptions.MinDamping"/>; a damping in mean eigenvalues is in another unit, and has only that of
    /// its dtype.</summary>
    internal static double LeastAdapted(CurvatureOptions options, ScalarType type) =>
        options.DampingScale == DampingScale.MeanEigenvalue
            ? double.Epsilon / finfo(type).eps
            : options.MinDamping ?? DampingSettings.Least(type);

    /// <summary>What adapts, as it stands: the last events.</summary>
    private IEnumerable<OptimizerEvent> Standing()
    {
        string?[] messages =
        [
            RejectedSteps > 0 ? FormattableString.Invariant($"the loss rose and the step was taken back: {RejectedSteps} times") : null,
            Shared.Step.Adaptation is not null && _damping is { } now ? Adapted("damping", now) : null,
            _rules.Active.FactorDamping is { } gamma ? Adapted("damping of the inverses", gamma) : null,
            CurvatureChoice?.ToString(),
            .. Estimate.InverseChoices,
        ];
        return messages.OfType<string>().Select(m => new OptimizerEvent(_step, "all", m));
    }

    private string Adapted(string what, double now) => FormattableString.Invariant($"{what} adapted: from {Shared.Damping:G3} to {now:G3}");
}
