namespace Amari.Training;

/// <summary>The sharpness above which gradient descent diverges on a quadratic, the "edge of stability" (Cohen et al. 2021,
/// arXiv:2103.00065, §2 and Appendix B).</summary>
/// <remarks><code>
/// plain          2 / η
/// momentum μ     2 (1 + μ) / η
/// Nesterov       2 (1 + μ) / (η (1 + 2 μ))
/// </code>
/// L2 regularisation λ adds λ to every eigenvalue, so the loss's own must stay below the bound minus λ. The bounds hold for full batches;
/// noise lowers them. Methods that precondition (Adam, K-FAC) or take signs (Lion) have no bound on the Hessian's own eigenvalue.</remarks>
/// <param name="Value">In the unit of the Hessian; infinite for η = 0.</param>
/// <param name="Rule">The formula.</param>
public sealed record StabilityBound(double Value, string Rule)
{
    /// <summary>The bound for an optimizer with its current options, the minimum over its groups; null if it is not gradient
    /// descent.</summary>
    public static StabilityBound? Of(optim.Optimizer optimizer) =>
        (optimizer as Sgd)?.Groups.Select(g => Of(g.Options)).MinBy(b => b.Value);

    private static StabilityBound Of(Sgd.Options o)
    {
        var (value, rule) =
            o.Momentum == 0 ? (2 / o.LearningRate, "2/η")
            : o.Nesterov ? (2 * (1 + o.Momentum) / (o.LearningRate * (1 + 2 * o.Momentum)), "2(1+μ)/(η(1+2μ))")
            : (2 * (1 + o.Momentum) / o.LearningRate, "2(1+μ)/η");
        return o.WeightDecay == 0 ? new(value, rule) : new(value - o.WeightDecay, rule + " - λ");
    }
}
