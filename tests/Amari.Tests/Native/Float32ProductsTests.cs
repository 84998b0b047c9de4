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

    /// <summary>Own passes take it for large products, but not through attention, where it would be slow.</summary>
    [Fact]
    public void Passes_through_large_models_without_attention_take_the_faster_library()
    {
        using var scope = NewDisposeScope();
        nn.Module layers = nn.Sequential(("fc1", nn.Linear(300, 400)), ("fc2", nn.Linear(400, 10))),
            sequences = nn.Sequential(("norm", nn.LayerNorm(300)), ("fc", nn.Linear(300, 400)));
        Assert.Equal(Float32Products.OwnUseOneDnn, IsOneDnn(512, layers));
        Assert.False(IsOneDnn(16, layers));
        Assert.False(IsOneDnn(512, sequences));

        static bool IsOneDnn(long rows, nn.Module model)
        {
            using var use = Float32Products.OwnPass(rows, model.parameters(), model);
            return !use.Equals(default(Float32Products.Use));
        }
    }
}
