using Amari.Kernels;
using Amari.Native;

namespace Amari.Tests.Kernels;

/// <summary>Against sums in float64, one number after the other.</summary>
public sealed class InnerProductsTests
{
    public static TheoryData<int> Lengths =>
        new(Enumerable.Range(0, 70).Concat([255, 256, 257, (1 << 14) - 1, 1 << 14, (1 << 14) + 1, 100_003]));

    private static InnerProducts Expected(float[] a, float[] b, float[] c)
    {
        static double Dot(float[] x, float[] y) => x.Zip(y, (s, t) => (double)s * t).Sum();
        return new(Dot(a, a), Dot(a, b), Dot(b, b), Dot(a, c), Dot(b, c), Dot(c, c));
    }

    private static void Near(InnerProducts expected, InnerProducts actual, double tolerance)
    {
        foreach (
            var (e, a, scale) in new[]
            {
                (expected.AA, actual.AA, expected.AA),
                (expected.BB, actual.BB, expected.BB),
                (expected.CC, actual.CC, expected.CC),
                (expected.AB, actual.AB, Math.Sqrt(expected.AA * expected.BB)),
                (expected.AC, actual.AC, Math.Sqrt(expected.AA * expected.CC)),
                (expected.BC, actual.BC, Math.Sqrt(expected.BB * expected.CC)),
            }
        )
            Assert.InRange(Math.Abs(e - a), 0, tolerance * scale);
    }

    [Theory, MemberData(nameof(Lengths))]
    public void Kernel_gives_all_six_and_does_not_depend_on_threads(int length)
    {
        using var scope = NewDisposeScope();
        manual_seed(length);
        Tensor[] t = [.. Enumerable.Range(0, 3).Select(_ => randn(length))];
        float[][] v = [.. t.Select(x => x.Elements<float>())];
        var actual = InnerProducts.Of(t[0], t[1], t[2]);
        Near(Expected(v[0], v[1], v[2]), actual, 1e-13);
        Near(Expected(v[0], v[1], v[1]), InnerProducts.Of(t[0], t[1]), 1e-13);
        int threads = get_num_threads();
        set_num_threads(1);
        try
        {
            Assert.Equal(actual, InnerProducts.Of(t[0], t[1], t[2]));
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    [Fact]
    public void Strided_and_float64_tensors_go_by_torch_with_the_same_result()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        var (a, b, c) = (randn(7, 9).narrow(1, 0, 8), randn(8, 7).T, randn(7, 8));
        var expected = Expected(a.Elements<float>(), b.Elements<float>(), c.Elements<float>());
        Near(expected, InnerProducts.Of(a, b, c), 1e-13);
        const float Tiny = 1e-30f; // its square is no float32
        Assert.Equal(1, InnerProducts.Of(a * Tiny, b * Tiny, c * Tiny).AB / (expected.AB * Tiny * Tiny), 1e-5);
        Near(
            expected,
            InnerProducts.Of(a.to_type(ScalarType.Float64), b.to_type(ScalarType.Float64), c.to_type(ScalarType.Float64)),
            1e-13
        );
    }
}
