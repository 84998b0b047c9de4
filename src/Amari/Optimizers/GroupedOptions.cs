using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Options of all first-order methods. The base class implements them, so they combine with all others.</summary>
public abstract record GroupedOptions : OptimizerOptions
{
    /// <param name="learningRate">The optimizer's own default learning rate.</param>
    /// <param name="weightDecay">Its default weight decay.</param>
    protected GroupedOptions(double learningRate, double weightDecay = 0)
        : base(learningRate) => WeightDecay = weightDecay;

    /// <summary>λ ≥ 0: weight decay. It is decoupled, and so multiplied by η, unless the method says otherwise.</summary>
    public double WeightDecay
    {
        get;
        init => field = Require.NonNegative(value);
    }

    /// <summary>Whether entries that the step enlarges do not decay (Chen et al. 2025, arXiv:2510.12402), so that the decay never works
    /// against the step. Not for a decay that is part of the gradient.</summary>
    public bool CautiousDecay { get; init; }

    /// <summary>Whether to maximise the objective, as with PyTorch's <c>maximize</c>: the step is computed from the negated gradient, and
    /// from the negated curvature if that is measured. Weight decay still shrinks the weights.</summary>
    public bool Maximize { get; init; }

    /// <summary>How the moments are stored: the running means with the shape of the parameter. The rest of the state stays in full
    /// precision.</summary>
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
