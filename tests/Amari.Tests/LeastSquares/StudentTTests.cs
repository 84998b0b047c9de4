using Amari.LeastSquares;

namespace Amari.Tests.LeastSquares;

/// <summary>Quantiles of Student's distribution against published tables.</summary>
public sealed class StudentTTests
{
    [Theory]
    [InlineData(0.95, 1, 12.7062047362)]
    [InlineData(0.95, 2, 4.3026527297)]
    [InlineData(0.95, 3, 3.1824463053)]
    [InlineData(0.99, 5, 4.0321429836)]
    [InlineData(0.95, 10, 2.2281388520)]
    [InlineData(0.5, 10, 0.6998120613)]
    [InlineData(0.95, 30, 2.0422724563)]
    public void Quantiles_are_those_of_tables(double level, long freedom, double expected) =>
        Assert.Equal(1, StudentT.Quantile(level, freedom) / expected, 1e-8);

    [Theory, InlineData(0.95, 1.95996398454005), InlineData(0.682689492137086, 1), InlineData(0.999999, 4.8916384757)]
    public void Many_degrees_of_freedom_give_the_normal_distribution(double level, double expected) =>
        Assert.Equal(expected, StudentT.Quantile(level, long.MaxValue), 1e-9);

    /// <summary>Where the sums end and the expansion begins.</summary>
    [Theory, InlineData(0.5), InlineData(0.95), InlineData(0.9999)]
    public void Sums_and_expansion_agree(double level) =>
        Assert.Equal(StudentT.Quantile(level, 199_998), StudentT.Quantile(level, 200_002), 1e-8);
}
