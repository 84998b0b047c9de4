using Amari.Cli.Lecture;
using Amari.Curvature;
using Amari.Native;
using Amari.Solvers;
using Amari.Spectrum;
using Amari.Training;

namespace Amari.Tests.Spectrum;

/// <summary>Traces, diagonals and norms against matrices that are known; each over many seeds, so that the errors themselves are
/// checked.</summary>
public class EstimateTests
{
    private const int D = 100,
        Seeds = 40;
    private static readonly double[] Values = Matrices.Network(D);

    public static TheoryData<string> Estimators => ["hutchinson", "hutch++", "xtrace", "frobenius"];

    private static Estimate Estimator(string name, LinearOperator op, int products, long seed) =>
        name switch
        {
            "hutchinson" => Hutchinson.Trace(op, products, seed),
            "hutch++" => HutchPlusPlus.Trace(op, products, seed),
            "xtrace" => XTrace.Trace(op, products, seed),
            _ => Hutchinson.FrobeniusNorm(op, products, seed),
        };

    private static double Truth(string name) => name == "frobenius" ? Math.Sqrt(Values.Sum(x => x * x)) : Values.Sum();

    [Theory, MemberData(nameof(Estimators))]
    public void Estimates_are_unbiased_and_their_errors_are_honest(string name)
    {
        var op = Matrices.Operator(Values);
        var estimates = Enumerable.Range(0, Seeds).Select(s => Estimator(name, op, 30, s)).ToList();
        double mean = estimates.Average(e => e.Value),
            spread = Math.Sqrt(estimates.Sum(e => Math.Pow(e.Value - mean, 2)) / (Seeds - 1));
        Assert.True(
            Math.Abs(mean - Truth(name)) <= 3 * spread / Math.Sqrt(Seeds) + (name == "frobenius" ? 0.02 * Truth(name) : 0),
            $"{mean}, not {Truth(name)}, spread {spread}"
        ); // a root is biased by its variance
        Assert.InRange(estimates.Average(e => e.StandardError) / spread, 0.6, 1.6);
        Assert.InRange(estimates.Count(e => Math.Abs(e.Value - Truth(name)) <= 3 * e.StandardError), 0.9 * Seeds, Seeds);
        Assert.Equal(estimates[0], Estimator(name, op, 30, 0));
        Assert.NotEqual(estimates[0].Value, Estimator(name, op, 36, 0).Value);
    }

    [Fact]
    public void Where_the_spectrum_decays_XTrace_beats_Hutch_plus_plus_beats_Hutchinson()
    {
        var op = Matrices.Operator([.. Enumerable.Range(0, D).Select(i => Math.Exp(-0.3 * i))]);
        double truth = Enumerable.Range(0, D).Sum(i => Math.Exp(-0.3 * i));
        double Error(string name) => Math.Sqrt(Enumerable.Range(0, 10).Average(s => Math.Pow(Estimator(name, op, 36, s).Value - truth, 2)));
        Assert.True(Error("xtrace") < Error("hutch++") / 3);
        Assert.True(Error("hutch++") < Error("hutchinson") / 3);
    }

    [Theory]
    [InlineData("hutch++")]
    [InlineData("xtrace")]
    public void Low_rank_and_small_matrices_are_exact(string name)
    {
        double[] lowRank = [5, 3, 1, .. new double[37]];
        Assert.Equal(9, Estimator(name, Matrices.Operator(lowRank), 24, 0).Value, 1e-8);
        Assert.Equal(0, Estimator(name, LinearOperator.FromDense(zeros(9, 9, dtype: ScalarType.Float64)), 6, 0).Value, 1e-12);
        Assert.Equal(
            (6.0, 0.0),
            Estimator(name, Matrices.Operator([1, 2, 3]), 12, 0) is var e ? (Math.Round(e.Value, 10), e.StandardError) : default
        );
    }

    [Fact]
    public void Diagonal_is_unbiased_with_honest_errors_and_exact_for_low_rank()
    {
        using var c = Matrices.With(Values);
        var op = LinearOperator.FromDense(c);
        using var scope = NewDisposeScope();
        var runs = Enumerable.Range(0, Seeds).Select(s => XDiag.Diagonal(op, 40, s)).ToList();
        var values = stack(runs.Select(r => r.Value));
        var mean = values.mean([0]);
        var spread = values.std(0);
        Assert.True((mean - c.diagonal()).abs().le(3 * spread / Math.Sqrt(Seeds)).sum().ToInt64() >= 0.97 * D);
        Assert.InRange((stack(runs.Select(r => r.StandardError)).mean([0]) / spread).mean().ToDouble(), 0.6, 1.6);
        Assert.NotEqual(0, (runs[0].Value - runs[1].Value).abs().max().ToDouble());

        using var lowRank = Matrices.With([5, 3, 1, .. new double[37]]);
        var (value, error) = XDiag.Diagonal(LinearOperator.FromDense(lowRank), 24);
        Assert.True((value - lowRank.diagonal()).abs().max().ToDouble() < 1e-8);
        Assert.True(error.max().ToDouble() < 1e-8);
        using var tiny = Matrices.With([1, 2, 3]);
        var (exact, none) = XDiag.Diagonal(LinearOperator.FromDense(tiny));
        Assert.True((exact - tiny.diagonal()).abs().max().ToDouble() < 1e-12);
        Assert.Equal(0, none.max().ToDouble());
    }

    [Fact]
    public void Probes_are_independent_of_weights_drawn_from_the_same_seed()
    {
        // A matrix that is large along the vector that torch draws from the seed, as curvature is along weights.
        const int N = 2000;
        using var scope = NewDisposeScope();
        manual_seed(0);
        var w = randn(N, dtype: ScalarType.Float64);
        w /= w.norm();
        var op = LinearOperator.FromFunction(N, ScalarType.Float64, v => w.unsqueeze(1) * w.unsqueeze(0).mm(v));
        // 1 for w itself, 1 / N on average
        Assert.All(LanczosQuadrature.Run(op, new() { Probes = 5, Steps = 2 }).Probes, p => Assert.InRange(p.Sum(x => x), 0, 0.01));
    }

    [Theory, MemberData(nameof(Estimators))]
    public void A_matrix_of_NaN_has_no_estimate_and_no_error(string name)
    {
        using var scope = NewDisposeScope();
        var op = LinearOperator.FromDense(full([4, 4], double.NaN, dtype: ScalarType.Float64));
        foreach (int products in (int[])[6, 30]) // fewer probes than dimensions, and as many
            Assert.Equal(new Estimate(double.NaN, double.NaN), Estimator(name, op, products, 0));
        var (value, error) = XDiag.Diagonal(op);
        Assert.True(value.isnan().all().ToBoolean() && error.isnan().all().ToBoolean());
    }

    [Fact]
    public void Nothing_leaks()
    {
        var op = Matrices.Operator(Values);
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        foreach (string name in (string[])["hutchinson", "hutch++", "xtrace", "frobenius"])
            Estimator(name, op, 12, 0);
        var (value, error) = XDiag.Diagonal(op, 12);
        value.Dispose();
        error.Dispose();
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void Gradient_noise_scale_is_that_of_the_examples_gradients()
    {
        // L = mean ½|w - xₙ|²: each gradient is w - xₙ, so Σ is the covariance of x and G = w - E x.
        manual_seed(3);
        const int N = 2400,
            In = 8;
        using var x = randn(N, In, dtype: ScalarType.Float64) * tensor([1.0, 2, 3, 1, 1, 1, 1, 1]);
        var model = new Shift(In);
        foreach (int size in (int[])[6, 10, 70]) // 70 leaves a smaller last batch
        {
            var batches = Enumerable
                .Range(0, (N + size - 1) / size)
                .Select(b => x.narrow(0, b * size, Math.Min(size, N - b * size)))
                .Select(b => (b, zeros_like(b)))
                .ToArray();
            var noise = GradientNoiseScale.Of(new Objective(model, new Gaussian(), batches));
            Within(19, noise.Covariance);
            Within(8 * 0.25, noise.SquaredGradient);
            Within(9.5, noise.Scale);
            var summed = GradientNoiseScale.Of(new Objective(model, new Gaussian(), batches, reduction: LossReduction.Sum));
            Assert.Equal(noise, summed);
        }
        Assert.Throws<ArgumentException>(() => GradientNoiseScale.Of(new Objective(model, new Gaussian(), [(x, zeros_like(x))])));
        var classes = nn.Linear(4, 3, dtype: ScalarType.Float64);
        (Tensor, Tensor)[] labelled = [.. Enumerable.Range(0, 3).Select(_ => (randn(8, 4, dtype: ScalarType.Float64), randint(3, [8])))];
        Assert.Equal( // a batch without labels is none
            GradientNoiseScale.Of(new Objective(classes, new Categorical(), labelled)),
            GradientNoiseScale.Of(new Objective(classes, new Categorical(), [.. labelled, (labelled[0].Item1, full(8, -100L))]))
        );

        static void Within(double expected, Estimate estimate) =>
            Assert.True(
                Math.Abs(estimate.Value - expected) <= 3 * estimate.StandardError && estimate.StandardError < 0.2 * expected,
                $"{estimate}, not {expected}"
            );
    }

    private sealed class Shift : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter w;

        public Shift(int size)
            : base(nameof(Shift))
        {
            w = nn.Parameter(full([size], 0.5, dtype: ScalarType.Float64));
            RegisterComponents();
        }

        public override Tensor forward(Tensor input) => w - input;
    }

    [Theory]
    [
        InlineData(ScalarType.Float32, 1e-20),
        InlineData(ScalarType.Float32, 1e-30),
        InlineData(ScalarType.Float32, 1e20),
        InlineData(ScalarType.Float32, 1e30)
    ]
    [InlineData(ScalarType.Float64, 1e-20), InlineData(ScalarType.Float64, 1e-150), InlineData(ScalarType.Float64, 1e150)]
    public void Estimates_do_not_depend_on_the_scale(ScalarType type, double scale)
    {
        using var scope = NewDisposeScope();
        var c = Matrices.With(Matrices.Network(20));
        double power = Math.ScaleB(1, Math.ILogB(scale));
        LinearOperator plain = LinearOperator.FromDense(c.to_type(type)),
            scaled = LinearOperator.FromDense((c * power).to_type(type));
        double tolerance = type == ScalarType.Float64 ? 1e-9 : 2e-4;
        void Near(double expected, double actual, double unit = 1) =>
            Assert.InRange(actual / unit, expected - tolerance * Math.Abs(expected), expected + tolerance * Math.Abs(expected));
        foreach (string name in new[] { "hutchinson", "hutch++", "xtrace", "frobenius" })
        {
            var (e, a) = (Estimator(name, plain, 12, 1), Estimator(name, scaled, 12, 1));
            Near(e.Value, a.Value, power);
            Near(e.StandardError, a.StandardError, power);
        }
        foreach (
            var diagonal in new Func<LinearOperator, Tensor>[]
            {
                op => XDiag.Diagonal(op, 12).Value,
                op => XDiag.Diagonal(op, 12).StandardError,
                op => XDiag.Diagonal(op, 80).Value,
                op => Hutchinson.Diagonal(op, 3),
            }
        )
        foreach (var (e, a) in diagonal(plain).Elements<double>().Zip(diagonal(scaled).Elements<double>()))
            Near(e, a, power);
        using Eigenpairs first = Lanczos.Run(plain, new() { Count = 3 }),
            second = Lanczos.Run(scaled, new() { Count = 3 });
        Assert.Equal((LanczosStatus.Converged, first.Products), (second.Status, second.Products));
        foreach (var (e, a) in first.Values.Zip(second.Values))
            Near(e, a, power);
        foreach (long memory in new[] { 0L, 1L << 30 })
        {
            var (e, a) = (
                LanczosQuadrature.Run(plain, new() { Probes = 3, MemoryLimit = memory }),
                LanczosQuadrature.Run(scaled, new() { Probes = 3, MemoryLimit = memory })
            );
            Near(e.High, a.High, power);
            Near(e.EffectiveRank().Value, a.EffectiveRank().Value);
            Near(e.EffectiveRank().StandardError, a.EffectiveRank().StandardError);
            Near(e.Trace(x => x).Value, a.Trace(x => x).Value, power);
            Assert.All(a.Smooth(50), p => Assert.True(double.IsFinite(p.Density.Value)));
        }
        Near(ConditionNumber.Of(plain, 1).Value, ConditionNumber.Of(scaled, power).Value);
    }

    [Theory]
    [InlineData(ScalarType.Float32), InlineData(ScalarType.Float64)]
    public void Of_nothing_everything_is_zero(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var nothing = LinearOperator.FromDense(zeros(20, 20, dtype: type));
        foreach (string name in new[] { "hutchinson", "hutch++", "xtrace", "frobenius" })
            Assert.Equal(new Estimate(0, 0), Estimator(name, nothing, 12, 1));
        var (value, error) = XDiag.Diagonal(nothing, 12);
        Assert.All(value.Elements<double>().Concat(error.Elements<double>()), x => Assert.Equal(0, x));
        using var pairs = Lanczos.Run(nothing, new() { Count = 3 });
        Assert.Equal(LanczosStatus.Converged, pairs.Status);
        Assert.All(pairs.Values, x => Assert.Equal(0, x));
        var density = LanczosQuadrature.Run(nothing, new() { Probes = 3 });
        Assert.Equal((new Estimate(0, 0), new Estimate(0, 0)), (density.EffectiveRank(), density.Trace(x => x)));
        Assert.All(density.Smooth(50), p => Assert.True(double.IsFinite(p.Density.Value)));
        Assert.Equal(double.PositiveInfinity, ConditionNumber.Of(nothing).Value);
    }
}
