using Amari.SecondOrder;

namespace Amari.Tests.SecondOrder;

/// <summary>The two-loop recursion against dense BFGS updates, and which pairs are kept.</summary>
public sealed class LbfgsHistoryTests : IDisposable
{
    private const long D = 6;
    private readonly DisposeScope _scope = NewDisposeScope();

    public LbfgsHistoryTests() => manual_seed(5);

    public void Dispose() => _scope.Dispose();

    private static Tensor Random(params long[] shape) => randn(shape, dtype: ScalarType.Float64);

    /// <summary>H ← (I - ρ s y') H (I - ρ y s') + ρ s s' from H₀ = γ I (Nocedal and Wright 2006, 7.16 and 7.20).</summary>
    private static Tensor Dense(List<(Tensor S, Tensor Y)> pairs)
    {
        var (last, one) = (pairs[^1], eye(D, dtype: ScalarType.Float64));
        var h = one * (last.S.dot(last.Y) / last.Y.dot(last.Y));
        foreach (var (s, y) in pairs)
        {
            var v = one - y.outer(s) / s.dot(y);
            h = v.T.mm(h).mm(v) + s.outer(s) / s.dot(y);
        }
        return h;
    }

    [Theory, InlineData(1, 10), InlineData(4, 10), InlineData(9, 3)]
    public void Direction_is_that_of_the_dense_matrix_of_the_pairs_kept(int pairs, int most)
    {
        var x = Random(D, 2 * D);
        var curvature = x.mm(x.T);
        List<(Tensor S, Tensor Y)> all = [];
        using var history = new LbfgsHistory();
        for (int i = 0; i < pairs; i++)
        {
            var s = Random(D);
            all.Add((s, curvature.mv(s)));
            Assert.True(history.Add(s.clone(), curvature.mv(s), most));
        }
        Assert.Equal(Math.Min(pairs, most), history.Count);
        Assert.Equal(2 * sizeof(double) * D * history.Count, history.Bytes);
        var g = Random(D);
        var expected = Dense(all.TakeLast(most).ToList()).mv(g).neg();
        Assert.True(history.Direction(g).allclose(expected, 1e-9, 1e-12));
    }

    [Fact]
    public void Direction_without_pairs_is_the_steepest_descent()
    {
        using var history = new LbfgsHistory();
        var g = Random(D);
        Assert.True(history.Direction(g).equal(g.neg()).all().ToBoolean());
    }

    [Theory, InlineData(-1.0), InlineData(0.0), InlineData(double.NaN), InlineData(double.PositiveInfinity)]
    public void Pair_without_positive_curvature_is_left_out(double curvature)
    {
        using var history = new LbfgsHistory();
        var s = Random(D);
        Assert.False(history.Add(s.clone(), s * curvature, 10));
        Assert.Equal(0, history.Count);
    }
}
