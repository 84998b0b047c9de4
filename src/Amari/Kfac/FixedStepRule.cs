using Amari.Kernels;

namespace Amari;

/// <summary><see cref="FixedStep"/> at work: rate and momentum of the options, within a trust bound.</summary>
/// <remarks><code>
/// ν = min(1, √(c / (η² Σ ⟨U, V⟩)), growth bound),   b ← μ min(1, η₋/η) b + ν U,   w ← w - η b
/// </code>The KL clip is that of Ba, Grosse and Martens 2017, "Distributed second-order optimization using Kronecker-factored
/// approximations".</remarks>
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
        var options = (FixedStep)owner.StepRule;
        KlScale = options.KlClip is { } c && product > c ? Math.Sqrt(c / product) : 1;
        double nu = Math.Min(KlScale, owner.Bounded(length, KlScale));
        bool isModelled = predicts && step.Directions.Count > 0 && step.Batch is not null;
        return new(nu, options.Momentum, isModelled ? Predicted(step, nu, options.Momentum) : null);
    }

    public override (double Momentum, double Rate) Of(Direction direction, StepLength length) =>
        (Carried(direction, length.Momentum), direction.Rate.Now);

    /// <summary>μ min(1, η₋/η), by the group's own μ if it has one.</summary>
    private static double Carried(Direction direction, double momentum) =>
        direction.Rate.Carried((direction.Rate.Group.Options as Kfac.GroupOptions)?.Momentum ?? momentum);

    /// <summary>The reduction of the loss that the quadratic model predicts for the step with its momentum.</summary>
    private static double Predicted(ProposedStep step, double nu, double mu)
    {
        var delta = step.Directions.ConvertAll(s =>
            (s.V, s.Block, U: (s.Momentum is { } b ? b.mul(Carried(s, mu)).add_(s.U, alpha: nu) : s.U.mul(nu)).mul_(-s.Rate.Now))
        );
        double slope = delta.Sum(d => InnerProducts.Of(d.V, d.U).AB);
        List<Tensor> direction = [.. delta.SelectMany(d => d.Block.Split(d.U))];
        return QuadraticModel
            .Of(step.Batch!.Part.ObjectiveOf(step.Directions), null, (slope, 0), [direction], default)
            .Unclipped(step.Clip)
            .Reduction(1, 0);
    }
}
