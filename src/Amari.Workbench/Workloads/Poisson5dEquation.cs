using Amari.Jets;

namespace Amari.Workloads;

/// <summary>Poisson's equation in five dimensions: -Δu = π² Σ cos πxᵢ on the unit cube, with the solution Σ cos πxᵢ, given on the
/// boundary.</summary>
/// <remarks>The problem and the network of Müller and Zeinhofer 2023, arXiv:2302.13163, and Dangel et al. 2024, arXiv:2405.15603.</remarks>
public sealed class Poisson5dEquation : PdeWorkload
{
    private const int Dimensions = 5;

    /// <inheritdoc/>
    public override string Name => "poisson-5d";

    /// <inheritdoc/>
    public override string Equation => "-Δu = π² Σ cos πxᵢ on the unit cube in 5 dimensions, u = Σ cos πxᵢ on its boundary";

    /// <inheritdoc/>
    public override Box Domain { get; } = Box.Unit(Dimensions);

    /// <inheritdoc/>
    protected override PdeSettings Defaults =>
        new()
        {
            Hidden = [64, 64, 48, 48],
            Points = 400,
            BoundaryPoints = 100,
            Resample = 1,
        };

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(60);

    /// <inheritdoc/>
    /// <remarks>More damping than the default: with fresh points a step should not fit those of a batch exactly. Chosen on this problem
    /// itself.</remarks>
    public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>
        {
            ["gauss-newton"] = new Dictionary<string, string> { ["Damping"] = "1e-5" },
        };

    /// <inheritdoc/>
    public override IReadOnlyList<Condition> Conditions =>
        [
            new("equation", Region.Interior, JetSpec.Laplacian(Dimensions), (u, x) => u.Laplacian + Math.PI * Math.PI * Solution(x)),
            new("boundary", Region.Boundary, JetSpec.Value(Dimensions), (u, x) => u.Value - Solution(x)),
        ];

    /// <inheritdoc/>
    public override Tensor Solution(Tensor points)
    {
        using var scope = NewDisposeScope();
        return (Math.PI * points).cos().sum([1L], keepdim: true).MoveToOuterDisposeScope();
    }
}
