using Amari.Jets;

namespace Amari.Workloads;

/// <summary>The Monge-Ampère equation on the unit square: det D²u = (1 + |x|²) exp |x|², with the convex solution exp(½ |x|²), given on the
/// boundary.</summary>
/// <remarks>The equation has a concave solution, too, and a network with random weights often goes to neither. So u = ½ |x|² + network: D²u
/// begins near the identity, which is convex.</remarks>
public sealed class MongeAmpereEquation : PdeWorkload
{
    /// <inheritdoc/>
    public override string Name => "monge-ampere";

    /// <inheritdoc/>
    public override string Equation =>
        "det D²u = (1 + |x|²) exp |x|² on the unit square, u = exp(½ |x|²) on its boundary, u = ½ |x|² + network";

    /// <inheritdoc/>
    public override Box Domain { get; } = Box.Unit(2);

    /// <inheritdoc/>
    protected override PdeSettings Defaults => new() { Hidden = [32, 32] };

    /// <inheritdoc/>
    public override IReadOnlyList<Condition> Conditions =>
        [
            new("equation", Region.Interior, JetSpec.Hessian(2), Determinant),
            new("boundary", Region.Boundary, JetSpec.Value(2), (u, x) => u.Value - Solution(x)),
        ];

    /// <inheritdoc/>
    protected override Func<Jet, Jet, Jet> Ansatz => (x, network) => 0.5 * (x * x).Sum() + network;

    /// <inheritdoc/>
    public override Tensor Solution(Tensor points)
    {
        using var scope = NewDisposeScope();
        return HalfSquare(points).exp().MoveToOuterDisposeScope();
    }

    private static Tensor Determinant(Jet u, Tensor points)
    {
        var square = 2 * HalfSquare(points);
        return u.D(0, 0) * u.D(1, 1) - u.D(0, 1).square() - (1 + square) * square.exp();
    }

    private static Tensor HalfSquare(Tensor points) => 0.5 * points.square().sum([1L], keepdim: true);
}
