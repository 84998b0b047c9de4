using Amari.Jets;

namespace Amari.Workloads;

/// <summary>Burgers' equation: uₜ + u uₓ = ν uₓₓ with ν = 0.01/π, u(0, x) = -sin πx, u = 0 at the walls x = ±1. A steep front forms at
/// x = 0.</summary>
/// <remarks>Axis 0 is t, axis 1 is x. The reference solution is that of Cole and Hopf (Cole 1951),
/// <code>
/// u(t, x) = -∫ sin π(x - η) F(x - η) e^(-η²/4νt) dη / ∫ F(x - η) e^(-η²/4νt) dη,   F(y) = e^(-cos πy / 2πν)
/// </code>by the trapezoidal rule in η/√(4νt), which converges exponentially for these functions. The network has more parameters than
/// there are points, so points are resampled: with fixed ones the loss falls far below the error.</remarks>
public sealed class BurgersEquation : PdeWorkload
{
    private const double Viscosity = 0.01 / Math.PI;
    private const double Range = 15, // of η/√(4νt): the integrand is below 1e-50 of its maximum outside
        Spacing = 0.1;

    /// <inheritdoc/>
    public override string Name => "burgers";

    /// <inheritdoc/>
    public override string Equation => "uₜ + u uₓ = 0.01/π uₓₓ for t in [0, 1] and x in [-1, 1], u(0, x) = -sin πx, u = 0 at x = ±1";

    /// <inheritdoc/>
    public override Box Domain { get; } = new(new Axis("t", 0, 1), new Axis("x", -1, 1));

    /// <inheritdoc/>
    protected override PdeSettings Defaults => new() { Hidden = [32, 32], Resample = 100 };

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(60);

    /// <inheritdoc/>
    protected override double TargetError => 1e-2;

    /// <inheritdoc/>
    public override IReadOnlyList<Condition> Conditions =>
        [
            new("equation", Region.Interior, JetSpec.Gradient(2).With(1, 1), (u, _) => u.D(0) + u.Value * u.D(1) - Viscosity * u.D(1, 1)),
            new("initial", Region.Low(0), JetSpec.Value(2), (u, x) => u.Value + (Math.PI * x.narrow(1, 1, 1)).sin()),
            new("walls", Region.Ends(1), JetSpec.Value(2), (u, _) => u.Value),
        ];

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
}
