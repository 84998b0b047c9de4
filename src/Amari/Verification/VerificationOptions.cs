using Amari.Native;

namespace Amari.Verification;

/// <summary>The size and the tolerances of <see cref="Verifier"/>'s checks.</summary>
public sealed record VerificationOptions
{
    /// <summary>The first so many examples of the inputs that have a target are used, ≥ 1.</summary>
    public int Examples
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 8;

    /// <summary>Random directions per product, and per parameter with more than 16 elements, ≥ 1.</summary>
    public int Directions
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 2;

    /// <summary>Coordinates that are also checked for the gradient of each such parameter, ≥ 0. A smaller parameter is checked in every
    /// coordinate.</summary>
    public int Coordinates
    {
        get;
        init => field = Require.AtLeast(0, value);
    } = 2;

    /// <summary>Maximum relative error against finite differences, > 0.</summary>
    public double DifferenceTolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-5;

    /// <summary>Maximum relative error against oracles that are exact up to rounding, > 0.</summary>
    public double Tolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-8;

    /// <summary>λ > 0 for K-FAC's inverse and step.</summary>
    public double Damping
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-3;

    /// <summary>Maximum number of elements of the dense Jacobian of all outputs as the oracle, ≥ 0. Above it, finite differences of the
    /// outputs are the oracle, and K-FAC is checked with the empirical Fisher only.</summary>
    public int MaxJacobian
    {
        get;
        init => field = Require.AtLeast(0, value);
    } = 20_000_000;

    /// <summary>Seed of the directions, coordinates and draws.</summary>
    public int Seed { get; init; }
}
