using Amari.Curvature;
using Amari.Kernels;
using Amari.Kronecker;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>K-FAC, natural gradient with Kronecker-factored curvature (Martens and Grosse 2015, arXiv:1503.05671).</summary>
/// <remarks><code>
/// for each layer s = W ā:   A ← EMA of E[ā ā'],   G ← EMA of E[g g'],   F ≈ A ⊗ G
/// V = [∂W ∂b],   U = (F + λ)⁻¹ V                    damping λ: see InverseOptions
/// ν = min(1, √(c / (η² Σ ⟨U, V⟩)), √(κ p̄ / Σ ⟨U, V⟩))
///     KL clip: the step changes the prediction by about c at most; growth bound: p̄ is the running mean of Σ ⟨U, V⟩
/// b ← μ min(1, η₋/η) b + ν U,   w ← (1 - η λw) w - η b
///     η₋: the rate of the step before; decoupled decay λw, on weights and not on biases nor normalisations
/// </code>Where the rate rises the momentum shrinks by as much, and at a rate of 0 nothing enters it: no direction is ever longer in a step
/// than the clip allowed. In large batches the step is that of the quadratic model instead: see <see cref="Options.Step"/>.
/// <para>Layers are seen through call(), also inside Sequential and when used several times; do not call forward() yourself: a use by
/// forward(), or of a layer's weight in a function, is not measured, and only a layer that no call was seen of is reported, in
/// <see cref="Events"/> and on standard error. A pass with gradients that is never propagated back keeps the layers' inputs until the next
/// step: evaluate under no_grad().</para>
/// <para>Factors are of the passes that the gradients are of: several backward passes through one forward pass are that of their sum, and
/// micro-batches add up. <see cref="zero_grad"/> forgets gradients and factors of earlier backward passes; the model's own zero_grad
/// forgets the gradients alone. A parameter without a gradient, frozen or not used by the loss, stays as it is. One example without a
/// dimension of examples is taken as [1, ..].</para>
/// <para>In the first steps the likelihood is compared with the gradient at the model's output, and one that cannot belong to the loss is
/// reported. A wrong scale (a <see cref="Gaussian"/>'s variance) cannot be noticed, nor can most losses of independent outputs: some
/// targets have them.</para>
/// Parameters without a block are trained by AdamW under its own options: see <see cref="Coverage"/>. Factors and step do not depend on the
/// batch size, on mean or sum (<see cref="Options.Reduction"/>) or on micro-batches.</remarks>
[System.Diagnostics.CodeAnalysis.SuppressMessage(
    "Naming",
    "CA1708",
    Justification = "StepOnBatch(inputs, targets) is what second-order optimizers have; step is TorchSharp's."
)]
public sealed partial class Kfac : Optimizer, optim.IMomentum, IEstimateOwner
{
    private readonly Dictionary<CurvatureBlock, Tensor> _momentum = [];
    private readonly EventLog _events = new();
    private readonly Likelihood? _likelihood;
    private long _step;

    /// <summary>The curvature: the factors of the model's layers, and their inverses.</summary>
    public KroneckerEstimate Estimate { get; }

    /// <summary>Which Fisher is used.</summary>
    public FisherKind Fisher => Estimate.Fisher;

    private nn.Module Model => Estimate.Model;

    private Capture Passes => Estimate.Capture;

    CurvatureOptions IEstimateOwner.Curvature => Shared.Curvature;

    LossReduction IEstimateOwner.Reduction => Shared.Reduction;

    double IEstimateOwner.Identity => Identity;

    TimeProvider IEstimateOwner.Clock => Clock;

    double IEstimateOwner.DampingOf(CurvatureBlock block) => InverseDampingOf(block);

    void IEstimateOwner.Log(string subject, string message) => Log(subject, message);

    void IEstimateOwner.Lose(CurvatureBlock block, string reason)
    {
        Demote(block, reason);
        Warnings.Once($"K-FAC has no curvature of the layer {block.Name}: {reason}. AdamW trains it.");
    }

    /// <inheritdoc/>
    public override Coverage Coverage =>
        new([.. Estimate.Coverage.Rows.Select(r => _left.Contains(r.Parameter) ? r with { Block = nameof(AdamW) } : r)]);

    /// <inheritdoc/>
    /// <remarks>The same thing happening again is counted in the message of the first time. Last comes what adapts, as it stands now: steps
    /// taken back, the damping, what a <see cref="RefreshOptions.TimeFraction"/> and <see cref="InverseOptions.Auto"/> chose, and the
    /// ranks of <see cref="InverseOptions.Nystrom"/>.</remarks>
    public override IReadOnlyList<OptimizerEvent> Events =>
        [.. _events.Events, .. Standing(), .. Estimate.InverseChoices.Select(c => new OptimizerEvent(_step, "all", c))];

    /// <summary>The intervals and the examples that <see cref="RefreshOptions.TimeFraction"/> chose, as they are now; null without one or
    /// before there is a choice.</summary>
    public CurvatureChoice? CurvatureChoice => Estimate.Choice;

    /// <summary>How well conditioned the running factors of every layer are now; layers not measured yet are left out, and so are
    /// normalisations. It costs an eigenvalue decomposition of each factor.</summary>
    public IReadOnlyList<FactorCondition> FactorConditions() => Estimate.Conditions(DampingOf);

    /// <summary>What a curvature budget and ways to invert are measured by.</summary>
    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <inheritdoc/>
    public override IEnumerable<Parameter> parameters() => Estimate.Blocks.SelectMany(b => b.Parameters).Concat(_fallback.parameters());

    /// <inheritdoc/>
    public override long StateBytes =>
        Estimate.Blocks.SelectMany(b => b.Tensors()).Select(t => t.Tensor).Concat(_momentum.Values).Sum(t => t.numel() * t.ElementSize)
        + _fallback.StateBytes;

    /// <summary>One step of every parameter that has a gradient; gradients of several passes since the last step add up, and so do their
    /// factors.</summary>
    /// <param name="closure">Optional: computes and returns the loss, gradients included; evaluated first.</param>
    /// <returns>The closure's loss, or null.</returns>
    /// <exception cref="InvalidOperationException">The model was never called through call(), so nothing is known of its
    /// layers.</exception>
    public override Tensor? step(Func<Tensor>? closure = null)
    {
        Tensor? loss = null;
        if (closure is not null)
            using (enable_grad())
                loss = closure();
        Advance(null);
        return loss;
    }

    /// <inheritdoc/>
    internal override void StepScaled(double scale) => Advance(scale);

    /// <inheritdoc/>
    internal override void Skip()
    {
        Estimate.Skip();
        ArmCapture();
    }

    /// <inheritdoc/>
    /// <remarks>Of targets that leave terms out of the loss (labels -100) K-FAC learns which ones by this call alone; without it all terms
    /// of the next forward pass count.</remarks>
    public override void UpdateCurvature(Tensor inputs, Tensor targets)
    {
        ArgumentNullException.ThrowIfNull(targets);
        Passes.SetTargets(targets);
    }

    /// <inheritdoc/>
    internal override double SumOfSquaredGradients() => _fallback.SumOfSquaredGradients() + SumOfSquares(Estimate.Blocks);

    /// <param name="gradientScale">Null to clip by <see cref="Optimizer.MaxGradientNorm"/>.</param>
    private void Advance(double? gradientScale)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        if (_batch is null && EvaluatesLoss)
            throw new InvalidOperationException(
                "These options evaluate the loss: call StepOnBatch(inputs, targets) instead of backward() and step()."
            );
        FollowModel();
        if (gradientScale is null && NonFiniteGradients(1) is { Count: > 0 } bad)
        {
            _events.AddSkipped(bad, _step + 1);
            SkippedSteps++;
            Skip();
            return;
        }
        FollowGroups();
        _step++;
        foreach (var block in Estimate.Blocks.Where(b => b.HasMoved))
            Move(block, block.Parameters[0].device);
        LogThawed();
        Passes.Complete();
        ChooseRule();
        Estimate.Update(_step);
        Update(gradientScale);
        Estimate.Finish(_step, (_choosing, FactorAdaptation?.Interval ?? 1));
        ArmCapture();
    }

    /// <summary>Says what the next pass is to measure.</summary>
    private void ArmCapture()
    {
        bool chooses = Shared.Step is AutoStep && _choosesModel is null && HasModel;
        Estimate.Arm(
            _step + 1,
            keepsBatch: StepRule is QuadraticStep || Shared.Step.Adaptation is not null || chooses,
            keepsOutputs: chooses ? Shared.Step.ModelBatchSize ?? 0 : 0
        );
    }

    private void Log(string subject, string message) => _events.Add(subject, message, _step);

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            Estimate.Dispose();
            _gradients?.Dispose();
            foreach (var b in _momentum.Values)
                b.Dispose();
            _fallback.Dispose();
        }
        base.Dispose(disposing);
    }
}
