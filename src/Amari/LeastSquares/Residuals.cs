using Amari.Curvature;
using Amari.Distributed;

namespace Amari.LeastSquares;

/// <summary>The residuals r(w) : [n] of a least-squares problem: the loss is L(w) = ½ ‖r(w)‖².</summary>
public abstract class Residuals
{
    /// <summary>w.</summary>
    public abstract ParameterLayout Parameters { get; }

    /// <summary>The ranks over which the residuals are divided: each has rows of its own, and ‖r‖² is the sum over all ranks. All ranks
    /// must make the same calls.</summary>
    internal virtual Communicator Ranks => SingleProcess.Instance;

    /// <summary>r(w) : [n], without a graph; the caller owns it. It may have values that are not finite; it does not throw for
    /// them.</summary>
    public abstract Tensor Values();

    /// <summary>r and its Jacobian J = ∂r/∂w at the present w; the caller disposes it. It stays valid when w changes.</summary>
    public abstract Linearization Linearize();

    /// <summary>r'' = d²/dt² r(w + t v) at t = 0 : [n], the second derivative along v; the caller owns it. Here by one more evaluation, as
    /// Transtrum and Sethna 2012, arXiv:1201.5885, do: r'' ≈ 2/h ((r(w + h v) - r) / h - J v) with h = 0.1. Override it where it is known
    /// exactly.</summary>
    /// <param name="at">The linearization at the present w.</param>
    /// <param name="v">[d]; not changed. The parameters are again w afterwards.</param>
    public virtual Tensor SecondDerivative(Linearization at, Tensor v)
    {
        ArgumentNullException.ThrowIfNull(at);
        const double h = 0.1;
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var start = Parameters.Read();
        try
        {
            Parameters.Write(start.add(v, alpha: h));
            return ValuesOf(at).sub(at.R).div_(h).sub_(at.Apply(v)).mul_(2 / h).MoveToOuterDisposeScope();
        }
        finally
        {
            Parameters.Write(start);
        }
    }

    /// <summary>The error of ‖r‖ by rounding beyond that of its last places: residuals are differences of numbers that may be far larger
    /// than they. 0 if unknown.</summary>
    /// <param name="size">|D w| with the column norms D of J: w itself is known to its last place.</param>
    internal virtual double RoundingOfNorm(double size) => 0;

    /// <summary><see cref="Values"/>, as many as a linearization has.</summary>
    /// <exception cref="InvalidOperationException">There are more, or fewer.</exception>
    internal Tensor ValuesOf(Linearization at)
    {
        var values = Values();
        if (values.dim() == 1 && values.shape[0] == at.Rows)
            return values;
        string shape = string.Join(", ", values.shape);
        values.Dispose();
        throw new InvalidOperationException(
            $"The residuals are [{shape}] now and were [{at.Rows}] at the last linearization: there must be as many at all parameters."
        );
    }
}
