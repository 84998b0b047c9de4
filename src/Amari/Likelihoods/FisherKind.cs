namespace Amari;

/// <summary>Which gradients the output factor G is made of.</summary>
public enum FisherKind
{
    /// <summary>The Fisher itself, E over y ~ p(y|f) in closed form: C backward passes through the activations ("type-2"). Where an
    /// example has several terms, as with classes at
    /// every position, those of a pass have random signs, so that it is unbiased, if no longer without noise, where the network mixes
    /// positions (attention, recurrence). Outputs
    /// are then to be [n, r, C], not flattened.</summary>
    Exact,

    /// <summary>An unbiased estimate: labels drawn from the model, one backward pass through the activations each.</summary>
    MonteCarlo,

    /// <summary>An unbiased estimate: random signs times the root of the output's Fisher, one backward pass through the activations each
    /// (Martens, Sutskever and Swersky
    /// 2012, arXiv:1206.6464). Less noisy than Monte-Carlo where some labels are rare: they are never missed.</summary>
    CurvaturePropagation,

    /// <summary>The labels of the data, from the training loss's own backward pass; free, but not the Fisher far from the
    /// optimum.</summary>
    Empirical,

    /// <summary>None: G = I, gradient descent on each layer's outputs (FOOF, Benzing 2022, arXiv:2201.12250). Needs no likelihood. The
    /// damping is in the unit of A.</summary>
    ForwardOnly,
}
