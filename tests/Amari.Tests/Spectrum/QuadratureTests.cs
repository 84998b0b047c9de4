using Amari.Cli.Lecture;
using Amari.Curvature;
using Amari.Solvers;
using Amari.Spectrum;
using Amari.Training;

namespace Amari.Tests.Spectrum;

/// <summary>Densities and sums over eigenvalues against spectra that are known.</summary>
public class QuadratureTests
{
    private static readonly double[] Values = Matrices.Network(150);

    private static void Within(double expected, Estimate estimate)
    {
        Assert.True(estimate.StandardError > 0);
        Assert.True(Math.Abs(estimate.Value - expected) <= 3 * estimate.StandardError, $"{estimate}, not {expected}");
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(2)]
    public void Density_integrates_to_one_and_its_moments_are_the_traces(long seed)
    {
        var density = LanczosQuadrature.Run(
            Matrices.Operator(Values),
            new()
            {
                Probes = 12,
                Steps = 60,
                Seed = seed,
            }
        );
        Assert.All(density.Probes, p => Assert.Equal(1, p.Weights.Sum(), 1e-12));
        Within(Values.Average(), density.Mean(x => x));
        Within(Values.Average(x => x * x), density.Mean(x => x * x));
        var grid = density.Smooth(400);
        double step = grid[1].Lambda - grid[0].Lambda,
            sigma = (density.High - density.Low) / 100;
        Assert.InRange(grid.Sum(p => p.Density.Value) * step, 0.99, 1.01);
        Assert.Equal(density.Mean(x => x).Value, grid.Sum(p => p.Lambda * p.Density.Value) * step, 1e-3);
        Assert.Equal(density.Mean(x => x * x).Value + sigma * sigma, grid.Sum(p => p.Lambda * p.Lambda * p.Density.Value) * step, 1e-2);
        // The true density, smoothed alike, lies within the error bars (a random share of 1 in 300 may not).
        Assert.True(
            grid.Count(p =>
                Math.Abs(
                    p.Density.Value
                        - Values.Average(x => Math.Exp(-0.5 * Math.Pow((p.Lambda - x) / sigma, 2)) / (sigma * Math.Sqrt(2 * Math.PI)))
                )
                <= 3 * p.Density.StandardError + 1e-9
            )
                > 0.9 * grid.Count
        );
    }

    /// <summary>The smallest eigenvalue that `amari spectrum` gives: with few steps one is within its residual, with more it is the
    /// smallest.</summary>
    [Theory, InlineData(6), InlineData(40), InlineData(150)]
    public void The_smallest_eigenvalue_is_within_its_residual(int steps)
    {
        double[] values = [.. Values.Select((x, i) => i % 7 == 0 ? -x / 3 : x)];
        var (value, residual) = LanczosQuadrature.Run(Matrices.Operator(values), new() { Probes = 3, Steps = steps }).Smallest;
        const double Rounding = 1e-13; // of the matrix
        Assert.InRange(values.Min(x => Math.Abs(x - value)), 0, residual + Rounding);
        Assert.InRange(value, values.Min() - residual - Rounding, values.Max());
        if (steps >= 40)
        {
            Assert.Equal(values.Min(), value, 1e-9);
            Assert.InRange(residual, 0, 1e-9);
        }
    }

    [Fact]
    public void Every_probe_is_exact_for_moments_below_twice_its_steps()
    {
        using var c = Matrices.With(Values);
        Tensor? v = null; // the probe, as the operator meets it
        var op = Amari.Solvers.LinearOperator.FromFunction(
            150,
            ScalarType.Float64,
            x =>
            {
                v ??= x.select(1, 0).clone().DetachFromDisposeScope();
                return c.mm(x);
            }
        );
        var one = LanczosQuadrature
            .Run(
                op,
                new()
                {
                    Probes = 1,
                    Steps = 3,
                    Seed = 4,
                }
            )
            .Probes[0];
        Assert.Equal(1, v!.norm().ToDouble(), 1e-12);
        var power = v;
        for (int k = 0; k <= 5; k++, power = c.mv(power))
            Assert.Equal(v.dot(power).ToDouble(), one.Sum(x => Math.Pow(x, k)), 1e-9 * Math.Pow(20, k));
    }

    [Fact]
    public void Sums_over_eigenvalues_are_within_three_standard_errors()
    {
        var density = LanczosQuadrature.Run(Matrices.Operator(Values), new() { Probes = 20, Seed = 3 });
        Within(Values.Sum(x => Math.Log(x + 0.1)), density.LogDeterminant(0.1));
        Within(Values.Sum(Math.Log), density.LogDeterminant());
        Within(Values.Sum(x => x / (x + 0.5)), density.EffectiveDimension(0.5));
        double total = Values.Sum();
        Within(Math.Exp(-Values.Sum(x => x / total * Math.Log(x / total))), density.EffectiveRank());
        Assert.True(double.IsNaN(density.LogDeterminant(-10).Value));
        Assert.True(double.IsNaN(LanczosQuadrature.Run(Matrices.Operator(Values), new() { Probes = 1 }).Mean(x => x).StandardError));
    }

    [Fact]
    public void A_whole_space_is_exact_and_an_exhausted_one_ends_early()
    {
        var flat = LanczosQuadrature.Run(Matrices.Operator([.. Enumerable.Repeat(2.0, 30)]), new() { Probes = 3 });
        Assert.All(flat.Probes, p => Assert.Equal((1, 2.0), (p.Nodes.Count, Math.Round(p.Nodes[0], 12))));
        Assert.Equal(30, flat.EffectiveRank().Value, 1e-9);
        Assert.Equal(30 * Math.Log(2), flat.LogDeterminant().Value, 1e-9);
        Assert.InRange(flat.Smooth(10).Count, 10, 1_000_000);
        var wide = LanczosQuadrature.Run(Matrices.Operator([0, 1]), new() { Probes = 2 });
        var grid = wide.Smooth(10, 2e-6);
        Assert.Equal(1, grid.Sum(p => p.Density.Value) * (grid[1].Lambda - grid[0].Lambda), 1e-3);
        Assert.Throws<ArgumentOutOfRangeException>(() => wide.Smooth(10, 1e-7));
        var small = LanczosQuadrature.Run(Matrices.Operator([1, 2, 3]), new() { Probes = 2 });
        Assert.All(small.Probes, p => Assert.Equal([1, 2, 3], p.Nodes.Select(x => Math.Round(x, 9))));
    }

    [Fact]
    public void Memory_limit_probes_steps_seed_and_stop_are_obeyed()
    {
        var op = Matrices.Operator(Values);
        var options = new LanczosQuadrature.Options { Probes = 6, Steps = 40 };
        var all = LanczosQuadrature.Run(op, options);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        var two = LanczosQuadrature.Run(op, options with { MemoryLimit = 2 * 40 * 150 * 8 });
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        for (int i = 0; i < 6; i++)
            Assert.Equal(all.Probes[i].Sum(Math.Exp), two.Probes[i].Sum(Math.Exp), 1e-3);
        var none = LanczosQuadrature.Run(op, options with { MemoryLimit = 0 });
        Assert.Equal((true, false), (two.Reorthogonalised, none.Reorthogonalised));
        Assert.True(none.Probes[0].Nodes.Count(x => x > 15) > 1); // copies of the outlier at 20
        for (int i = 0; i < 6; i++)
            Assert.Equal(all.Probes[i].Sum(x => Math.Log(1 + x)), none.Probes[i].Sum(x => Math.Log(1 + x)), 1e-6);
        Assert.Equal(10, LanczosQuadrature.Run(op, options with { Steps = 10 }).Probes[0].Nodes.Count);
        Assert.NotEqual(all.Mean(x => x), LanczosQuadrature.Run(op, options with { Seed = 1 }).Mean(x => x));
        using var stop = new CancellationTokenSource();
        stop.Cancel();
        var stopped = LanczosQuadrature.Run(op, options with { MemoryLimit = 2 * 40 * 150 * 8 }, null, stop.Token);
        Assert.Equal((2, 1), (stopped.Probes.Count, stopped.Probes[0].Nodes.Count));
    }

    [Fact]
    public void A_network_s_density_has_the_moments_of_its_dense_matrix()
    {
        manual_seed(2);
        var model = nn.Sequential(("a", nn.Linear(5, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 3))).to(ScalarType.Float64);
        (Tensor, Tensor)[] batches = [(randn(20, 5, dtype: ScalarType.Float64), randint(0, 3, [20], dtype: ScalarType.Int64))];
        var hessian = new Hessian(new Objective(model, new Categorical(), batches));
        using var dense = hessian.ToDense();
        var density = LanczosQuadrature.Run(hessian, new() { Probes = 15 });
        Within(dense.trace().ToDouble(), density.Trace(x => x));
        Within(dense.square().sum().ToDouble(), density.Trace(x => x * x));
    }
}
