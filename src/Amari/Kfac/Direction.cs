using Amari.Kernels;

namespace Amari;

/// <summary>Where a block goes.</summary>
/// <param name="block">The block.</param>
/// <param name="rate">Of its group.</param>
/// <param name="damping">λ of its group.</param>
/// <param name="v">Its gradient.</param>
/// <param name="u">F⁻¹ V.</param>
/// <param name="momentum">b before the step; null if there is none.</param>
/// <param name="products">Of V, U and, where the rule asks for it, b.</param>
internal sealed class Direction(
    CurvatureBlock block,
    GroupRate rate,
    double damping,
    Tensor v,
    Tensor u,
    Tensor? momentum,
    InnerProducts products
)
{
    /// <summary>The block.</summary>
    public CurvatureBlock Block => block;

    /// <summary>Of its group.</summary>
    public GroupRate Rate => rate;

    /// <summary>λ of its group, in the unit of the options.</summary>
    public double Damping => damping;

    /// <summary>V, the gradient.</summary>
    public Tensor V => v;

    /// <summary>U = F⁻¹ V.</summary>
    public Tensor U => u;

    /// <summary>b before the step; null if there is none.</summary>
    public Tensor? Momentum => momentum;

    /// <summary>Of V, U and, where the rule asks for it, b.</summary>
    public InnerProducts Products => products;
}
