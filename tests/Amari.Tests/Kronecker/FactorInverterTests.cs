using Amari.Kronecker;
using Amari.Solvers;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>Which way a factor is inverted, on clocks that say which takes less time, and when a low rank is tried.</summary>
public sealed class FactorInverterTests : IDisposable
{
    private const long Size = 200;
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static Tensor Positive(long n)
    {
        var b = randn([n, 2 * n], dtype: ScalarType.Float64);
        return b.mm(b.t()) / (2 * n) + 0.1 * eye(n, dtype: ScalarType.Float64);
    }

    /// <summary>The inverses of a number of refreshes, each from the last one; whether each is Cholesky's, and the choice.</summary>
    private static (List<bool> ByCholesky, string Choice) Refresh(
        TimeProvider clock,
        int times,
        long n = FactorInverter.LeastMeasured,
        double change = 1e-3
    )
    {
        manual_seed(41);
        var inverter = new FactorInverter();
        var m = Positive(n);
        var far = Positive(n);
        Tensor? inverse = null;
        List<bool> by = [];
        for (int i = 0; i < times; i++)
        {
            m += change * far;
            inverter.Begin(new(InverseMethod.Auto, 0.2), [m, ones(n)], clock);
            inverse = inverter.Invert(m, inverse).Inverse!;
            inverter.End(null);
            by.Add(inverse.eq(SpdInverse.Cholesky(m).Inverse!).all().ToBoolean());
            Assert.InRange(Dense.RelativeError(inverse, linalg.inv(m)), 0, 1e-6);
        }
        return (by, string.Join("; ", inverter.Choices));
    }

    [Fact]
    public void What_took_less_is_kept_until_it_is_measured_again()
    {
        var cholesky = Refresh(new InverseClock(21, 48), 9);
        Assert.Equal([true, true, true, true, true, true, true, true, true], cholesky.ByCholesky);
        Assert.Equal("inverses of size 128 by Cholesky: 21 ms against 48 ms by Newton-Schulz", cholesky.Choice);
        var iteration = Refresh(new InverseClock(21, 8), 9); // rounds of measurement, 2, 4 and 8, take Cholesky's
        Assert.Equal([true, true, false, true, false, false, false, true, false], iteration.ByCholesky);
        Assert.Equal("inverses of size 128 by Newton-Schulz: 8 ms against 21 ms by Cholesky", iteration.Choice);
    }

    [Fact]
    public void Iteration_that_fails_counts_with_the_Cholesky_that_follows()
    {
        var (by, choice) = Refresh(new InverseClock(21, 8), 3, change: 30);
        Assert.Equal("inverses of size 128 by Cholesky: 21 ms against 29 ms by Newton-Schulz", choice);
        Assert.Equal([true, true, true], by);
    }

    [Fact]
    public void Small_factors_are_not_measured()
    {
        var (by, choice) = Refresh(new InverseClock(21, 8), 5, n: FactorInverter.LeastMeasured - 1);
        Assert.Equal("", choice);
        Assert.DoesNotContain(false, by);
    }

    /// <summary>A factor that goes by Cholesky is tried again at the refreshes 1, 4, 16, 64, ..., in a resumed run at the same ones; one of
    /// low rank is followed at each.</summary>
    [Fact]
    public void Low_rank_is_tried_ever_more_rarely_where_useless()
    {
        var low = diag(pow(0.8, arange(FactorInverter.LeastOfLowRank, dtype: ScalarType.Float64)));
        var shift = tensor([0.1], dtype: ScalarType.Float64);
        var near = NystromInverse.Of(low, shift, null, 0.2)!.Value.Root;
        var inverter = new FactorInverter();
        List<int> tried = [];
        for (int refresh = 1; refresh <= 20; refresh++)
        {
            if (refresh == 6)
            {
                var saved = inverter.ToJson();
                inverter = new();
                inverter.Restore(saved);
            }
            inverter.Begin(new(InverseMethod.Nystrom, 0.1), [low], TimeProvider.System);
            if (inverter.OfLowRank(low, shift, null) is not null)
                tried.Add(refresh);
            Assert.NotNull(inverter.OfLowRank(low, shift, near));
            inverter.End(null);
        }
        Assert.Equal([1, 4, 16], tried);
    }
}
