using Amari.Jets;

namespace Amari.Workloads;

/// <summary>The heat equation in one dimension and time: uₜ = ¼ uₓₓ, u(0, x) = sin πx, u = 0 at the ends, with the solution
/// exp(-π²t/4) sin πx.</summary>
/// <remarks>Axis 0 is t, axis 1 is x.</remarks>
public sealed class HeatEquation : PdeWorkload
{
    private const double Diffusivity = 0.25;

    /// <inheritdoc/>
    public override string Name => "heat";

    /// <inheritdoc/>
    public override string Equation => "uₜ = ¼ uₓₓ for t and x in [0, 1], u(0, x) = sin πx, u = 0 at x = 0 and 1";

    /// <inheritdoc/>
    public override Box Domain { get; } = new(new Axis("t", 0, 1), new Axis("x", 0, 1));

    /// <inheritdoc/>
    protected override PdeSettings Defaults => new() { Hidden = [32, 32] };

    /// <inheritdoc/>
    public override IReadOnlyList<Condition> Conditions =>
        [
            new("equation", Region.Interior, JetSpec.Value(2).With(0).With(1, 1), (u, _) => u.D(0) - Diffusivity * u.D(1, 1)),
            new("initial", Region.Low(0), JetSpec.Value(2), (u, x) => u.Value - Solution(x)),
            new("walls", Region.Ends(1), JetSpec.Value(2), (u, _) => u.Value),
        ];

    /// <inheritdoc/>
    public override Tensor Solution(Tensor points)
    {
        using var scope = NewDisposeScope();
        Tensor t = points.narrow(1, 0, 1),
            x = points.narrow(1, 1, 1);
        return ((-Math.PI * Math.PI * Diffusivity * t).exp() * (Math.PI * x).sin()).MoveToOuterDisposeScope();
    }
}
