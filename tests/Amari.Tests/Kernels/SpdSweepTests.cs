using System.Runtime.Intrinsics.X86;
using Amari.Kernels;

namespace Amari.Tests.Kernels;

/// <summary>The inverse by sweeps against LAPACK's in float64.</summary>
public sealed class SpdSweepTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>Half of the rank, and little else: blocks of the diagonal are as badly conditioned as the whole.</summary>
    private static Tensor HalfRank(int n, double rest)
    {
        using var generator = new Generator(1);
        var x = randn([(n + 1) / 2, n], generator: generator);
        return (x.t().mm(x) / n + rest * eye(n)).contiguous();
    }

    private static double ErrorOf(Tensor inverse, Tensor matrix)
    {
        var exact = linalg.inv(matrix.to_type(ScalarType.Float64));
        return ((inverse.to_type(ScalarType.Float64) - exact).norm() / exact.norm()).ToDouble();
    }

    [
        Theory,
        InlineData(1),
        InlineData(5),
        InlineData(31),
        InlineData(95),
        InlineData(96),
        InlineData(97),
        InlineData(128),
        InlineData(191),
        InlineData(193),
        InlineData(385),
        InlineData(500)
    ]
    public void Is_as_exact_as_LAPACK_in_float32(int n)
    {
        var m = HalfRank(n, 1e-4);
        var inverse = SpdSweep.Inverse(m)!;
        Assert.True(inverse.Equals(inverse.t()));
        var lapack = linalg.cholesky_ex(m).L.cholesky_inverse();
        Assert.InRange(ErrorOf(inverse, m), 0, 2 * ErrorOf(lapack, m) + 1e-6);
    }

    [Theory, InlineData(70), InlineData(300)]
    public void Has_the_same_bits_on_any_threads_and_in_any_registers(int n)
    {
        var m = HalfRank(n, 1e-2);
        int threads = get_num_threads();
        try
        {
            set_num_threads(1);
            var expected = SpdSweep.Inverse<Lanes256>(m)!;
            set_num_threads(2);
            Assert.True(expected.Equals(SpdSweep.Inverse<Lanes256>(m)!));
            if (Avx512F.IsSupported)
                Assert.True(expected.Equals(SpdSweep.Inverse<Lanes512>(m)!));
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    [Fact]
    public void Reads_no_more_than_the_lower_triangle()
    {
        var m = HalfRank(150, 1e-2);
        var expected = SpdSweep.Inverse(m)!;
        var lower = m.tril() + full(150, 150, float.NaN).triu(1);
        Assert.True(expected.Equals(SpdSweep.Inverse(lower.nan_to_num(1e30).contiguous())!));
    }

    [Fact]
    public void What_is_not_positive_definite_has_no_inverse()
    {
        foreach (int bad in (int[])[0, 95, 96, 200])
        {
            foreach (double value in (double[])[-1, 0, double.NaN, double.PositiveInfinity])
            {
                var m = eye(201);
                m[bad, bad] = value;
                Assert.Null(SpdSweep.Inverse(m));
            }
        }
        Assert.Null(SpdSweep.Inverse(ones(130, 130)));
        Assert.Null(SpdSweep.Inverse(HalfRank(60, 0)));
    }

    [Fact]
    public void Adds_a_shift_to_the_diagonal()
    {
        var m = HalfRank(120, 0);
        Assert.True(SpdSweep.Inverse((m + 0.01f * eye(120)).contiguous())!.Equals(SpdSweep.Inverse(m, 0.01f)!));
        Assert.Null(SpdSweep.Inverse(m, float.NaN));
    }

    [Fact]
    public void An_inverse_that_is_not_finite_is_none()
    {
        var m = 1e-39f * eye(10); // above zero, below the reciprocal of the largest number
        Assert.Null(SpdSweep.Inverse(m));
    }

    [Fact]
    public void Scales_may_differ()
    {
        var scales = logspace(-6, 6, 140, 10);
        var m = HalfRank(140, 1) * scales.unsqueeze(1) * scales;
        var inverse = SpdSweep.Inverse(m.contiguous())! * scales.unsqueeze(1) * scales;
        Assert.InRange(ErrorOf(inverse, HalfRank(140, 1)), 0, 1e-4);
    }
}
