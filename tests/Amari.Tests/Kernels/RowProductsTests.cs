using Amari.Kernels;
using Amari.Native;

namespace Amari.Tests.Kernels;

/// <summary>Products of few long rows against torch's in float64.</summary>
public sealed class RowProductsTests
{
    public static TheoryData<int, int, long> Shapes =>
        new()
        {
            { 1, 1, 1 },
            { 3, 5, 7 },
            { 4, 2, 1024 },
            { 5, 5, 1030 },
            { 8, 13, (1 << 14) + 3 },
            { 31, 30, 40_001 },
            { 64, 64, 2_000 },
        };

    private static (Tensor A, Tensor B) Rows(int k, int l, long d)
    {
        manual_seed(7);
        return (randn(k, d), randn(l, d));
    }

    private static double Error(double[,] found, Tensor a, Tensor b)
    {
        var exact = a.to_type(ScalarType.Float64).mm(b.to_type(ScalarType.Float64).T);
        return (tensor(found) - exact).abs().max().ToDouble() / Math.Sqrt(a.shape[1]);
    }

    [Theory, MemberData(nameof(Shapes))]
    public void Products_are_those_of_float64(int k, int l, long d)
    {
        using var scope = NewDisposeScope();
        var (a, b) = Rows(k, l, d);
        Assert.InRange(Error(RowProducts.Of(a, b, exact: true), a, b), 0, 1e-13);
        Assert.InRange(Error(RowProducts.Of(a, b, exact: false), a, b), 0, 3e-6);
        Assert.InRange(Error(RowProducts.Of(a, a, exact: true), a, a), 0, 1e-13 * Math.Sqrt(d));
        Assert.InRange(Error(RowProducts.Of(a, a, exact: false), a, a), 0, 3e-6 * Math.Sqrt(d));
    }

    [Theory, MemberData(nameof(Shapes))]
    public void A_triangular_matrix_transforms_in_place(int k, int l, long d)
    {
        using var scope = NewDisposeScope();
        var (rows, _) = Rows(k, l, d);
        var lower = randn(k, k, dtype: ScalarType.Float64);
        var expected = lower.tril().mm(rows.to_type(ScalarType.Float64));
        RowProducts.Transform(lower.Elements<double>(), rows);
        Assert.InRange((rows - expected).abs().max().ToDouble(), 0, 1e-5 * Math.Sqrt(k));
    }

    [Fact]
    public void Threads_change_nothing()
    {
        using var scope = NewDisposeScope();
        var (a, b) = Rows(9, 6, 100_001);
        var lower = randn(9, 9, dtype: ScalarType.Float64).Elements<double>();
        int before = get_num_threads();
        var (two, changed) = (RowProducts.Of(a, b, exact: false), a.clone());
        RowProducts.Transform(lower, changed);
        set_num_threads(1);
        var one = RowProducts.Of(a, b, exact: false);
        RowProducts.Transform(lower, a);
        set_num_threads(before);
        Assert.Equal(two, one);
        Assert.Equal(changed.Elements<float>(), a.Elements<float>());
    }

    [Fact]
    public void Many_rows_other_dtypes_and_views_go_another_way()
    {
        using var scope = NewDisposeScope();
        Assert.True(RowProducts.IsUsable(ones(64, 3)));
        Assert.False(RowProducts.IsUsable(ones(65, 3)));
        Assert.False(RowProducts.IsUsable(ones(3, 64).T));
        Assert.False(RowProducts.IsUsable(ones(3, 3, dtype: ScalarType.Float64)));
        Assert.False(RowProducts.IsUsable(ones(0, 3)));
    }
}
