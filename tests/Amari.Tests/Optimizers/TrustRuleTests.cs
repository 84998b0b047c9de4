using Amari.Optimizers;

namespace Amari.Tests.Optimizers;

/// <summary>The rule for damping and trust radius at and around its thresholds.</summary>
public sealed class TrustRuleTests
{
    [Theory]
    [InlineData(double.NegativeInfinity, 2.0)]
    [InlineData(-1.0, 2.0)]
    [InlineData(0.2499, 2.0)]
    [InlineData(0.25, null)]
    [InlineData(0.75, null)]
    [InlineData(0.7501, 0.5)]
    [InlineData(1.0, 0.5)]
    [InlineData(double.NaN, 2.0)]
    [InlineData(null, 2.0)]
    public void Damping_rises_below_a_quarter_and_falls_above_three(double? ratio, double? expected) =>
        Assert.Equal(expected, TrustRule.Next(ratio, poor: 2, good: 0.5));

    [Theory]
    [InlineData(1.0, 0.9, false, 0.5)]
    [InlineData(1.0, 0.1, false, 2.0)]
    [InlineData(1.0, 0.5, false, 1.0)]
    [InlineData(1e-3, 0.9, false, 1e-3)] // the least
    [InlineData(1e15, 0.1, false, 70368744177664.0)] // the most: 2⁴⁶ in float32
    [InlineData(0.5, 0.1, true, 0.5)] // nothing is known
    [InlineData(3.0, 0.1, true, 1.5)] // and it is above the first
    [InlineData(1.5, null, true, 1.0)]
    public void Damping_has_bounds_and_does_not_follow_rounding(double now, double? ratio, bool hidden, double expected) =>
        Assert.Equal(expected, TrustRule.Damping(now, ratio, 2, first: 1, least: 1e-3, ScalarType.Float32, hidden));

    [Theory]
    [InlineData(1.0, 0.9, false, 4.0)]
    [InlineData(1.0, 0.1, false, 0.1)]
    [InlineData(1.0, 0.1, true, 1.0)]
    [InlineData(0.5, 0.1, true, 1.0)]
    [InlineData(0.1, 0.9, true, 0.2)]
    public void Radius_does_not_follow_rounding(double now, double? ratio, bool hidden, double expected) =>
        Assert.Equal(expected, TrustRule.Radius(now, ratio, poor: 0.1 * now, good: 4 * now, first: 1, ScalarType.Float32, hidden));

    [Fact]
    public void Bounds_hold_a_first_value_beyond_them()
    {
        Assert.Equal(1e-5, TrustRule.Within(1e-9, first: 1e-5, least: 1e-3, ScalarType.Float32));
        Assert.Equal(Math.Pow(2, 46) * 8, TrustRule.Within(1e100, first: 8, least: 1e-3, ScalarType.Float32));
        Assert.Equal(Math.Pow(2, -46) * 8, TrustRule.Radius(1e-100, first: 8, ScalarType.Float32));
    }
}
