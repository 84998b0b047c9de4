using Amari.Native;

namespace Amari.Verification;

/// <summary>What <see cref="Verifier"/> checks, and how strictly.</summary>
public sealed record VerificationOptions
{
    /// <summary>The first so many examples of the inputs that have a target are used, ≥ 1.</summary>
    public int Examples
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 8;

    /// <summary>Random directions per product, and per parameter of more than 16 numbers, ≥ 1.</summary>
    public int Directions
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 2;

    /// <summary>Coordinates tried beside them for the gradient of each such parameter, ≥ 0. A smaller parameter is checked in every
    /// coordinate.</summary>
    public int Coordinates
    {
        get;
        init => field = Require.AtLeast(0, value);
    } = 2;

    /// <summary>Largest relative error against finite differences, > 0.</summary>
    public double DifferenceTolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-5;

    /// <summary>Largest relative error against what is exact up to rounding, > 0.</summary>
    public double Tolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-8;

    /// <summary>λ > 0 of K-FAC's inverse and step.</summary>
    public double Damping
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-3;

    /// <summary>The dense Jacobian of all outputs is the oracle up to so many numbers, ≥ 0; beyond, finite differences of the outputs are,
    /// and K-FAC is checked with the empirical Fisher alone.</summary>
    public int MaxJacobian
    {
        get;
        init => field = Require.AtLeast(0, value);
    } = 20_000_000;

    /// <summary>Seed of directions, coordinates and draws.</summary>
    public int Seed { get; init; }
}
