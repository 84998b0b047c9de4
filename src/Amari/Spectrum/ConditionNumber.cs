using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>κ = λ_max / λ_min of a positive definite operator, by <see cref="Lanczos"/> at both ends.</summary>
public static class ConditionNumber
{
    /// <summary>κ(C + δ I), with an error bound from the residuals at both ends. Infinite if the smallest eigenvalue is not above its
    /// residual: C + δ I may then be singular or indefinite. NaN if a product was NaN.</summary>
    /// <param name="op">C.</param>
    /// <param name="damping">δ.</param>
    /// <param name="options">Options of Lanczos. One pair at each end is used.</param>
    public static Estimate Of(LinearOperator op, double damping = 0, LanczosOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(op);
        using var pairs = Lanczos.Run(
            op,
            (options ?? new() { Tolerance = 1e-8 }) with
            {
                Count = 1,
                End = SpectrumEnd.Both,
                Vectors = false,
            }
        );
        return pairs.Values.Count == 0
            ? new(double.NaN, double.NaN)
            : FromEnds(new(pairs.Values[0], pairs.Residuals[0]), new(pairs.Values[^1], pairs.Residuals[^1]), damping);
    }

    /// <summary>κ(C + δ I) from its extreme eigenvalues and their errors.</summary>
    public static Estimate FromEnds(Estimate largest, Estimate smallest, double damping = 0)
    {
        double high = largest.Value + damping,
            low = smallest.Value + damping;
        if (!(low > smallest.StandardError))
            return new(double.PositiveInfinity, double.NaN);
        double kappa = high / low;
        return new(kappa, kappa * (largest.StandardError / high + smallest.StandardError / low));
    }
}
