using System.Text.Json.Nodes;
using Amari.Curvature;

namespace Amari;

/// <summary>Which step rule is in force: that of the options, or what an <see cref="AutoStep"/> chose at the first step.</summary>
/// <param name="owner">Steps by it.</param>
/// <param name="estimate">What sees the passes.</param>
/// <param name="likelihood">Of the model's output, if there is one.</param>
/// <param name="rate">Of the first group.</param>
internal sealed class StepRuleChoice(IStepOwner owner, KroneckerEstimate estimate, Likelihood? likelihood, GroupRate rate)
{
    private const string Quadratic = "QuadraticModel"; // as a state has always called the rule
    private const int LargeBatch = 16; // times the examples of the quadratic model
    private const double Repeated = 1e-3; // of outputs, relative and absolute
    private readonly QuadraticStepRule _quadratic = new(owner, rate);
    private bool? _choosesModel; // of an AutoStep, at the first step
    private (StepRule From, bool Model, StepRule Rule) _inForce;

    /// <summary>Its options; those of a <see cref="FixedStep"/> before there is a choice.</summary>
    public StepRule Options
    {
        get
        {
            if (owner.Options.Step is not AutoStep auto)
                return owner.Options.Step;
            bool model = _choosesModel == true;
            if (!ReferenceEquals(_inForce.From, auto) || _inForce.Model != model)
                _inForce = (auto, model, model ? auto.AsQuadratic() : auto.AsFixed());
            return _inForce.Rule;
        }
    }

    /// <summary>Fixed steps.</summary>
    public FixedStepRule Fixed { get; } = new(owner);

    /// <summary>The rule at work.</summary>
    public ActiveStepRule Active => Options is QuadraticStep ? _quadratic : Fixed;

    /// <summary>How many outputs of the first passes the choice is to be made by; null where there is none to make.</summary>
    public long? Outputs => owner.Options.Step is AutoStep auto && _choosesModel is null && HasModel ? auto.BatchSize ?? 0 : null;

    /// <summary>Whether a quadratic model can be made.</summary>
    private bool HasModel => likelihood is not null && estimate is { Model: nn.Module<Tensor, Tensor>, Fisher: not FisherKind.ForwardOnly };

    /// <summary>Chooses, at the first step. Passes that are added up, dropout, outputs that are no natural parameters, and a loss that is a
    /// multiple of the likelihood's leave fixed steps: there the model is of another function than the gradient.</summary>
    public void Choose()
    {
        if (_choosesModel is not null)
            return;
        var step = owner.Options.Step;
        double[] counts = [estimate.Capture.LiveExamples, estimate.Capture.LivePasses > 1 ? 1 : 0];
        if (estimate.World is { } ranks)
            counts = ranks.Sum(counts);
        double examples = counts[0],
            large = LargeBatch * (step.ModelBatchSize ?? double.PositiveInfinity);
        if (examples == 0)
            return;
        _choosesModel =
            HasModel
            && step is not FixedStep
            && examples >= large
            && counts[1] == 0
            && likelihood!.IsNatural
            && IsRepeatable()
            && !IsMultiple();
        if (step is AutoStep && _choosesModel == true)
            owner.Log(
                FormattableString.Invariant($"steps are of the quadratic model, as the batch has {examples} examples, ")
                    + FormattableString.Invariant($"{LargeBatch} times {step.ModelBatchSize} or more")
            );
        if (step is QuadraticStep && examples < large && large < double.PositiveInfinity)
            owner.Log(
                FormattableString.Invariant($"the batch has {examples} examples, fewer than {large}: ")
                    + "steps of the quadratic model fit it alone; fixed steps are safer"
            );
    }

    /// <summary>Whether evaluation gives the outputs of the training pass, as far as it can be compared: not with dropout, as a module or a
    /// function.</summary>
    private bool IsRepeatable()
    {
        var (model, passes) = ((nn.Module<Tensor, Tensor>)estimate.Model, estimate.Capture);
        var modules = model.modules().Append(model).Where(m => m.training).ToList();
        bool same = !modules.Exists(ModelBatch.IsRandom);
        if (
            same
            && !modules.Exists(m => m is TorchSharp.Modules.BatchNorm)
            && passes is { FirstOutputs: { } kept }
            && passes.LastBatch(owner.Options.Reduction) is var (inputs, _, _)
        )
        {
            var first = inputs.narrow(0, 0, kept.shape[0]); // without targets: only outputs are looked at
            var objective = new Objective(model, likelihood!, [(first, null!)]);
            objective.Walk(false, p => same = p.Output.allclose(kept, Repeated, Repeated));
        }
        return estimate.World is { } ranks ? ranks.Sum(same ? 0 : 1)[0] == 0 : same;
    }

    /// <summary>Whether the loss is a multiple of the likelihood's, as far as its gradient at the outputs shows.</summary>
    private bool IsMultiple()
    {
        bool beyond =
            estimate.Capture is { FirstOutputs: { } kept } passes
            && passes.LastBatch(owner.Options.Reduction) is (_, _, { } score)
            && score.shape[0] >= kept.shape[0]
            && likelihood!.IsBeyondTargets(kept, score.narrow(0, 0, kept.shape[0]));
        if (estimate.World is { } ranks)
            beyond = ranks.Sum(beyond ? 1 : 0)[0] > 0;
        if (beyond)
            owner.Log(
                $"the gradient at the model's output is larger than any target of the likelihood {likelihood!.GetType().Name} makes it: "
                    + "the loss is a multiple of the likelihood's mean over terms (or of its sum, by Reduction), so steps are fixed"
            );
        return beyond;
    }

    /// <summary>Adds the choice to a snapshot, and what the rules have learnt of the run.</summary>
    public void Save(JsonObject values)
    {
        values["rule"] = _choosesModel is { } model ? (model ? Quadratic : "Fixed") : null;
        _quadratic.Save(values);
    }

    /// <summary>Continues from a snapshot.</summary>
    public void Restore(JsonObject values)
    {
        _choosesModel = (string?)values["rule"] is { } rule ? rule == Quadratic : null;
        _quadratic.Restore(values);
    }
}
