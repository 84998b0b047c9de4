using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Hyper-parameters that every method with a group loop has, and that its base sees to: they combine with all others.</summary>
public abstract record GroupedOptions : OptimizerOptions
{
    /// <param name="learningRate">The optimizer's own default learning rate.</param>
    /// <param name="weightDecay">Its default weight decay.</param>
    protected GroupedOptions(double learningRate, double weightDecay = 0)
        : base(learningRate) => WeightDecay = weightDecay;

    /// <summary>λ ≥ 0: weight decay, decoupled and so multiplied by η, where the method does not say otherwise.</summary>
    public double WeightDecay
    {
        get;
        init => field = Require.NonNegative(value);
    }

    /// <summary>Whether only the entries decay that the step shrinks, or leaves (Chen et al. 2025, arXiv:2510.12402): the decay never works
    /// against the step. Not for a decay that is a part of the gradient.</summary>
    public bool CautiousDecay { get; init; }

    /// <summary>Whether the objective is to rise, as with PyTorch's <c>maximize</c>: the step is that of the negated gradient, and of the
    /// negated curvature where that is measured. Weight decay shrinks the weights all the same.</summary>
    public bool Maximize { get; init; }

    /// <summary>How the moments are kept: the running means shaped as the parameter. What else a state has is kept in full.</summary>
    [ShapesState]
    public StateFormat StateFormat
    {
        get;
        init => field = Require.Defined(value);
    }

    /// <summary>Whether entries that go against the gradient stay.</summary>
    internal virtual bool IsCautious => false;

    /// <summary>Whether the decay is by itself, and no part of the gradient or of the direction.</summary>
    internal virtual bool IsDecayDecoupled => true;

    /// <summary>Whether the decay can be cautious: it is no part of the gradient.</summary>
    internal virtual bool CanDecayCautiously => IsDecayDecoupled;

    /// <inheritdoc/>
    internal override void Validate()
    {
        if (CautiousDecay && !CanDecayCautiously)
            throw new ArgumentException(
                "CautiousDecay is True; it must be False where the decay is a part of the gradient, as Adam's is (AdamW's is not), and "
                    + "Sgd's without DecoupledDecay."
            );
    }
}
