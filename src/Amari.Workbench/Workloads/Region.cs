using Amari.Native;

namespace Amari.Workloads;

/// <summary>The part of a <see cref="Box"/> where a <see cref="Condition"/> holds: the interior or some faces.</summary>
public sealed class Region
{
    private readonly IReadOnlyList<(int Axis, bool AtHigh)>? _faces; // null for all

    private Region(IReadOnlyList<(int Axis, bool AtHigh)>? faces) => _faces = faces;

    /// <summary>The whole box.</summary>
    public static Region Interior { get; } = new([]);

    /// <summary>All faces.</summary>
    public static Region Boundary { get; } = new(null);

    /// <summary>The face at the lower end of an axis, such as the initial time.</summary>
    /// <param name="axis">The position of the axis, from 0.</param>
    public static Region Low(int axis) => new([(Require.AtLeast(0, axis), false)]);

    /// <summary>The face at the upper end of an axis.</summary>
    /// <param name="axis">The position of the axis, from 0.</param>
    public static Region High(int axis) => new([(Require.AtLeast(0, axis), true)]);

    /// <summary>The faces at both ends of an axis.</summary>
    /// <param name="axis">The position of the axis, from 0.</param>
    public static Region Ends(int axis) => new([(Require.AtLeast(0, axis), false), (axis, true)]);

    internal bool IsInterior => _faces is { Count: 0 };

    /// <exception cref="ArgumentException">The box has no such axis.</exception>
    internal IReadOnlyList<(int Axis, bool AtHigh)> FacesOf(Box box)
    {
        if (_faces is null)
            return [.. Enumerable.Range(0, box.Axes.Count).SelectMany(a => ((int, bool)[])[(a, false), (a, true)])];
        foreach (var (axis, _) in _faces)
            if (axis >= box.Axes.Count)
                throw new ArgumentException($"The region is at the end of axis {axis}; the box has {box.Axes.Count}, counted from 0.");
        return _faces;
    }
}
