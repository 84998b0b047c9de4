using Amari.Native;
using Amari.Spectrum;

namespace Amari.Tests.Spectrum;

/// <summary>Products of long vectors against sums in float64.</summary>
public sealed class TallProductTests
{
    [Fact]
    public void Long_float32_sums_keep_their_digits()
    {
        using var scope = NewDisposeScope();
        Tensor a = full([2, 3_000_001], 0.1f),
            b = full([3, 3_000_001], 0.3f);
        double exact = 3_000_001 * (double)0.1f * 0.3f;
        double[] products = TallProduct.Of(a, b).Elements<double>();
        Assert.Equal(6, products.Length);
        Assert.All(products, p => Assert.Equal(1, p / exact, 2e-5));
    }

    [Theory]
    [InlineData(5), InlineData(TallProduct.Piece), InlineData(TallProduct.Piece + 1)]
    public void Entries_are_those_of_the_whole_product(long d)
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        Tensor a = randn(2, d, dtype: ScalarType.Float64),
            b = randn(4, d, dtype: ScalarType.Float64);
        Assert.Equal(0, (TallProduct.Of(a, b) - a.mm(b.T)).abs().max().ToDouble(), 1e-10);
    }
}
