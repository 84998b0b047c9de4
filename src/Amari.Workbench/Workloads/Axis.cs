using Amari.Native;

namespace Amari.Workloads;

/// <summary>One coordinate of a <see cref="Box"/>.</summary>
/// <param name="Name">The name in figures, such as <c>x</c> or <c>t</c>.</param>
/// <param name="Low">The lower end.</param>
/// <param name="High">The upper end, above <paramref name="Low"/>; both are finite.</param>
public sealed record Axis(string Name, double Low, double High)
{
    /// <summary>The upper end.</summary>
    public double High { get; } =
        double.IsFinite(Low) && double.IsFinite(High) && High > Low
            ? High
            : throw new ArgumentException(
                FormattableString.Invariant($"The axis {Name} goes from {Low} to {High}; the ends must be finite and the second higher."),
                nameof(High)
            );

    /// <summary>The point at a share of the way from the lower to the upper end.</summary>
    internal double At(double share) => Low + share * (High - Low);

    /// <summary>Evenly spaced points, both ends included.</summary>
    internal double[] Points(int count) => [.. Enumerable.Range(0, Require.AtLeast(2, count)).Select(i => At(i / (count - 1.0)))];
}
