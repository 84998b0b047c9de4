namespace Amari;

/// <summary>Hyper-parameters of methods that know of the objective its gradient alone.</summary>
public abstract record FirstOrderOptions : OptimizerOptions
{
    /// <inheritdoc cref="OptimizerOptions(double)"/>
    protected FirstOrderOptions(double learningRate)
        : base(learningRate) { }

    /// <summary>Whether the objective is to rise, as with PyTorch's <c>maximize</c>: the step is that of the negated gradient. Weight decay
    /// shrinks the weights all the same.</summary>
    public bool Maximize { get; init; }
}
