using System.Text.Json.Nodes;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary><see cref="QuadraticStep"/> at work: to the minimum of the quadratic model, as far as that is trusted (Martens and Grosse 2015,
/// arXiv:1503.05671).</summary>
/// <remarks><code>
/// δ = α Δ + μ δ₀ with the least M(δ)       Δ = -U, δ₀ = -b the last step: §6.4 rescaling, §7 momentum, see <see cref="QuadraticModel"/>
/// γ² ← the best of three by min M          §6.6, every T steps
/// </code>Beyond the paper, where <see cref="Kfac.Options.MaxGrowth"/> is not null: the few examples of the model may have fitted outputs,
/// and a curvature that is all but zero. So the step is bounded by the running factors, and halved where predictions show that the model
/// was wrong; and |μ| is at most 1: larger ones multiply what a few examples show of the last step, again and again. Steps that go too far
/// by the batches after them are shortened, see <see cref="Overshoot"/>.</remarks>
/// <param name="owner">Steps by it.</param>
/// <param name="rate">Of the first group.</param>
internal sealed class QuadraticStepRule(IStepOwner owner, GroupRate rate) : ActiveStepRule
{
    private const double Trusted = 8,
        Negligible = 1e-6; // of the KL divergence: times the model's, and what no step is halved for
    private const double MostMomentum = 1;
    private const int MostHalvings = 20;
    private const double LeastMeasured = 0.01; // of the metric
    private readonly GrowthBound _divergence = new(); // the running mean of what steps caused
    private readonly Overshoot _overshoot = new();
    private double? _factorDamping; // γ²
    private bool _pauses; // this step: the last one was shortened instead
    private double _length; // of the last step in the metric of the running factors, at most

    private QuadraticStep.FactorAdaptation? Adaptation => ((QuadraticStep)owner.StepRule).FactorDamping;

    public override bool IsModelled => true;

    public override double? FactorDamping => Adaptation is null ? null : _factorDamping;

    public override int? FactorDampingInterval => Adaptation?.Interval;

    /// <summary>Takes the γ² whose step the model promises most of.</summary>
    public override void ChooseFactorDamping(Func<ProposedStep> propose)
    {
        var adaptation = Adaptation!;
        double now = _factorDamping ?? owner.Damping,
            change = Math.Pow(adaptation.Decay, adaptation.Interval),
            best = now,
            least = double.PositiveInfinity;
        var type = rate.Group.Parameters.Count > 0 ? rate.Group.Parameters[0].Parameter.dtype : ScalarType.Float32;
        double lowest = Kfac.LeastAdapted(owner.Options.Curvature, type);
        foreach (double proposed in (double[])[now, now * change, now / change])
        {
            using var scope = NewDisposeScope();
            double candidate = TrustRule.Within(proposed, owner.Damping, lowest, type);
            Use(candidate);
            double value = ModelOf(propose()).Least();
            if (value < least)
                (best, least) = (candidate, value);
        }
        Use(best);

        void Use(double damping)
        {
            _factorDamping = damping;
            owner.Refresh();
        }
    }

    /// <summary>α and μ at the model's minimum, within bounds by the running factors: α is that of the whole natural step at most, and the
    /// growth bound is on the length α √⟨U, V⟩ + μ (that of the last step).</summary>
    public override StepLength Choose(ProposedStep step, bool predicts)
    {
        var steps = step.Directions;
        if (steps.Count == 0)
            return new(1);
        _pauses = owner.Options.MaxGrowth is not null && WentTooFar(step);
        if (_pauses)
            return new(0);
        var model = ModelOf(step);
        if (!model.IsBounded && model.Slopes.New != 0)
            owner.Log("the quadratic model has no minimum along the new direction; no step was made along it");
        var (alpha, mu) = owner.Options.MaxGrowth is null ? model.Minimum() : model.Minimum(MostMomentum);
        if (owner.Options.MaxGrowth is not null)
        {
            double whole = Math.Abs(alpha) > 1 ? Math.Min(1, NaturalStep(steps) / Math.Abs(alpha)) : 1;
            double natural = Math.Sqrt(steps.Sum(s => s.Products.AB)),
                length = whole * (Math.Abs(alpha) * natural + Math.Abs(mu) * _length);
            double bounded = _overshoot.Share * owner.Bounded(length * length);
            _length = bounded * length;
            (alpha, mu) = (bounded * whole * alpha, bounded * whole * mu);
            _overshoot.Begin((alpha * model.Slopes.New + mu * model.Slopes.Last) / step.Clip);
        }
        double predicted = model.Unclipped(step.Clip).Reduction(alpha * rate.Share, mu * rate.Share);
        return new(alpha, mu, predicted, model.Divergence(alpha, mu));
    }

    /// <summary>Holds the last step against the slope of this batch along it, and shortens it where it went much too far. Then no other
    /// step is made: the gradients are not of where the parameters are now.</summary>
    private bool WentTooFar(ProposedStep step)
    {
        const string TooFar =
            "steps of the quadratic model go too far by the batches after them, and are less than half as long now: is the loss the mean "
            + "over terms (or the sum, by Reduction) of the likelihood's -log p(y | f)?";
        bool moving = step.Directions.TrueForAll(s => s.Momentum is not null);
        double keep = _overshoot.Judge(moving ? -step.Directions.Sum(s => s.Products.AC) / step.Clip : double.NaN);
        if (_overshoot.HasFallen)
        {
            owner.Log(TooFar);
            Warnings.Once("K-FAC: " + TooFar);
        }
        if (keep == 1)
            return false;
        owner.Shorten(step, keep);
        _length = 0;
        owner.Log(
            FormattableString.Invariant($"the last step went more than {1 / keep:0.#} times as far as the loss falls along it; it was ")
                + "shortened to that, and no other was made"
        );
        return true;
    }

    /// <summary>The schedule shortens the step alone: the momentum keeps the whole of it.</summary>
    public override (double Momentum, double Rate) Of(Direction direction, StepLength length) => (length.Momentum, direction.Rate.Share);

    /// <summary>The α of the whole natural step by what was measured: 1 where nothing is left of the identity that G began as.</summary>
    private double NaturalStep(List<Direction> steps)
    {
        double whole = steps.Sum(s => s.Products.AB),
            identity = owner.Options.Curvature.IdentityStart ?? 1,
            decay = owner.Options.Curvature.FactorEma;
        double OfBlock(Direction s) => s.Block.IdentityForm(s.U, identity * Math.Pow(decay, s.Block.Updates));
        double ofIdentity = identity == 0 ? 0 : steps.Sum(OfBlock);
        return 1 / Math.Max(1 - ofIdentity / whole, LeastMeasured);
    }

    /// <summary>The model over the plane of Δ = -U and the last step δ₀ = -b, with each block's own λ: of the first examples or, where
    /// those do not show the slope of the batch, of all.</summary>
    private QuadraticModel ModelOf(ProposedStep step)
    {
        var (steps, batch) = (step.Directions, step.Batch!);
        bool moving = steps.TrueForAll(s => s.Momentum is not null);
        var all = steps.Aggregate(default(InnerProducts), (sum, s) => sum + s.Products);
        var damped = steps.Aggregate(
            default(InnerProducts),
            (sum, s) => sum + s.Block.Damping(owner.Options.Curvature.DampedBy(s.Damping)) * s.Products
        );
        var part = batch.Part;
        var model = Made(part);
        bool lacks = part.Score is not null && batch.HasMore && !model.Unclipped(step.Clip).IsRepresentative;
        if (!(batch.Ranks is { } ranks ? ranks.Sum(lacks ? 1 : 0)[0] > 0 : lacks))
            return model;
        owner.Log(
            FormattableString.Invariant($"the first {owner.StepRule.ModelBatchSize} examples did not show the slope of the batch")
                + "; the quadratic model was made of all of it"
        );
        return Made(batch);

        QuadraticModel Made(ModelBatch examples)
        {
            var objective = examples.ObjectiveOf(steps);
            var made = moving
                ? QuadraticModel.Of(
                    objective,
                    examples.Score,
                    (all.AB, all.AC),
                    [Parts(s => s.U), Parts(s => s.Momentum!)],
                    (damped.BB, damped.BC, damped.CC),
                    examples.Keep,
                    Math.Sqrt(all.BB),
                    Math.Sqrt(all.CC)
                )
                : QuadraticModel.Of(
                    objective,
                    examples.Score,
                    (all.AB, 0),
                    [Parts(s => s.U)],
                    (damped.BB, 0, 0),
                    examples.Keep,
                    Math.Sqrt(all.BB)
                );
            return made.Opposite();
        }

        List<Tensor> Parts(Func<Direction, Tensor> part) => [.. steps.SelectMany(s => s.Block.Split(part(s)))];
    }

    /// <summary>The predictions of the model's examples.</summary>
    public override Tensor? Watch(ProposedStep step) => Trusts(step) ? null : step.Batch!.OutputOf(step.Directions);

    private bool Trusts(ProposedStep step) => owner.Options.MaxGrowth is null || step.Directions.Count == 0 || _pauses;

    /// <summary>Holds what a step did to the predictions of the model's examples against what the model says. A Fisher that is all but zero
    /// where the step starts, as that of saturated outputs, may grow along it. Where the KL divergence is more than <see cref="Trusted"/>
    /// times the model's, and than its running mean, and the loss of these examples rose, the step is halved, and the momentum with
    /// it.</summary>
    public override double Contain(ProposedStep step, StepLength length, Tensor? before)
    {
        if (Trusts(step))
            return 1;
        double left = 1,
            found = double.NaN,
            share = rate.Share,
            bound = Math.Max(Trusted * Math.Max(share * share * length.Divergence, _divergence.Mean ?? 0), Negligible);
        for (int i = 0; i <= MostHalvings; i++)
        {
            (found, bool rose) = step.Batch!.ChangeOf(step.Directions, before);
            if (found <= bound || !rose)
                break;
            double keep = i == MostHalvings ? 0 : 0.5;
            owner.Shorten(step, keep);
            _overshoot.Shorten(keep);
            _length *= keep;
            left *= keep * keep;
        }
        if (double.IsFinite(found))
            _divergence.Scale(found, null);
        if (left == 1)
            return 1;
        owner.Remeasure();
        owner.Log(
            FormattableString.Invariant($"the step changed predictions by more than {Trusted} times what the quadratic model says, ")
                + "and for the worse; it was halved until it did not"
        );
        return left;
    }

    public override void Reject()
    {
        _length = 0;
        _overshoot.Shorten(0);
    }

    /// <summary>Adds to a snapshot what the rule has learnt of the run.</summary>
    public void Save(JsonObject values)
    {
        values["factorDamping"] = _factorDamping;
        values["length"] = _length;
        values["divergence"] = _divergence.ToJson();
        values["overshoot"] = _overshoot.ToJson();
    }

    /// <summary>Continues from a snapshot.</summary>
    public void Restore(JsonObject values)
    {
        _factorDamping = (double?)values["factorDamping"];
        _length = (double?)values["length"] ?? 0;
        _divergence.Restore(values["divergence"]);
        _overshoot.Restore(values["overshoot"]);
    }
}
