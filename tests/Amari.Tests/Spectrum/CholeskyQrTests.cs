using Amari.Native;
using Amari.Spectrum;

namespace Amari.Tests.Spectrum;

/// <summary>Q is orthogonal, R triangular and their product the matrix, whatever its condition.</summary>
public sealed class CholeskyQrTests
{
    private const int D = 9000, // more than a piece
        K = 7;

    [Theory]
    [InlineData(ScalarType.Float64, 1, 1), InlineData(ScalarType.Float64, 1e4, 1), InlineData(ScalarType.Float64, 1e5, 1e-120)]
    [InlineData(ScalarType.Float64, 1e9, 1), InlineData(ScalarType.Float64, 1e14, 1), InlineData(ScalarType.Float64, 1, 1e160)]
    [InlineData(ScalarType.Float32, 1, 1), InlineData(ScalarType.Float32, 1e4, 1), InlineData(ScalarType.Float32, 1e8, 1e-20)]
    public void The_product_is_the_matrix_and_Q_is_orthogonal(ScalarType type, double condition, double scale)
    {
        using var scope = NewDisposeScope();
        manual_seed(4);
        var left = linalg.qr(randn(D, K, dtype: ScalarType.Float64)).Q;
        var right = linalg.qr(randn(K, K, dtype: ScalarType.Float64)).Q;
        double[] values = [.. Enumerable.Range(0, K).Select(i => scale * Math.Pow(condition, -i / (K - 1.0)))];
        var rows = left.mul(tensor(values)).mm(right).T.contiguous().to_type(type);
        var y = rows.clone().to_type(ScalarType.Float64).T;
        var r = CholeskyQr.Run(rows);
        var q = rows.to_type(ScalarType.Float64).T;
        double rounding = 70 * finfo(type).eps;
        Assert.Equal(0, (q.T.mm(q) - eye(K, dtype: ScalarType.Float64)).abs().max().ToDouble(), rounding);
        Assert.Equal(0, ((q.mm(r) - y) / scale).abs().max().ToDouble(), rounding);
        Assert.Equal(0, r.tril(-1).abs().max().ToDouble());
    }

    [Fact]
    public void Equal_vectors_and_zeros_have_an_orthogonal_basis_too()
    {
        using var scope = NewDisposeScope();
        foreach (var rows in (Tensor[])[ones(3, 50, dtype: ScalarType.Float64), zeros(3, 50, dtype: ScalarType.Float64)])
        {
            var y = rows.clone();
            var r = CholeskyQr.Run(rows);
            Assert.Equal(0, (rows.mm(rows.T) - eye(3, dtype: ScalarType.Float64)).abs().max().ToDouble(), 1e-14);
            Assert.Equal(0, (r.T.mm(rows) - y).abs().max().ToDouble(), 1e-13);
        }
    }
}
