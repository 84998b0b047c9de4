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
}
