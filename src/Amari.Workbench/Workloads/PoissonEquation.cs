using Amari.Jets;

namespace Amari.Workloads;

/// <summary>Poisson's equation on the unit square: -Δu = f, u = 0 on the boundary, with the solution sin πx sin πy.</summary>
public sealed class PoissonEquation : PdeWorkload
{
    /// <inheritdoc/>
    public override string Name => "poisson";

    /// <inheritdoc/>
    public override string Equation => "-Δu = 2π² sin πx sin πy on the unit square, u = 0 on its boundary";

    /// <inheritdoc/>
    public override Box Domain { get; } = Box.Unit(2);

    /// <inheritdoc/>
    public override IReadOnlyList<Condition> Conditions =>
        [
            new("equation", Region.Interior, JetSpec.Laplacian(2), (u, x) => u.Laplacian + 2 * Math.PI * Math.PI * Solution(x)),
            new("boundary", Region.Boundary, JetSpec.Value(2), (u, _) => u.Value),
        ];

    /// <inheritdoc/>
    public override Tensor Solution(Tensor points)
    {
        using var scope = NewDisposeScope();
        return (Math.PI * points).sin().prod(1, keepdim: true).MoveToOuterDisposeScope();
    }
}
