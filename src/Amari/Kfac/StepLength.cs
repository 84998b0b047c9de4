namespace Amari;

/// <summary>How far a step goes: δ = -η (α U + μ b), as its rule has chosen.</summary>
/// <param name="alpha">α.</param>
/// <param name="momentum">μ, where a group has none of its own.</param>
/// <param name="predicted">The reduction of the loss that a quadratic model predicts; null without one.</param>
/// <param name="divergence">The KL divergence that it predicts of a whole step.</param>
internal sealed class StepLength(double alpha, double momentum = 0, double? predicted = null, double divergence = 0)
{
    /// <summary>α.</summary>
    public double Alpha => alpha;

    /// <summary>μ, where a group has none of its own.</summary>
    public double Momentum => momentum;

    /// <summary>The reduction of the loss that a quadratic model predicts; null without one.</summary>
    public double? Predicted => predicted;

    /// <summary>The KL divergence that it predicts of a whole step.</summary>
    public double Divergence => divergence;
}
