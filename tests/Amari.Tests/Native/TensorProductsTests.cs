using System.Runtime.InteropServices;
using Amari.Native;

namespace Amari.Tests.Native;

/// <summary>Products whose errors are exceptions: torch's own numbers.</summary>
public sealed class TensorProductsTests
{
    [Theory]
    [InlineData(new long[] { 3, 4 }, new long[] { 4, 5 })]
    [InlineData(new long[] { 2, 3, 4 }, new long[] { 2, 4, 5 })]
    [InlineData(new long[] { 2, 3, 4 }, new long[] { 4, 5 })]
    [InlineData(new long[] { 3, 4 }, new long[] { 2, 4, 5 })]
    [InlineData(new long[] { 2, 3, 4 }, new long[] { 1, 4, 5 })]
    [InlineData(new long[] { 6, 2, 3, 4 }, new long[] { 2, 4, 5 })]
    [InlineData(new long[] { 3, 4 }, new long[] { 4 })]
    public void They_are_those_of_matmul_bit_for_bit(long[] left, long[] right)
    {
        using var scope = NewDisposeScope();
        foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.Float64, ScalarType.BFloat16])
        {
            var (a, b) = (randn(left).to_type(type), randn(right).to_type(type));
            Assert.True(a.matmul(b).equal(a.MatrixProduct(b)).all().ToBoolean());
            if (right.Length < 2)
                continue;
            var turned = b.mT.contiguous().mT;
            Assert.True(a.matmul(turned).equal(a.MatrixProduct(turned)).all().ToBoolean());
        }
    }

    [Fact]
    public void What_does_not_fit_is_an_exception()
    {
        using var scope = NewDisposeScope();
        Assert.Throws<ExternalException>(() => ones(2, 3).MatrixProduct(ones(2, 3)));
        Assert.Throws<ExternalException>(() => ones(2, 2, 3).MatrixProduct(ones(2, 3)));
        var row = ones(1, 1).expand(1, 1L << 31); // takes no memory; the product would take 16 EiB
        Assert.Throws<ExternalException>(() => row.mT.MatrixProduct(row));
    }
}
