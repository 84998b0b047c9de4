using Amari.Jets;

namespace Amari.Workloads;

/// <summary>Burgers' equation: uₜ + u uₓ = ν uₓₓ with ν = 0.01/π, u(0, x) = -sin πx, u = 0 at the walls x = ±1. A front of a width of 0.01
/// forms at x = 0.</summary>
/// <remarks>Axis 0 is t, axis 1 is x. The reference solution is that of Cole and Hopf (Cole 1951),
/// <code>
/// u(t, x) = -∫ sin π(x - η) F(x - η) e^(-η²/4νt) dη / ∫ F(x - η) e^(-η²/4νt) dη,   F(y) = e^(-cos πy / 2πν)
/// </code>by the trapezoidal rule in η/√(4νt), which converges exponentially for these functions.
/// <para>u = -sin πx + t (1 - x²) network satisfies the initial and the boundary conditions exactly. Evenly spread points miss the front,
/// and a network then satisfies the equation at all of them without being near the solution. So points have the density 1/√(x² + δ²), δ =
/// 0.02, and residuals the weight √(x² + δ²): the loss is the mean of r² over the domain as before. For the same reason points are
/// resampled, and are three times as many as the weights. The network, the points and δ were chosen on this problem itself, with
/// Levenberg-Marquardt, by the error against the solution on other seeds than those of the results.</para></remarks>
public sealed class BurgersEquation : PdeWorkload
{
    private const double Viscosity = 0.01 / Math.PI;
    private const double Range = 15, // of η/√(4νt): the integrand is below 1e-50 of its maximum outside
        Spacing = 0.1;
    private const double Width = 0.02; // δ, of the part of x in which the points are as dense as at the front

    /// <inheritdoc/>
    public override string Name => "burgers";

    /// <inheritdoc/>
    public override string Equation => "uₜ + u uₓ = 0.01/π uₓₓ for t in [0, 1] and x in [-1, 1], u = -sin πx + t (1 - x²) network";

    /// <inheritdoc/>
    public override Box Domain { get; } = new(new Axis("t", 0, 1), new Axis("x", -1, 1));

    /// <inheritdoc/>
    protected override PdeSettings Defaults =>
        new()
        {
            Hidden = [20, 20, 20],
            Points = 3000,
            BoundaryPoints = 0,
            Resample = 50,
        };

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(60);

    /// <inheritdoc/>
    protected override double TargetError => 1e-2;

    /// <inheritdoc/>
    public override IReadOnlyList<Condition> Conditions =>
        [
            new(
                "equation",
                Region.Interior,
                JetSpec.Gradient(2).With(1, 1),
                (u, points) => InverseDensity(points).sqrt() * (u.D(0) + u.Value * u.D(1) - Viscosity * u.D(1, 1))
            )
            {
                Placement = TowardsFront,
            },
        ];

    /// <inheritdoc/>
    protected override Func<Jet, Jet, Jet> Ansatz => (x, network) => Initial(x[1]) + x[0] * (-1 * (x[1] * x[1]) + 1) * network;

    /// <inheritdoc/>
    public override Tensor Solution(Tensor points)
    {
        using var scope = NewDisposeScope();
        Tensor t = points.narrow(1, 0, 1),
            x = points.narrow(1, 1, 1);
        var nodes = arange(-Range, Range + Spacing / 2, Spacing, dtype: ScalarType.Float64).unsqueeze(0);
        var angle = Math.PI * (x - (4 * Viscosity * t).sqrt() * nodes); // [n, nodes]
        var weights = (-nodes.square() - angle.cos() / (2 * Math.PI * Viscosity)).softmax(1);
        return (-(weights * angle.sin()).sum([1L], keepdim: true)).MoveToOuterDisposeScope();
    }

    private static Jet Initial(Jet x) =>
        x.Map(z =>
        {
            var (sin, cos) = ((Math.PI * z).sin(), (Math.PI * z).cos());
            return (-sin, -Math.PI * cos, Math.PI * Math.PI * sin);
        });

    private static Tensor TowardsFront(Tensor points)
    {
        using var scope = NewDisposeScope();
        var x = points.narrow(1, 1, 1);
        return cat([points.narrow(1, 0, 1), (x * Math.Asinh(1 / Width)).sinh() * Width], 1).MoveToOuterDisposeScope();
    }

    private static Tensor InverseDensity(Tensor points) => points.narrow(1, 1, 1).square().add(Width * Width).sqrt();
}
