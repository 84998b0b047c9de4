using Amari.Curvature;
using Amari.Kernels;
using Amari.Kronecker;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>K-FAC: the natural gradient with Kronecker-factored curvature (Martens and Grosse 2015, arXiv:1503.05671).</summary>
/// <remarks><code>
/// for each layer s = W ā:   A ← EMA of E[ā ā'],   G ← EMA of E[g g'],   F ≈ A ⊗ G
/// V = [∂W ∂b],   U = (F + λ)⁻¹ V                    λ: the damping, see InverseOptions
/// ν = min(1, √(c / (η² Σ ⟨U, V⟩)), √(κ p̄ / Σ ⟨U, V⟩))
///     KL clip: the step changes the prediction by about c at most; growth bound: p̄ is the running mean of Σ ⟨U, V⟩
/// b ← μ min(1, η₋/η) b + ν U,   w ← (1 - η λw) w - η b
///     η₋: the rate of the previous step; λw: decoupled decay of weights, not of biases and normalisations
/// </code>If the rate rises, the momentum shrinks by the same factor. At a rate of 0, nothing is added to it. So no direction of the
/// momentum is ever longer than the clip allowed. With large batches, the step minimises a quadratic model instead: see
/// <see cref="Options.Step"/>.
/// <para>Layers are observed when they are called by <c>call()</c>, also inside a Sequential and when a layer is used several times. Do not
/// call <c>forward()</c> yourself: such a use, or the use of a layer's weight in a function, is not measured. It is reported, in
/// <see cref="Events"/> and on standard error, only if no call of the layer was seen at all. A forward pass with gradients but without a
/// backward pass keeps the inputs of the layers until the next step: evaluate under <c>no_grad()</c>.</para>
/// <para>The factors come from the same passes as the gradients. Several backward passes through one forward pass count as the backward
/// pass of their sum, and micro-batches add up. <see cref="zero_grad"/> discards the gradients and the factors of earlier backward passes;
/// the model's own <c>zero_grad</c> discards only the gradients. A parameter without a gradient does not move, whether it is frozen or
/// unused. A single example without a dimension of examples counts as [1, ..].</para>
/// <para>During the first steps, the likelihood is compared with the gradient at the model's output, and a likelihood that cannot belong to
/// the loss is reported. A wrong scale (the variance of a <see cref="Gaussian"/>) cannot be detected, nor can most losses of independent
/// outputs, because some targets have these gradients.</para>
/// AdamW trains parameters without a block, with its own options: see <see cref="Coverage"/>. Factors and step do not depend on the batch
/// size, on mean or sum (<see cref="Options.Reduction"/>), or on micro-batches.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 16)), ("relu", nn.ReLU()), ("fc2", nn.Linear(16, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new Kfac(model, new() { LearningRate = 0.1, Damping = 1e-2 }, new Categorical());
/// for (int step = 0; step &lt; 20; step++)
/// {
///     using var scope = NewDisposeScope();
///     optimizer.zero_grad();
///     nn.functional.cross_entropy(model.call(x), y).backward();
///     optimizer.step();
/// }
/// Console.WriteLine(optimizer.Coverage);      // which method trains each parameter, and why
/// foreach (var e in optimizer.Events)
///     Console.WriteLine(e);                   // choices, fallbacks and skipped steps
/// </code></example>
[System.Diagnostics.CodeAnalysis.SuppressMessage(
    "Naming",
    "CA1708",
    Justification = "StepOnBatch(inputs, targets) is what second-order optimizers have; step is TorchSharp's."
)]
public sealed partial class Kfac : Optimizer, optim.IMomentum, IEstimateOwner, IStepOwner
{
    private readonly Dictionary<CurvatureBlock, Tensor> _momentum = [];
    private readonly Likelihood? _likelihood;
    private long _step,
        _failed; // of those, how many were skipped, since the optimizer was made

    /// <summary>The curvature: the factors of the model's layers, and their inverses.</summary>
    public KroneckerEstimate Estimate { get; }

    /// <summary>Which Fisher is used.</summary>
    public FisherKind Fisher => Estimate.Fisher;

    private nn.Module Model => Estimate.Model;

    private protected override IEnumerable<nn.Module> Models => [Model];

    private Capture Passes => Estimate.Capture;

    CurvatureOptions IEstimateOwner.Curvature => Shared.Curvature;

    LossReduction IEstimateOwner.Reduction => Shared.Reduction;

    double IEstimateOwner.Identity => Shared.Curvature.IdentityStart ?? (_rules.Active.IsModelled ? 1 : 0);

    bool IEstimateOwner.IsModelled => _rules.Active.IsModelled;

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
    /// <remarks>A repeated event is counted in the message of its first occurrence. The last events report the present state of what
    /// adapts: the number of rejected steps, the damping, the choices of <see cref="RefreshOptions.TimeFraction"/> and
    /// <see cref="InverseOptions.Auto"/>, and the ranks of <see cref="InverseOptions.Nystrom"/>.</remarks>
    public override IReadOnlyList<OptimizerEvent> Events => [.. EventLog.Events, .. Standing()];

    /// <summary>The current choice of intervals and examples by <see cref="RefreshOptions.TimeFraction"/>; null without it, or before the
    /// first choice.</summary>
    public CurvatureChoice? CurvatureChoice => Estimate.Choice;

    /// <summary>The condition numbers of each layer's running factors. Layers without a measurement, and normalisations, are left out. Each
    /// call computes the eigenvalues of every factor.</summary>
    public IReadOnlyList<FactorCondition> FactorConditions() => Estimate.Conditions(DampingOf);

    /// <summary>The clock that measures the time of curvature and of inverses.</summary>
    internal TimeProvider Clock { get; init; } = TimeProvider.System;

    /// <inheritdoc/>
    public override IEnumerable<Parameter> parameters() => Estimate.Blocks.SelectMany(b => b.Parameters).Concat(_fallback.parameters());

    /// <inheritdoc/>
    public override long StateBytes =>
        Estimate.Blocks.SelectMany(b => b.Tensors()).Select(t => t.Tensor).Concat(_momentum.Values).Sum(t => t.numel() * t.ElementSize)
        + _fallback.StateBytes;

    /// <summary>One step of every parameter that has a gradient. Gradients of several passes since the last step add up, and so do their
    /// factors.</summary>
    /// <param name="closure">Optional: computes and returns the loss, including its gradients. It is called first.</param>
    /// <returns>The closure's loss, or null.</returns>
    /// <exception cref="InvalidOperationException">The model was never called by <c>call()</c>, so its layers are unknown.</exception>
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
    /// <remarks>Only this call shows K-FAC which targets are ignored by the loss (labels -100). Without it, all terms of the next forward
    /// pass count.</remarks>
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
        RequireState();
        using var off = no_grad();
        using var scope = NewDisposeScope();
        if (_batch is null && EvaluatesLoss)
            throw new InvalidOperationException(
                "These options evaluate the loss: call StepOnBatch(inputs, targets) instead of backward() and step()."
            );
        FollowModel();
        if (gradientScale is null && NonFiniteGradients(1) is { Count: > 0 } bad)
        {
            EventLog.AddSkipped(bad, _step + 1);
            CountSkipped(EventLog.GradientNotFinite, _step - _failed);
            Skip();
            return;
        }
        FollowGroups();
        _step++;
        foreach (var block in Estimate.Blocks.Where(IsBehind))
            Move(block, block.Parameters[0].device);
        LogThawed();
        Passes.Complete();
        _rules.Choose();
        Estimate.Update(_step);
        Update(gradientScale);
        Estimate.Finish(_step, (_choosing, _rules.Active.FactorDampingInterval ?? 1));
        ArmCapture();
    }

    /// <summary>Sets what the next forward and backward passes measure.</summary>
    private void ArmCapture() =>
        Estimate.Arm(_step + 1, keepsBatch: StepRule.MakesModel || _rules.Outputs is not null, keepsOutputs: _rules.Outputs ?? 0);

    private void Log(string subject, string message) => EventLog.Add(subject, message, _step);

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
