using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>Sums of products over rows.</summary>
public sealed class MeasurementTests() : KfacTest(51)
{
    [Fact]
    public void Bfloat16_sums_of_rows_far_from_zero_lose_only_of_their_spread()
    {
        var rows = 100 + randn(64, 20);
        var what = new Measurement(true, true, WeightSharing.Expand, false, false, MatmulPrecision.BFloat16);
        var (exact, mean) = (rows.T.mm(rows), rows.mean([0], keepdim: true));
        var spread = exact - 64 * mean.T.mm(mean);
        Assert.InRange((what.Gram(rows) - exact).norm().ToDouble(), 1e-9, 0.01 * spread.norm().ToDouble());
    }

    /// <summary>Many rows of many columns come in panels up to the diagonal.</summary>
    [Theory, InlineData(512, 300), InlineData(513, 257), InlineData(511, 300), InlineData(700, 20)]
    public void Gram_matrices_are_the_sums_over_rows_and_symmetric(long count, long n)
    {
        var what = new Measurement(true, true, WeightSharing.Expand, false);
        var rows = randn([2, count, n], dtype: ScalarType.Float64);
        var exact = einsum("gri,grj->gij", rows, rows);
        var gram = what.Gram(rows);
        Assert.InRange(Dense.RelativeError(gram, exact), 0, 1e-13);
        Assert.InRange(Dense.RelativeError(what.Gram(rows[0].to_type(ScalarType.Float32)).to_type(ScalarType.Float64), exact[0]), 0, 1e-6);
        Assert.True(gram.eq(what.Gram(rows)).all().ToBoolean());
        Assert.InRange((gram - gram.mT).abs().max().ToDouble(), 0, 1e-12);
    }
}
