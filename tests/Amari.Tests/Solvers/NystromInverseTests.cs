using Amari.Solvers;
using static TorchSharp.torch;

namespace Amari.Tests.Solvers;

/// <summary>The inverse by the largest eigenvalues against the dense one.</summary>
public sealed class NystromInverseTests
{
    private const long N = 160;

    /// <summary>A symmetric matrix with the given eigenvalues.</summary>
    private static Tensor With(Tensor eigenvalues, ScalarType type = ScalarType.Float64)
    {
        manual_seed(3);
        var (q, _) = linalg.qr(randn([N, N], dtype: ScalarType.Float64));
        return (q * eigenvalues).mm(q.t()).to_type(type);
    }

    private static Tensor Decaying => pow(0.87, arange(N, dtype: ScalarType.Float64)) + 1e-4;

    private static Tensor Shift(double damping, ScalarType type = ScalarType.Float64) => tensor([damping], dtype: type);

    private static Tensor Full((Tensor Root, Tensor Scale) inverse) =>
        (eye(inverse.Root.shape[1], dtype: inverse.Root.dtype) - inverse.Root.t().mm(inverse.Root)) * inverse.Scale;

    /// <summary>The factors by which the inverse is off, over all directions.</summary>
    private static (double Least, double Most) Factors(Tensor matrix, double damping, Tensor inverse)
    {
        var root = linalg.cholesky(matrix + damping * eye(N, dtype: matrix.dtype));
        var values = linalg.eigvalsh(root.t().mm(inverse).mm(root));
        return (values[0].ToDouble(), values[-1].ToDouble());
    }

    [Theory, InlineData(ScalarType.Float64, 1e-5), InlineData(ScalarType.Float32, 1e-4)]
    public void A_few_eigenvalues_far_above_equal_ones_are_inverted_exactly(ScalarType type, double error)
    {
        using var scope = NewDisposeScope();
        var m = With(cat([arange(1, 13, dtype: ScalarType.Float64) * 30, full(N - 12, 0.4, dtype: ScalarType.Float64)]), type);
        var inverse = NystromInverse.Of(m, Shift(0.6, type), null, 0.45)!.Value;
        Assert.Equal([12, N], inverse.Root.shape);
        Assert.InRange(KfacOptimizer.Dense.RelativeError(Full(inverse), linalg.inv(m + 0.6 * eye(N, dtype: type))), 0, error);
    }

    [Theory, InlineData(0.1), InlineData(0.3), InlineData(1)]
    public void No_direction_is_off_by_more_than_the_tolerance(double tolerance)
    {
        using var scope = NewDisposeScope();
        var m = With(Decaying);
        var inverse = NystromInverse.Of(m, Shift(0.1), null, tolerance)!.Value;
        var (least, most) = Factors(m, 0.1, Full(inverse));
        Assert.InRange(least, 1 - 1.1 * tolerance, 1);
        Assert.InRange(most, 1, 1 + 1.1 * tolerance);
    }

    /// <summary>A factor's unit is the square of its inputs': bytes in the place of shares make it 65,025 times as large.</summary>
    [Theory, InlineData(1e-8), InlineData(1e8), InlineData(1e14)]
    public void The_unit_changes_nothing(double unit)
    {
        using var scope = NewDisposeScope();
        var m = With(Decaying, ScalarType.Float32);
        Tensor one = Full(NystromInverse.Of(m, Shift(0.1, ScalarType.Float32), null, 0.2)!.Value),
            other = Full(NystromInverse.Of(m * unit, Shift(0.1 * unit, ScalarType.Float32), null, 0.2)!.Value) * unit;
        Assert.InRange(KfacOptimizer.Dense.RelativeError(other, one), 0, 1e-3);
    }

    [Fact]
    public void A_looser_tolerance_takes_fewer_eigenvalues()
    {
        using var scope = NewDisposeScope();
        long[] ranks =
        [
            .. new[] { 0.05, 0.1, 0.3, 1, 3 }.Select(t => NystromInverse.Of(With(Decaying), Shift(0.1), null, t)!.Value.Root.shape[0]),
        ];
        Assert.Equal(ranks.OrderDescending().Distinct(), ranks);
    }

    [Fact]
    public void The_last_inverse_is_followed()
    {
        using var scope = NewDisposeScope();
        var near = NystromInverse.Of(With(Decaying), Shift(0.1), null, 0.1)!.Value.Root;
        var m = With(Decaying) + 0.02 * With(Decaying.flip(0)); // the same eigenvectors in another order, a little
        var (followed, fresh) = (NystromInverse.Of(m, Shift(0.1), near, 0.2)!.Value, NystromInverse.Of(m, Shift(0.1), null, 0.2)!.Value);
        Assert.False(followed.Root.shape.SequenceEqual(fresh.Root.shape) && followed.Root.eq(fresh.Root).all().ToBoolean());
        var (least, most) = Factors(m, 0.1, Full(followed));
        Assert.InRange(least, 0.78, 1);
        Assert.InRange(most, 1, 1.22);
    }

    /// <summary>Directions of which the last inverse knew nothing are found by the random ones; rows that hold nothing do no
    /// harm.</summary>
    [Fact]
    public void A_new_direction_is_found_beside_the_last_ones()
    {
        using var scope = NewDisposeScope();
        var near = NystromInverse.Of(With(Decaying), Shift(0.1), null, 0.1)!.Value.Root;
        var sudden = ones(N, dtype: ScalarType.Float64);
        var m = With(Decaying) + 3 * sudden.outer(sudden);
        foreach (var start in (Tensor[])[near, cat([near, zeros(2, N, dtype: ScalarType.Float64)])])
        {
            var (least, most) = Factors(m, 0.1, Full(NystromInverse.Of(m, Shift(0.1), start, 0.2)!.Value));
            Assert.InRange(least, 0.78, 1);
            Assert.InRange(most, 1, 1.22);
        }
    }

    /// <summary>I - P P' is a small difference of large numbers in the first direction.</summary>
    [Theory, InlineData(ScalarType.Float32, 1e12), InlineData(ScalarType.Float64, 1e20)]
    public void The_inverse_stays_positive_however_large_the_first_eigenvalue(ScalarType type, double first)
    {
        using var scope = NewDisposeScope();
        var inverse = NystromInverse
            .Of(With(cat([tensor([first], dtype: ScalarType.Float64), Decaying.narrow(0, 1, N - 1)]), type), Shift(0.1, type), null, 1)!
            .Value;
        Assert.True(linalg.eigvalsh(Full(inverse).to(ScalarType.Float64))[0].ToDouble() > 0);
    }

    /// <summary>At δ = 1 and τ = ½ the inverse of m eigenvalues of 3 and the others of 1e-3 needs these m. The first n / 8 directions tell
    /// as little of 39 as of 42.</summary>
    [Theory, InlineData(15, true), InlineData(39, true), InlineData(42, false), InlineData(150, false)]
    public void A_quarter_of_the_eigenvalues_is_the_most(int count, bool fits)
    {
        using var scope = NewDisposeScope();
        var m = With(cat([full(count, 3.0, dtype: ScalarType.Float64), full(N - count, 1e-3, dtype: ScalarType.Float64)]));
        Assert.Equal(fits ? count : null, (int?)NystromInverse.Of(m, Shift(1), null, 0.5)?.Root.shape[0]);
    }

    [Fact]
    public void Equal_eigenvalues_have_no_largest_ones()
    {
        using var scope = NewDisposeScope();
        Assert.Null(NystromInverse.Of(With(linspace(1, 2, N, ScalarType.Float64)), Shift(1e-3), null, 0.1));
        Assert.Null(NystromInverse.Of(With(full(N, double.NaN, dtype: ScalarType.Float64)), Shift(1e-3), null, 0.1));
        Assert.Null(NystromInverse.Of(zeros([N, N]), Shift(1, ScalarType.Float32), null, 0.1));
    }
}
