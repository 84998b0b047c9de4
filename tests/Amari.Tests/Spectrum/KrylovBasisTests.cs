using Amari.Native;
using Amari.Spectrum;

namespace Amari.Tests.Spectrum;

/// <summary>The basis stays orthogonal and T stays its projection, where plain recurrences lose both.</summary>
public sealed class KrylovBasisTests
{
    private const int D = 400,
        M = 90;
    private static readonly double[] Values = Matrices.Network(D);

    /// <summary>The largest entry of V'V - I, and of T - V'C V without what leads out of the basis.</summary>
    private static (double Orthogonality, double Projection, int Reads) Run(ScalarType type, int restartAt)
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        var c = Matrices.With(Values).to_type(type);
        var rows = empty(M + 1, D, dtype: type);
        var basis = new KrylovBasis(rows);
        basis.Set(0, randn(D, dtype: type));
        double beta = 0;
        for (int j = 0; j < M; j++)
        {
            if (j == restartAt)
            {
                var (values, vectors) = linalg.eigh(tensor(basis.Leading(j)));
                double[] theta = values.Elements<double>(),
                    last = vectors[j - 1].Elements<double>();
                int kept = j / 2;
                basis.Restart(vectors.narrow(1, j - kept, kept).T, theta[^kept..], [.. last[^kept..].Select(s => beta * s)]);
                (restartAt, j) = (-1, kept);
            }
            beta = basis.Extend(j, c.mv(basis[j]));
        }
        var v = rows.narrow(0, 0, M).to_type(ScalarType.Float64);
        var projection = v.mm(c.to_type(ScalarType.Float64)).mm(v.T);
        return (
            (v.mm(v.T) - eye(M, dtype: ScalarType.Float64)).abs().max().ToDouble(),
            (projection - tensor(basis.Leading(M))).abs().max().ToDouble(),
            basis.Reads
        );
    }

    [Theory]
    [InlineData(ScalarType.Float32, -1, 5e-6)]
    [InlineData(ScalarType.Float32, 40, 5e-6)]
    [InlineData(ScalarType.Float64, -1, 1e-14)]
    [InlineData(ScalarType.Float64, 40, 1e-14)]
    public void Orthogonal_to_rounding_with_less_than_two_reads_a_step(ScalarType type, int restartAt, double rounding)
    {
        var (orthogonality, projection, reads) = Run(type, restartAt);
        Assert.InRange(orthogonality, 0, rounding);
        Assert.InRange(projection, 0, 20 * rounding);
        Assert.InRange(reads, M, (M + Math.Max(0, restartAt / 2)) * 7 / 4); // two without the prediction
    }

    [Fact]
    public void A_vector_within_the_span_is_replaced_or_reported()
    {
        using var scope = NewDisposeScope();
        manual_seed(1);
        var rows = empty(4, 3, dtype: ScalarType.Float64);
        var basis = new KrylovBasis(rows);
        var c = diag(tensor(new[] { 2.0, 2, 5 }));
        basis.Set(0, tensor(new[] { 0, 0, 3.0 }));
        Assert.Equal(0, basis.Extend(0, c.mv(basis[0])));
        Assert.Equal(5, basis.T[0, 0], 12);
        basis.Set(1, tensor(new[] { 1, 1, 1e9 }));
        Assert.Equal(0, basis[0].dot(basis[1]).ToDouble(), 14);
        Assert.Equal(1, basis[1].norm().ToDouble(), 14);
        Assert.True(double.IsNaN(basis.Extend(1, full(3, double.NaN, dtype: ScalarType.Float64))));
    }
}
