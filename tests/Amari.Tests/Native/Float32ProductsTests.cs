using Amari.Native;

namespace Amari.Tests.Native;

/// <summary>The switch to oneDNN: true float32 where it says so, and back.</summary>
public sealed class Float32ProductsTests
{
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
