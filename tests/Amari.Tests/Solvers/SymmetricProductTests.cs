using Amari.Native;
using Amari.Solvers;

namespace Amari.Tests.Solvers;

/// <summary>Products by panels against sums written out.</summary>
public sealed class SymmetricProductTests
{
    private static double[] Product(double[] a, double[] b, int n, int k)
    {
        var c = new double[n * n];
        for (int i = 0; i < n; i++)
        for (int l = 0; l < k; l++)
        for (int j = 0; j < n; j++)
            c[i * n + j] += a[i * k + l] * b[l * n + j];
        return c;
    }

    private static double[] Values(Tensor t) => t.Elements<double>();

    private static void Near(double[] expected, Tensor actual, double tolerance)
    {
        foreach (var (e, a) in expected.Zip(Values(actual)))
            Assert.True(Math.Abs(a - e) <= tolerance * Math.Max(1, Math.Abs(e)), $"{a}, expected {e}");
    }

    [
        Theory,
        InlineData(1, 1),
        InlineData(256, 300),
        InlineData(257, 127),
        InlineData(257, 128),
        InlineData(384, 200),
        InlineData(400, 130),
        InlineData(1100, 129)
    ]
    public void Equals_the_sum(int n, int k)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        foreach (var (type, tolerance) in new[] { (ScalarType.Float64, 1e-12), (ScalarType.Float32, 5e-7 * k) })
        {
            var x = randn([n, k], dtype: ScalarType.Float64, generator: generator).to_type(type);
            var expected = Product(Values(x), Values(x.t()), n, k);
            var c = SymmetricProduct.Of(x, x.t());
            Near(expected, c, tolerance);
            Near(expected, SymmetricProduct.Of(x.t().contiguous().t(), x.t().contiguous()), tolerance);
            SymmetricProduct.AddTo(c, x, x.t());
            Near([.. expected.Select(v => 2 * v)], c, tolerance);
        }
    }

    [Fact]
    public void Equals_the_sum_for_matrices_that_commute()
    {
        const int N = 300;
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var x = randn([N, N], dtype: ScalarType.Float64, generator: generator);
        var a = (x + x.t()) / N;
        var b = a.mm(a).mul(3).sub(a);
        Near(Product(Values(a), Values(b), N, N), SymmetricProduct.Of(a, b), 1e-13);
    }

    [Fact]
    public void Takes_each_block_of_a_batch()
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var x = randn([3, 270, 200], dtype: ScalarType.Float64, generator: generator);
        var c = SymmetricProduct.Of(x, x.mT);
        for (int i = 0; i < 3; i++)
            Near(Product(Values(x[i]), Values(x[i].t()), 270, 200), c[i], 1e-12);
    }
}
