using Amari.Kernels;

namespace Amari;

/// <summary><see cref="FixedStep"/> at work: rate and momentum of the options, within a trust bound.</summary>
/// <remarks><code>
/// ν = min(1, √(c / (η² Σ ⟨U, V⟩)), growth bound),   b ← μ min(1, η₋/η) b + ν U,   w ← w - η b
/// </code>The KL clip is that of Ba, Grosse and Martens 2017, "Distributed second-order optimization using Kronecker-factored
/// approximations", §5.</remarks>
internal sealed class FixedStepRule(IStepOwner owner) : ActiveStepRule
{
    /// <summary>ν of the KL clip in the last step.</summary>
    public double KlScale { get; private set; } = 1;

    public override StepLength Choose(ProposedStep step, bool predicts)
    {
        double product = 0, // Σ η² ⟨U, V⟩
            length = 0; // Σ ⟨U, V⟩
        foreach (var s in step.Directions)
        {
            double rate = s.Rate.Now;
            product += rate * rate * s.Products.AB;
            length += s.Products.AB;
        }
        KlScale = ((FixedStep)owner.StepRule).KlClip is { } c && product > c ? Math.Sqrt(c / product) : 1;
        double nu = Math.Min(KlScale, owner.Bounded(length, KlScale));
        return new(nu, predicted: predicts && step.Directions.Count > 0 && step.Batch is { } batch ? Predicted(step, batch, nu) : null);
    }

    public override (double Momentum, double Rate) Of(Direction direction, StepLength length) => (Momentum(direction), direction.Rate.Now);

    private double Momentum(Direction direction) =>
        direction.Rate.Carried((direction.Rate.Group.Options as Kfac.GroupOptions)?.Momentum ?? owner.StepRule.OwnMomentum ?? 0);

    /// <summary>The reduction of the loss that the quadratic model predicts for the step with its momentum.</summary>
    private double Predicted(ProposedStep step, ModelBatch batch, double nu)
    {
        var delta = step.Directions.ConvertAll(s =>
            (s.V, s.Block, U: (s.Momentum is { } b ? b.mul(Momentum(s)).add_(s.U, alpha: nu) : s.U.mul(nu)).mul_(-s.Rate.Now))
        );
        double slope = delta.Sum(d => InnerProducts.Of(d.V, d.U).AB);
        List<Tensor> direction = [.. delta.SelectMany(d => d.Block.Split(d.U))];
        return QuadraticModel
            .Of(batch.Part.ObjectiveOf(step.Directions), null, (slope, 0), [direction], default)
            .Unclipped(step.Clip)
            .Reduction(1, 0);
    }
}
