using Amari.Native;

namespace Amari.Workloads;

/// <summary>The domain of an equation: a box with named axes. Time is an axis like others.</summary>
/// <remarks>Points are quasi-random: an additive sequence (Roberts 2018) with a random shift by the seed. They are evenly spread for any
/// number of points and axes, and different seeds give different points.</remarks>
/// <param name="Axes">At least one.</param>
public sealed record Box(params IReadOnlyList<Axis> Axes)
{
    /// <summary>The axes, at least one.</summary>
    public IReadOnlyList<Axis> Axes { get; } =
        Axes is { Count: > 0 } ? Axes : throw new ArgumentException("A box needs at least one axis.", nameof(Axes));

    /// <summary>The unit cube of some dimensions, with the axes x, y or x₁, x₂, ..</summary>
    /// <param name="dimensions">≥ 1.</param>
    public static Box Unit(int dimensions) =>
        new([
            .. Enumerable
                .Range(1, Require.AtLeast(1, dimensions))
                .Select(i => new Axis(dimensions > 3 ? $"x{i}" : "xyz"[(i - 1)..i], 0, 1)),
        ]);

    /// <summary>Points of a region: [count, axes], float64; the caller owns them.</summary>
    /// <param name="region">The part of the box. Its faces take turns.</param>
    /// <param name="count">≥ 1.</param>
    /// <param name="seed">Seed of the shift.</param>
    public Tensor Points(Region region, int count, long seed)
    {
        ArgumentNullException.ThrowIfNull(region);
        Require.AtLeast(1, count);
        var faces = region.FacesOf(this);
        int all = Axes.Count,
            free = faces.Count > 0 ? all - 1 : all;
        double[] steps = Steps(free);
        var random = new Random(unchecked((int)HashSeed.Of(seed, all, free)));
        double[] shifts = [.. steps.Select(_ => random.NextDouble())];
        var points = new double[count, all];
        for (int i = 0; i < count; i++)
        for (int axis = 0, k = 0; axis < all; axis++)
            points[i, axis] =
                faces.Count > 0 && faces[i % faces.Count] is var face && face.Axis == axis
                    ? Axes[axis].At(face.AtHigh ? 1 : 0)
                    : Axes[axis].At((shifts[k] + i * steps[k++]) % 1);
        return tensor(points);
    }

    /// <summary>All points of a regular grid, the last axis fastest: [countᵃˣᵉˢ, axes], float64; the caller owns them.</summary>
    internal Tensor Grid(int count)
    {
        using var scope = NewDisposeScope();
        var grid = meshgrid([.. Axes.Select(a => tensor(a.Points(count)))], "ij");
        return stack([.. grid.Select(g => g.flatten())], 1).MoveToOuterDisposeScope();
    }

    /// <summary>φ⁻¹, φ⁻², .. with φⁿ⁺¹ = φ + 1.</summary>
    private static double[] Steps(int dimensions)
    {
        double root = 2;
        for (int k = 0; k < 64; k++)
            root = Math.Pow(1 + root, 1.0 / (dimensions + 1));
        return [.. Enumerable.Range(1, dimensions).Select(k => Math.Pow(root, -k))];
    }
}
