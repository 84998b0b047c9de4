using Amari.Curvature;
using Amari.Distributed;

namespace Amari.LeastSquares;

/// <summary>The residuals r(w) : [n] of a least-squares problem: the loss is L(w) = ½ ‖r(w)‖².</summary>
public abstract class Residuals
{
    /// <summary>w.</summary>
    public abstract ParameterLayout Parameters { get; }

    /// <summary>The ranks over which the residuals are divided: each has rows of its own, and ‖r‖² is the sum over all ranks. All ranks must
    /// make the same calls.</summary>
    internal virtual Communicator Ranks => SingleProcess.Instance;

    /// <summary>r(w) : [n], without a graph; the caller owns it. It may have values that are not finite; it does not throw for
    /// them.</summary>
    public abstract Tensor Values();

    /// <summary>r and its Jacobian J = ∂r/∂w at the present w; the caller disposes it. It stays valid when w changes.</summary>
    public abstract Linearization Linearize();
}
