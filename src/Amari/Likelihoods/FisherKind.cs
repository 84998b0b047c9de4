namespace Amari;

/// <summary>The gradients from which the output factor G is computed.</summary>
public enum FisherKind
{
    /// <summary>The exact Fisher, E over y ~ p(y|f) in closed form: C backward passes through the activations ("type-2"). If an example has
    /// several terms, as with classes at every position, the terms of a pass get random signs. The estimate is then unbiased but noisy if
    /// the network mixes positions (attention, recurrence). Outputs must then be [n, r, C], not flattened.</summary>
    Exact,

    /// <summary>An unbiased estimate from labels drawn from the model, with one backward pass through the activations per draw.</summary>
    MonteCarlo,

    /// <summary>An unbiased estimate from random signs times the root of the output Fisher, with one backward pass through the activations
    /// per draw (Martens, Sutskever and Swersky 2012, arXiv:1206.6464). It is less noisy than Monte Carlo if some labels are rare: they
    /// always contribute.</summary>
    CurvaturePropagation,

    /// <summary>The labels of the data, from the backward pass of the training loss. Free, but not the Fisher far from the
    /// optimum.</summary>
    Empirical,

    /// <summary>No gradients: G = I, gradient descent on each layer's outputs (FOOF, Benzing 2022, arXiv:2201.12250). Needs no likelihood.
    /// The damping has the unit of A.</summary>
    ForwardOnly,
}
