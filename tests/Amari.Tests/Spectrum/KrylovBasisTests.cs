using Amari.Native;
using Amari.Spectrum;

namespace Amari.Tests.Spectrum;

/// <summary>The basis stays orthogonal and T stays its projection, where plain recurrences lose both.</summary>
public sealed class KrylovBasisTests
{
    private const int D = 200,
        M = 60;
    private const double Rounding = 50; // in units of the dtype's

    private static double[] Spectrum(string name) =>
        name switch
        {
            "network" => Matrices.Network(D),
            "power" => [.. Enumerable.Range(1, D).Select(i => 1 / Math.Pow(i, 1.5))],
            "even" => [.. Enumerable.Range(1, D).Select(i => i / (double)D)],
            "huge" => [1e6, -1e5, 1e4, .. Enumerable.Range(1, D - 3).Select(i => Math.Exp(-0.02 * i))],
            "clusters" => [.. Enumerable.Range(0, D).Select(i => 5 - i % 5 + 1e-6 * i)],
            "multiple" => [.. Enumerable.Range(0, D).Select(i => 100.0 / (1 + i / 8))],
            "low rank" => [9, 7, 5, 3, 2, 1, .. new double[D - 6]],
            _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
        };

    /// <summary>The largest entry of V'V - I, that of T - V'C V relative to C, both in units of rounding, and the vectors read.</summary>
    private static (double Orthogonality, double Projection, long Reads) Run(
        string spectrum,
        ScalarType type,
        int[] restarts,
        double noise = 0,
        bool eigenvector = false
    )
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        double[] values = Spectrum(spectrum);
        var exact = Matrices.With(values);
        var c = exact.to_type(type);
        double scale = values.Max(x => Math.Abs(x)),
            epsilon = finfo(type).eps;
        var basis = new KrylovBasis(M + 1, D, type, CPU);
        var v = eigenvector ? linalg.eigh(exact).Item2.select(1, D - 1).to_type(type).clone() : randn(D, dtype: type);
        basis.Set(0, v);
        double beta = 0;
        for (int j = 0, r = 0; j < M; j++)
        {
            if (r < restarts.Length && j == restarts[r])
            {
                var (theta, vectors) = linalg.eigh(tensor(basis.Leading(j)));
                double[] last = vectors[j - 1].Elements<double>();
                int kept = j / 2;
                basis.Restart(
                    vectors.narrow(1, j - kept, kept).T,
                    theta.Elements<double>()[^kept..],
                    [.. last[^kept..].Select(s => beta * s)]
                );
                (r, j) = (r + 1, kept);
            }
            var w = c.mv(v) + noise * scale * randn(D, dtype: type);
            beta = basis.Extend(j, v, w);
            if (beta == 0)
                basis.Set(j + 1, w = randn(D, dtype: type));
            v = w;
        }
        var all = basis.Vectors(M).to_type(ScalarType.Float64);
        var projection = all.mm(c.to_type(ScalarType.Float64)).mm(all.T);
        return (
            (all.mm(all.T) - eye(M, dtype: ScalarType.Float64)).abs().max().ToDouble() / epsilon,
            (projection - tensor(basis.Leading(M))).abs().max().ToDouble() / (epsilon * scale),
            basis.Reads
        );
    }

    public static TheoryData<string, ScalarType> Cases
    {
        get
        {
            var cases = new TheoryData<string, ScalarType>();
            foreach (string spectrum in (string[])["network", "power", "even", "huge", "clusters", "multiple", "low rank"])
            foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.Float64])
                cases.Add(spectrum, type);
            return cases;
        }
    }

    [Theory, MemberData(nameof(Cases))]
    public void Orthogonal_to_rounding_and_T_is_the_projection(string spectrum, ScalarType type)
    {
        foreach (int[] restarts in (int[][])[[], [40], [30, 40, 50, 40, 50, 30]])
        {
            var (orthogonality, projection, _) = Run(spectrum, type, restarts);
            Assert.InRange(orthogonality, 0, Rounding);
            Assert.InRange(projection, 0, 2 * Rounding);
        }
        Assert.InRange(Run(spectrum, type, [40], eigenvector: true).Orthogonality, 0, Rounding);
    }

    [Theory]
    [InlineData(ScalarType.Float32, 1e-5)]
    [InlineData(ScalarType.Float64, 1e-10)]
    public void Products_less_accurate_than_their_dtype_do_no_harm(ScalarType type, double noise) =>
        Assert.InRange(Run("network", type, [40], noise).Orthogonality, 0, Rounding);

    [Theory]
    [InlineData("network"), InlineData("power"), InlineData("even"), InlineData("clusters"), InlineData("multiple")]
    public void Vectors_are_read_less_than_twice_a_step(string spectrum)
    {
        const double All = M * (M + 1) / 2;
        foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.Float64])
            Assert.InRange(Run(spectrum, type, []).Reads / All, 1, 1.75); // two without the prediction
    }

    [Fact]
    public void A_vector_within_the_span_is_replaced_or_reported()
    {
        using var scope = NewDisposeScope();
        var basis = new KrylovBasis(4, 3, ScalarType.Float64, CPU);
        var c = diag(tensor(new[] { 2.0, 2, 5 }));
        Tensor first = tensor(new[] { 0, 0, 3.0 }),
            second = tensor(new[] { 1, 1, 1e9 });
        basis.Set(0, first);
        Assert.Equal(0, basis.Extend(0, first, c.mv(first)));
        Assert.Equal(5, basis.T[0, 0], 12);
        basis.Set(1, second);
        Assert.Equal(0, first.dot(second).ToDouble(), 14);
        Assert.Equal(1, second.norm().ToDouble(), 14);
        Assert.Equal(first.Elements<double>().Concat(second.Elements<double>()), basis.Vectors(2).Elements<double>());
        Assert.True(double.IsNaN(basis.Extend(1, second, full(3, double.NaN, dtype: ScalarType.Float64))));
    }

    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    public void Vectors_longer_than_a_tile_are_kept_and_rotated(ScalarType type)
    {
        const int Length = 2500;
        using var scope = NewDisposeScope();
        manual_seed(2);
        var values = linspace(1, 2, Length, dtype: type);
        var basis = new KrylovBasis(5, Length, type, CPU);
        var v = randn(Length, dtype: type);
        basis.Set(0, v);
        var rows = new List<Tensor> { v };
        for (int j = 0; j < 4; j++)
        {
            var w = values * rows[^1];
            Assert.True(basis.Extend(j, rows[^1], w) > 0);
            rows.Add(w);
        }
        var all = stack(rows);
        Assert.Equal(all.Elements<double>(), basis.Vectors(5).Elements<double>());
        var s = linalg.qr(randn(5, 2, dtype: ScalarType.Float64)).Q.T;
        basis.Rotate(s);
        var expected = s.mm(all.to_type(ScalarType.Float64));
        Assert.Equal(0, (basis.Vectors(2) - expected).abs().max().ToDouble(), 4 * finfo(type).eps);
    }
}
