using Amari.Curvature;
using Amari.Distributed;
using Amari.Kernels;
using Amari.Optimizers;

namespace Amari;

// The quadratic model's step rule: when it is taken, what the model is made of, and how far its steps are trusted.
public sealed partial class Kfac
{
    private const int LargeBatch = 16; // times the examples of the quadratic model
    private const double Trusted = 8,
        Negligible = 1e-6; // of the KL divergence: times the model's, and what no step is halved for
    private const int MostHalvings = 20;
    private const double LeastMeasured = 0.01,
        Repeated = 1e-3; // of the metric; of outputs, relative and absolute
    private readonly GrowthBound _divergence = new(); // the running mean of what steps caused
    private bool? _choosesModel; // of an AutoStep, at the first step
    private (StepRule From, bool Model, StepRule Rule) _inForce;
    private double _length; // of the last step in the metric of the running factors, at most

    /// <summary>What the quadratic model's curvature is taken from: the inputs of this rank's part of the batch, the score at its outputs
    /// where it is known, and how many of them come first in the batch of all ranks,
    /// <see cref="QuadraticStep.BatchSize"/> together.</summary>
    private readonly record struct Examples(Tensor Inputs, Tensor? Targets, Tensor? Score, long First);

    /// <summary>The present rule: that of <see cref="Options.Step"/>, or the choice of an <see cref="AutoStep"/>. Before the first step, an
    /// AutoStep counts as a <see cref="FixedStep"/>.</summary>
    public StepRule StepRule
    {
        get
        {
            if (Shared.Step is not AutoStep auto)
                return Shared.Step;
            bool model = _choosesModel == true;
            if (!ReferenceEquals(_inForce.From, auto) || _inForce.Model != model)
                _inForce = (auto, model, model ? auto.AsQuadratic() : auto.AsFixed());
            return _inForce.Rule;
        }
    }

    /// <summary>s of <see cref="CurvatureOptions.IdentityStart"/>.</summary>
    private double Identity => Shared.Curvature.IdentityStart ?? (StepRule is QuadraticStep ? 1 : 0);

    /// <summary>Whether a quadratic model can be made.</summary>
    private bool HasModel => _likelihood is not null && Model is nn.Module<Tensor, Tensor> && Passes.Kind != FisherKind.ForwardOnly;

    /// <summary>At the first step. Passes that are added up, dropout, and outputs that are no natural parameters leave fixed steps: there
    /// the model is of another function than the gradient.</summary>
    private void ChooseRule()
    {
        if (_choosesModel is not null)
            return;
        double[] counts = [Passes.LiveExamples, Passes.LivePasses > 1 ? 1 : 0];
        if (World is { } ranks)
            counts = ranks.Sum(counts);
        double examples = counts[0],
            large = LargeBatch * (Shared.Step.ModelBatchSize ?? double.PositiveInfinity);
        if (examples == 0)
            return;
        _choosesModel =
            HasModel && Shared.Step is not FixedStep && examples >= large && counts[1] == 0 && _likelihood!.IsNatural && IsRepeatable();
        if (Shared.Step is AutoStep && _choosesModel == true)
            Log(
                "all",
                string.Create(
                    System.Globalization.CultureInfo.InvariantCulture,
                    $"steps are of the quadratic model, as the batch has {examples} examples, {LargeBatch} times "
                        + $"{Shared.Step.ModelBatchSize} or more"
                )
            );
        if (Shared.Step is QuadraticStep && examples < large && large < double.PositiveInfinity)
            Log(
                "all",
                string.Create(
                    System.Globalization.CultureInfo.InvariantCulture,
                    $"the batch has {examples} examples, fewer than {large}: steps of the quadratic model fit it alone; fixed steps are "
                        + $"safer"
                )
            );
    }

    /// <summary>Whether evaluation gives the outputs of the training pass, as far as it can be compared: not with dropout, as a module or a
    /// function.</summary>
    private bool IsRepeatable()
    {
        var modules = Model.modules().Append(Model).Where(m => m.training).ToList();
        bool same = !modules.Exists(m => m is Dropout or Dropout1d or Dropout2d or Dropout3d or AlphaDropout or FeatureAlphaDropout);
        if (
            same
            && !modules.Exists(m => m is TorchSharp.Modules.BatchNorm)
            && Passes is { FirstOutputs: { } kept }
            && Passes.LastBatch(Shared.Reduction) is var (inputs, _, _)
        )
        {
            var first = inputs.narrow(0, 0, kept.shape[0]); // without targets: only outputs are looked at
            var objective = new Objective((nn.Module<Tensor, Tensor>)Model, _likelihood!, [(first, null!)]);
            objective.Walk(false, p => same = p.Output.allclose(kept, Repeated, Repeated));
        }
        return World is { } ranks ? ranks.Sum(same ? 0 : 1)[0] == 0 : same;
    }

    /// <summary>What the schedule leaves of a step of the quadratic model: the rate over the largest so far. The momentum keeps the whole
    /// step.</summary>
    private double Share(IParameterGroup<BaseOptions> group)
    {
        double peak = Math.Max(_peaks.GetValueOrDefault(group), group.LearningRate);
        return peak > 0 ? group.LearningRate / peak : 1;
    }

    private Examples? ExamplesOf(StepRule rule)
    {
        if (rule is not QuadraticStep && rule.Adaptation is null)
            return null;
        long most = rule.ModelBatchSize ?? long.MaxValue;
        if (World is { } ranks)
        {
            var counts = new double[ranks.Size];
            counts[ranks.Rank] = Passes.LiveExamples;
            most -= (long)ranks.Sum(counts).Take(ranks.Rank).Sum();
            if (Passes.LiveExamples == 0)
                return new(zeros(0), null, null, 0); // other ranks have some
        }
        if (Passes.LastBatch(Shared.Reduction) is not var (inputs, targets, score))
            return null;
        return new(inputs, targets, TrainsAsItEvaluates ? score : null, Math.Clamp(most, 0, inputs.shape[0]));
    }

    private static ParameterLayout LayoutOf(List<Direction> steps) =>
        new(steps.SelectMany(s => s.Block.Parameters.Select((p, i) => ($"{s.Block.Name}.{i}", p))));

    /// <summary>Of examples whose targets, if they are known, show which terms count.</summary>
    private Objective ObjectiveOf(List<Direction> steps, Examples examples) =>
        new((nn.Module<Tensor, Tensor>)Model, _likelihood!, [(examples.Inputs, examples.Targets!)], LayoutOf(steps))
        {
            Ranks = World ?? SingleProcess.Instance,
        };

    /// <summary>The first examples of the batch, as many as the quadratic model is made of.</summary>
    private static Examples Part(Examples batch)
    {
        long all = batch.Inputs.shape[0];
        if (batch.First == all)
            return batch;
        var score = batch.Score is { } s && s.shape[0] == all ? s.narrow(0, 0, batch.First) : null;
        return batch with
        {
            Inputs = batch.Inputs.narrow(0, 0, batch.First),
            Targets = batch.Targets?.narrow(0, 0, batch.First),
            Score = score,
        };
    }

    /// <summary>Whether the gradient is that of the model in evaluation mode, as far as its modules show: then slopes can be
    /// compared.</summary>
    private bool TrainsAsItEvaluates =>
        !Model
            .modules()
            .Append(Model)
            .Any(m =>
                m.training
                && m
                    is Dropout
                        or Dropout1d
                        or Dropout2d
                        or Dropout3d
                        or AlphaDropout
                        or FeatureAlphaDropout
                        or TorchSharp.Modules.BatchNorm
            );

    /// <summary>α and μ at the model's minimum, within bounds by the running factors: the few examples of the model may have fitted outputs
    /// and no curvature left, where those of all
    /// batches have. α is that of the whole natural step at most, and the growth bound is on the length α √⟨U, V⟩ + μ (that of the last
    /// step).</summary>
    private (double Alpha, double Mu, QuadraticModel Model) Minimum(List<Direction> steps, Examples examples, double clip)
    {
        var model = ModelOf(steps, examples, clip);
        if (!model.IsBounded && model.Slopes.New != 0)
            Log("all", "the quadratic model has no minimum along the new direction; no step was made along it");
        var (alpha, mu) = model.Minimum();
        if (Shared.MaxGrowth is null)
            return (alpha, mu, model);
        double whole = Math.Abs(alpha) > 1 ? Math.Min(1, NaturalStep(steps) / Math.Abs(alpha)) : 1;
        double natural = Math.Sqrt(steps.Sum(s => s.Products.AB)),
            length = whole * (Math.Abs(alpha) * natural + Math.Abs(mu) * _length);
        double cut = whole * Bounded(length * length);
        _length = cut / whole * length;
        return (cut * alpha, cut * mu, model);
    }

    /// <summary>The α of the whole natural step by what was measured: 1 where nothing is left of the identity that G began as.</summary>
    private double NaturalStep(List<Direction> steps)
    {
        double whole = steps.Sum(s => s.Products.AB),
            identity = Identity,
            decay = Shared.Curvature.FactorEma;
        double OfBlock(Direction s) => s.Block.IdentityForm(s.U, identity * Math.Pow(decay, s.Block.Updates));
        double ofIdentity = identity == 0 ? 0 : steps.Sum(OfBlock);
        return 1 / Math.Max(1 - ofIdentity / whole, LeastMeasured);
    }

    /// <summary>The model over the plane of Δ = -U and the last step δ₀ = -b, with each block's own λ: of the first examples or, where
    /// those do not show the slope of the batch, of all.</summary>
    private QuadraticModel ModelOf(List<Direction> steps, Examples batch, double clip)
    {
        bool moving = steps.TrueForAll(s => _momentum.ContainsKey(s.Block));
        var all = steps.Aggregate(default(InnerProducts), (sum, s) => sum + s.Products);
        var damped = steps.Aggregate(
            default(InnerProducts),
            (sum, s) => sum + s.Block.Damping(Shared.Curvature.DampedBy(DampingOf(s.Block))) * s.Products
        );
        var part = Part(batch);
        var model = Made(part);
        bool lacks = part.Score is not null && batch.First < batch.Inputs.shape[0] && !model.Unclipped(clip).IsRepresentative;
        if (!(World is { } ranks ? ranks.Sum(lacks ? 1 : 0)[0] > 0 : lacks))
            return model;
        Log(
            "all",
            FormattableString.Invariant($"the first {StepRule.ModelBatchSize} examples did not show the slope of the batch")
                + "; the quadratic model was made of all of it"
        );
        return Made(batch);

        QuadraticModel Made(Examples examples)
        {
            var objective = ObjectiveOf(steps, examples);
            var made = moving
                ? QuadraticModel.Of(
                    objective,
                    examples.Score,
                    (all.AB, all.AC),
                    [Parts(s => s.U), Parts(s => _momentum[s.Block])],
                    (damped.BB, damped.BC, damped.CC),
                    Math.Sqrt(all.BB),
                    Math.Sqrt(all.CC)
                )
                : QuadraticModel.Of(objective, examples.Score, (all.AB, 0), [Parts(s => s.U)], (damped.BB, 0, 0), Math.Sqrt(all.BB));
            return made.Opposite();
        }

        List<Tensor> Parts(Func<Direction, Tensor> part) => [.. steps.SelectMany(s => s.Block.Split(part(s)))];
    }

    /// <summary>f of the quadratic model's examples, in evaluation mode; null where this rank has none.</summary>
    private Tensor? OutputOf(List<Direction> steps, Examples examples)
    {
        Tensor? output = null;
        ObjectiveOf(steps, Part(examples)).Walk(false, p => output = p.Output.detach().clone().DetachFromDisposeScope());
        return output;
    }

    /// <summary>Holds what a step did to the predictions of the model's examples against what the model says. A Fisher that is all but zero
    /// where the step starts, as that of saturated outputs, may grow along it. Where the KL divergence is more than <see cref="Trusted"/>
    /// times the model's, and than its running mean, and the loss of these examples rose, the step is halved, and the momentum with
    /// it.</summary>
    /// <remarks>The loss needs no targets: where f are natural parameters, L(f') - L(f) = s'(f' - f) + KL( p(f) ‖ p(f') ), with s the score
    /// at f.</remarks>
    /// <returns>What is left of the squared length of the step.</returns>
    private double Contain(List<Direction> steps, Examples examples, Tensor? before, double predicted)
    {
        double left = 1,
            found = double.NaN,
            share = Share(Group);
        double bound = Math.Max(Trusted * Math.Max(share * share * predicted, _divergence.Mean ?? 0), Negligible);
        var score = _likelihood!.IsNatural ? Part(examples).Score : null;
        for (int i = 0; i <= MostHalvings; i++)
        {
            using var after = OutputOf(steps, examples);
            double divergence = 0,
                along = 0,
                terms = 0;
            if (before is not null && after is not null)
            {
                (divergence, terms) = (Sum(_likelihood.KlDivergence(before, after)), _likelihood.Terms(before));
                along = score is null ? double.PositiveInfinity : Sum(score.mul(after - before));
            }
            if (World is { } ranks && ranks.Sum(divergence, along, terms) is var sums)
                (divergence, along, terms) = (sums[0], sums[1], sums[2]);
            found = divergence / terms;
            if (found <= bound || divergence + along <= 0)
                break;
            Shorten(steps, i == MostHalvings ? 0 : 0.5);
            left *= i == MostHalvings ? 0 : 0.25;
        }
        if (double.IsFinite(found))
            _divergence.Scale(found, null);
        if (left == 1)
            return 1;
        Estimate.IsDue = true;
        Log(
            "all",
            FormattableString.Invariant($"the step changed predictions by more than {Trusted} times what the quadratic model says, ")
                + "and for the worse; it was halved until it did not"
        );
        return left;

        static double Sum(Tensor t) => t.sum().to_type(ScalarType.Float64).ToDouble();
    }

    /// <summary>Takes a part of the last step back, and of the momentum.</summary>
    private void Shorten(List<Direction> steps, double keep)
    {
        foreach (var (block, _, _, _) in steps)
        {
            if (!_momentum.TryGetValue(block, out var b))
                continue;
            foreach (var (w, d) in block.Parameters.Zip(block.Split(b)))
                if (CurvatureBlock.HasGradient(w))
                    w.add_(d, alpha: (1 - keep) * Share(_groupOf[block]));
            b.mul_(keep);
        }
        _length *= keep;
    }
}
