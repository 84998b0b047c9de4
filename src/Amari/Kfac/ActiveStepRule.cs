namespace Amari;

/// <summary>A step rule at work: what <see cref="Kfac"/> asks of it in each step.</summary>
/// <remarks>In this order, by all ranks:
/// <code>
/// ChooseFactorDamping   where it is due, before there are directions
/// Choose                α, and what a quadratic model predicts of the step
/// Watch                 what is to be known of the model before it moves
/// Of                    μ and η of a block: b ← μ b + α U,  w ← w - η b
/// Contain               the step is held against what Watch saw
/// Reject                where the loss rose: the step was taken back
/// </code></remarks>
internal abstract class ActiveStepRule
{
    /// <summary>Whether the step is that of a quadratic model over the plane of the new direction and the last step.</summary>
    public virtual bool IsModelled => false;

    /// <summary>γ² that inverses are damped by; null for λ.</summary>
    public virtual double? FactorDamping => null;

    /// <summary>How many steps apart γ² is chosen; null where it is not.</summary>
    public virtual int? FactorDampingInterval => null;

    /// <summary>Chooses γ².</summary>
    /// <param name="propose">Proposes the step by the inverses as they are.</param>
    public virtual void ChooseFactorDamping(Func<ProposedStep> propose) { }

    /// <summary>Chooses the length of a step.</summary>
    /// <param name="step">The step.</param>
    /// <param name="predicts">Whether a prediction is used.</param>
    public abstract StepLength Choose(ProposedStep step, bool predicts);

    /// <summary>μ and η of a block.</summary>
    public abstract (double Momentum, double Rate) Of(Direction direction, StepLength length);

    /// <summary>What <see cref="Contain"/> compares with; the caller owns it.</summary>
    public virtual Tensor? Watch(ProposedStep step) => null;

    /// <summary>Shortens a step that was made, where it did what it should not.</summary>
    /// <returns>What is left of its squared length.</returns>
    public virtual double Contain(ProposedStep step, StepLength length, Tensor? before) => 1;

    /// <summary>The step was taken back.</summary>
    public virtual void Reject() { }
}
