namespace Amari.Curvature;

/// <summary>The rows of a Jacobian that come from n examples with K rows each: row m K + k is of example m and output k.</summary>
/// <param name="Examples">n.</param>
/// <param name="Outputs">K.</param>
/// <param name="Parts">The columns of each parameter that is not without effect.</param>
/// <param name="Positions">Where its n K rows stand in J; null if they follow those of the pass before.</param>
internal sealed record JacobianPass(long Examples, long Outputs, IReadOnlyList<ParameterRows> Parts, long[]? Positions = null)
{
    /// <summary>n K.</summary>
    public long Rows => Examples * Outputs;
}
