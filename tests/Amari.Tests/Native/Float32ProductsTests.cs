using Amari.Native;

namespace Amari.Tests.Native;

/// <summary>The switch to oneDNN: true float32 where it says so, and back.</summary>
public sealed class Float32ProductsTests
{
    /// <summary>The switch is back after each own product, and an own product is one of float32.</summary>
    [Fact]
    public void Own_products_are_float32_and_leave_others_alone()
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        Tensor a = randn(160, 170),
            b = randn(170, 180);
        var before = a.mm(b);
        var exact = a.to_type(ScalarType.Float64).mm(b.to_type(ScalarType.Float64));
        foreach (var own in (Tensor[])[a.MatrixProduct(b), zeros(160, 180).AddProduct(a, b, 0, 1), zeros(160, 180).PlusProduct(a, b, 0, 1)])
            Assert.InRange((own.to_type(ScalarType.Float64).sub(exact).norm() / exact.norm()).ToDouble(), 0, 1e-6);
        Assert.True(before.Equals(a.mm(b)));
    }

    [Fact]
    public void OneDnn_is_on_only_at_float32_accuracy()
    {
        try
        {
            var (error, on) = Float32Products.UseOneDnn();
            Assert.Equal(error <= 1e-5, on);
            Assert.InRange(error, 1e-9, 1e-2);
        }
        finally
        {
            Float32Products.UseDefault();
        }
    }
}
