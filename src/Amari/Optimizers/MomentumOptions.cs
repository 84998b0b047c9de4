namespace Amari;

/// <summary>Hyper-parameters of methods with a momentum, so that a step may go against the present gradient.</summary>
public abstract record MomentumOptions : GroupedOptions
{
    /// <inheritdoc cref="GroupedOptions(double, double)"/>
    protected MomentumOptions(double learningRate, double weightDecay = 0)
        : base(learningRate, weightDecay) { }

    /// <summary>Whether only the entries that agree in sign with the gradient move, lengthened by 1 / their share of the parameter
    /// (Liang et al. 2024, arXiv:2411.16085).</summary>
    public bool Cautious { get; init; }

    internal override bool IsCautious => Cautious;
}
