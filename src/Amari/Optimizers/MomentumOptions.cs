namespace Amari;

/// <summary>Options of methods with momentum, where a step may go against the current gradient.</summary>
public abstract record MomentumOptions : GroupedOptions
{
    /// <inheritdoc cref="GroupedOptions(double, double)"/>
    protected MomentumOptions(double learningRate, double weightDecay = 0)
        : base(learningRate, weightDecay) { }

    /// <summary>Whether only the entries move for which the step agrees in sign with the gradient. Their step is multiplied by 1 / (their
    /// share of the parameter) (Liang et al. 2024, arXiv:2411.16085).</summary>
    public bool Cautious { get; init; }

    internal override bool IsCautious => Cautious;
}
