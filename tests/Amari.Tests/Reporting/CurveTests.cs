using Amari.Reporting;

namespace Amari.Tests.Reporting;

/// <summary>What the figures draw.</summary>
public sealed class CurveTests
{
    [Fact]
    public void Median_curve_ends_with_the_shortest_run_and_counts_divergence_as_infinite()
    {
        Curve a = new([0, 2], [4, 2], false),
            b = new([0, 4], [4, 0], false),
            c = new([0, 1], [8, 8], true);
        var two = Curve.Median([a, b]);
        Assert.Equal([0, 2], two.X);
        Assert.Equal([4, 2], two.Y);
        var three = Curve.Median([a, b with { Y = [4, 2] }, c]);
        Assert.Equal([0, 1, 2], three.X);
        Assert.Equal([4, 3.5, 3], three.Y);
        Assert.Equal([0.0, 1], Curve.Median([a, c]).X); // an even number: past the divergence there is no median
    }
}
