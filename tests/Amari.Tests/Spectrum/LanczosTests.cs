using Amari.Curvature;
using Amari.Native;
using Amari.Serialization;
using Amari.Solvers;
using Amari.Spectrum;
using Amari.Training;

namespace Amari.Tests.Spectrum;

/// <summary>Eigenpairs against matrices of known spectrum, closed-form Hessians and a dense eigensolver, in float64.</summary>
public class LanczosTests
{
    private static readonly double[] Values = [.. Matrices.Network(120).Select((x, i) => i % 7 == 6 ? -x : x)];

    [Theory]
    [InlineData(SpectrumEnd.Largest)]
    [InlineData(SpectrumEnd.Smallest)]
    [InlineData(SpectrumEnd.Both)]
    public void Extreme_pairs_are_those_of_the_matrix(SpectrumEnd end)
    {
        using var c = Matrices.With(Values);
        using var pairs = Lanczos.Run(
            LinearOperator.FromDense(c),
            new()
            {
                Count = 4,
                End = end,
                Tolerance = 1e-9,
            }
        );
        double[] falling = [.. Values.OrderDescending()];
        double[] expected = end switch
        {
            SpectrumEnd.Largest => falling[..4],
            SpectrumEnd.Smallest => [.. falling[^4..].Reverse()],
            _ => [.. falling[..4], .. falling[^4..]],
        };
        Assert.True(pairs.Converged);
        for (int i = 0; i < expected.Length; i++)
        {
            var v = pairs.Vectors!.select(1, i);
            Assert.Equal(expected[i], pairs.Values[i], 1e-9);
            Assert.True((c.mv(v) - pairs.Values[i] * v).norm().ToDouble() <= pairs.Residuals[i] + 1e-12);
        }
        var gram = pairs.Vectors!.T.mm(pairs.Vectors!);
        Assert.True((gram - eye(expected.Length, dtype: ScalarType.Float64)).abs().max().ToDouble() < 1e-12);
    }

    [Fact]
    public void A_start_near_the_pairs_saves_products()
    {
        using var c = Matrices.With(Values);
        using var perturbed = c + 1e-4 * Matrices.With([.. Values.Reverse()]);
        var op = LinearOperator.FromDense(perturbed);
        var options = new LanczosOptions
        {
            Count = 2,
            BasisSize = 4,
            Tolerance = 1e-4,
        };
        using var cold = Lanczos.Run(op, options);
        using var before = Lanczos.Run(LinearOperator.FromDense(c), options);
        using var sum = 3 * before.Vectors!.sum(dim: 1);
        using var warm = Lanczos.Run(op, options with { Start = sum });
        Assert.True(warm.Converged && cold.Converged);
        Assert.True(warm.Products < cold.Products, $"{warm.Products} of {cold.Products} products");
        Assert.All(warm.Values.Zip(cold.Values), p => Assert.Equal(p.Second, p.First, 1e-6));
        foreach (var bad in (Tensor[])[zeros(120, dtype: ScalarType.Float64), ones(3, dtype: ScalarType.Float64)])
            using (bad)
                Assert.Contains(
                    "[120], finite and not 0",
                    Assert.Throws<ArgumentException>(() => Lanczos.Run(op, options with { Start = bad })).Message,
                    StringComparison.Ordinal
                );
    }

    [Fact]
    public void Restarts_stay_within_the_basis_and_residuals_bound_the_error()
    {
        using var c = Matrices.With([.. Enumerable.Range(1, 300).Select(i => i / 300.0)]); // no gap to help
        var op = LinearOperator.FromDense(c);
        using var small = Lanczos.Run(
            op,
            new()
            {
                Count = 3,
                BasisSize = 12,
                Tolerance = 1e-8,
            }
        );
        Assert.True(small.Converged);
        Assert.True(small.Products > 60);
        for (int i = 0; i < 3; i++)
            Assert.Equal((300 - i) / 300.0, small.Values[i], 1e-9);
        using var early = Lanczos.Run(
            op,
            new()
            {
                Count = 3,
                BasisSize = 12,
                Tolerance = 1e-8,
                MaxProducts = 31,
            }
        );
        Assert.Equal((LanczosStatus.ProductLimit, 31, false), (early.Status, early.Products, early.Converged));
        for (int i = 0; i < 3; i++)
        {
            var v = early.Vectors!.select(1, i);
            Assert.Equal((c.mv(v) - early.Values[i] * v).norm().ToDouble(), early.Residuals[i], 1e-10);
            Assert.True(Enumerable.Range(1, 300).Min(k => Math.Abs(k / 300.0 - early.Values[i])) <= early.Residuals[i]);
        }
    }

    [Theory]
    [InlineData("linear")]
    [InlineData("logistic")]
    [InlineData("softmax")]
    public void Hessians_of_regressions_have_the_spectrum_of_their_closed_forms(string kind)
    {
        var (objective, h) = Matrices.Regression(kind);
        using var pairs = Lanczos.Run(new Hessian(objective), new() { Count = (int)h.shape[0], Tolerance = 1e-10 });
        var (values, _) = linalg.eigh(h);
        double[] expected = [.. values.Elements<double>().Reverse()];
        Assert.True(pairs.Converged);
        Assert.Equal(expected.Length, pairs.Values.Count);
        for (int i = 0; i < expected.Length; i++)
            Assert.Equal(expected[i], pairs.Values[i], 1e-10); // softmax: also the zeros of its six shifts
    }

    [Fact]
    public void Multiple_eigenvalues_zero_and_infinite_operators_are_met()
    {
        using var identity = Lanczos.Run(LinearOperator.FromDense(eye(5, dtype: ScalarType.Float64)), new() { Count = 5 });
        Assert.Equal([1, 1, 1, 1, 1], identity.Values.Select(v => Math.Round(v, 12)));
        using var zero = Lanczos.Run(LinearOperator.FromDense(zeros(6, 6, dtype: ScalarType.Float64)), new() { Count = 2 });
        Assert.True(zero.Converged);
        Assert.Equal([0, 0], zero.Values);
        using var one = Lanczos.Run(LinearOperator.FromDense(ones(1, 1, dtype: ScalarType.Float64)), new() { End = SpectrumEnd.Both });
        Assert.Equal(1, Assert.Single(one.Values), 12);
        using var bad = Lanczos.Run(LinearOperator.FromDense(full([4, 4], double.NaN, dtype: ScalarType.Float64)));
        Assert.Equal(LanczosStatus.NotFinite, bad.Status);
    }

    [Theory, InlineData(ScalarType.Float32), InlineData(ScalarType.Float64)]
    public void Residuals_bound_the_errors_of_long_vectors_too(ScalarType type)
    {
        const int Dimension = 200_003;
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var diagonal = rand(Dimension, dtype: type, generator: generator);
        diagonal[5] = 50;
        diagonal[77] = diagonal[1000] = 40;
        var op = LinearOperator.FromFunction(Dimension, type, v => v * diagonal.unsqueeze(1));
        using var pairs = Lanczos.Run(op, new() { Count = 2, Tolerance = 1e-14 });
        Assert.All(pairs.Values.Zip(pairs.Residuals, [50.0, 40.0]), p => Assert.InRange(Math.Abs(p.First - p.Third), 0, p.Second));
        foreach (var (i, residual) in pairs.Residuals.Index())
        {
            var x = pairs.Vectors!.select(1, i).to_type(ScalarType.Float64);
            Assert.InRange((x * diagonal - pairs.Values[i] * x).norm().ToDouble(), 0, residual);
        }
    }

    [Fact]
    public void Seed_vectors_and_stop_are_obeyed_and_nothing_leaks()
    {
        var op = Matrices.Operator(Values);
        var options = new LanczosOptions { Count = 2, MaxProducts = 5 };
        using var a = Lanczos.Run(op, options);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        using var same = Lanczos.Run(op, options with { Vectors = false });
        using var other = Lanczos.Run(op, options with { Vectors = false, Seed = 1 });
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        Assert.Null(same.Vectors);
        Assert.Equal(a.Values, same.Values);
        Assert.NotEqual(a.Values, other.Values);
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        using var stopped = Lanczos.Run(op, options, null, stop.Token);
        Assert.Equal((LanczosStatus.Interrupted, 1, 1), (stopped.Status, stopped.Products, stopped.Values.Count));
    }

    [Fact]
    public void Float32_reports_residuals_that_rounding_allows()
    {
        using var c = Matrices.With(Values).to_type(ScalarType.Float32);
        using var pairs = Lanczos.Run(LinearOperator.FromDense(c), new() { Count = 3, Tolerance = 1e-12 });
        Assert.True(pairs.Converged);
        Assert.All(pairs.Residuals, r => Assert.True(r >= 1e-6));
        Assert.Equal(20, pairs.Values[0], 1e-4);
    }

    [Fact]
    public void Long_float32_vectors_lose_no_digits()
    {
        const int D = 2_000_000;
        using var scope = NewDisposeScope();
        var values = linspace(0, 1, D, dtype: ScalarType.Float32);
        (values[1000], values[1_000_000]) = (tensor(10f), tensor(7f));
        var op = LinearOperator.FromFunction(D, ScalarType.Float32, v => values.unsqueeze(1) * v);
        using var pairs = Lanczos.Run(
            op,
            new()
            {
                Count = 2,
                BasisSize = 12,
                Tolerance = 1e-5,
            }
        );
        Assert.True(pairs.Converged);
        Assert.Equal(10, pairs.Values[0], 1e-5);
        Assert.Equal(7, pairs.Values[1], 1e-5);
        Assert.Equal(1, pairs.Vectors!.select(1, 0).square().sum().ToDouble(), 1e-5);
        var density = LanczosQuadrature.Run(
            op,
            new()
            {
                Probes = 3,
                Steps = 6,
                MemoryLimit = 0,
            }
        );
        Assert.Equal(0.5, density.Mean(x => x).Value, 2e-3);
        Assert.Equal(1 / 3.0, density.Mean(x => x * x).Value, 2e-3);
    }

    [Fact]
    public void Condition_number_is_the_ratio_of_the_ends()
    {
        double[] values = [.. Enumerable.Range(1, 50).Select(i => (double)i)];
        var op = Matrices.Operator(values);
        Assert.Equal(50, ConditionNumber.Of(op).Value, 1e-6);
        Assert.Equal(60 / 11.0, ConditionNumber.Of(op, 10).Value, 1e-6);
        var (rough, better) = (
            ConditionNumber.Of(op, 0, new() { MaxProducts = 12 }),
            ConditionNumber.Of(op, 0, new() { MaxProducts = 45 })
        );
        Assert.True(better.StandardError < rough.StandardError / 10, $"{rough} {better}");
        Assert.InRange(Math.Abs(better.Value - 50), 0, better.StandardError);
        Assert.Equal(double.PositiveInfinity, ConditionNumber.Of(op, -1).Value);
    }
}
