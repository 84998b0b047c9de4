using Amari.Native;
using Amari.Spectrum;

namespace Amari.Tests.Spectrum;

/// <summary>Outliers that were planted above bulks of several shapes.</summary>
public class OutliersTests
{
    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(5)]
    [InlineData(9)]
    public void Planted_ones_are_counted(int planted)
    {
        double[] tail = [.. Enumerable.Range(planted + 1, 30 - planted).Select(i => 3 * Math.Pow(i, -0.8))];
        double[] spikes = [.. Enumerable.Range(1, planted).Select(i => 3 * Math.Pow(i, -0.8) * (2 + 0.5 * (planted - i)))];
        var found = Outliers.Of([.. spikes, .. tail]);
        Assert.Equal((planted, true), (found.Count, found.IsConclusive));
        Assert.Equal(0.8, found.Exponent, 1e-9);
        Assert.Equal(3, found.Scale, 1e-9);
        Assert.Equal(tail[^1], found.Tail(30), 1e-9);
    }

    [Fact]
    public void A_random_matrix_with_planted_directions_shows_them_alone()
    {
        // Wigner's semicircle ends at 2; a planted direction of strength θ > 1 comes out at θ + 1/θ (Baik, Ben Arous, Péché).
        foreach (int planted in (int[])[0, 3, 7])
        {
            using var scope = NewDisposeScope();
            using var generator = new Generator(8);
            const int D = 300;
            var g = randn(D, D, dtype: ScalarType.Float64, generator: generator);
            var c = (g + g.T) / Math.Sqrt(2.0 * D);
            for (int i = 0; i < planted; i++)
                c[i, i] = c[i, i] + 3 + i;
            var (values, _) = linalg.eigh(c);
            Assert.Equal(planted, Outliers.Of([.. values.Elements<double>().Reverse().Take(30)]).Count);
        }
    }

    [Fact]
    public void The_first_need_not_be_above_a_steep_tail()
    {
        double[] tail = [.. Enumerable.Range(7, 24).Select(i => 100 * Math.Pow(i, -1.5))];
        Assert.Equal(6, Outliers.Of([70, 40, 35, 30, 26, 20, .. tail]).Count);
        Assert.Equal(0, Outliers.Of([.. Enumerable.Range(0, 30).Select(i => Math.Exp(-0.2 * i))]).Count);
    }

    [Fact]
    public void Too_few_eigenvalues_are_reported()
    {
        Assert.Equal((0, false), Outliers.Of([1]) is var one ? (one.Count, one.IsConclusive) : default);
        Assert.Equal((0, false), Outliers.Of([0, -1, -2, -3, -4, -5]) is var none ? (none.Count, none.IsConclusive) : default);
        Assert.False(Outliers.Of([9, 8, 7, 6, 1, 0.9, 0.8, 0.75]).IsConclusive);
        double[] spikes = [.. Enumerable.Range(0, 10).Select(i => 100.0 - i), .. Enumerable.Range(0, 10).Select(i => 1 - 0.01 * i)];
        Assert.False(Outliers.Of(spikes).IsConclusive);
    }
}
