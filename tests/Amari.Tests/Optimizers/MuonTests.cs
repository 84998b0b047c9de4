using Amari.Optimizers;
using Amari.Tests.Contracts;
using Amari.Training;
using Amari.Verification;
using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>Muon: its products, which matrices it takes, its length of a step.</summary>
public sealed class MuonTests
{
    [Fact]
    public void Each_option_of_Muon_changes_the_trajectory() =>
        AllDiffer(
            g => new Muon(g),
            new Muon.Options(),
            new() { LearningRate = 0.1 },
            new() { Maximize = true },
            new() { Momentum = 0.5 },
            new() { Nesterov = false },
            new() { Iterations = 3 },
            new() { Precision = MatmulPrecision.BFloat16 },
            new() { WeightDecay = 0.1 },
            new() { Cautious = true },
            new() { Orthogonalise = false },
            new() { MaxGrowth = 1.01 },
            new() { FallbackScale = 0.2 },
            new() { Beta1 = 0.5 },
            new() { Beta2 = 0.5 },
            new() { Epsilon = 0.1 }
        );

    [Theory, InlineData(300), InlineData(3000)]
    public void Steps_without_gradients_leave_the_bound_on_growth(int zeroSteps)
    {
        using var scope = NewDisposeScope();
        manual_seed(2);
        var w = nn.Parameter(randn(4, 6));
        using var o = new Muon([w]);
        for (int step = 0; step < 50; step++)
            Step(1e-3);
        for (int step = 0; step < zeroSteps; step++)
            Step(0);
        using var before = w.clone();
        for (int step = 0; step < 10; step++)
            Step(1e-3);
        Assert.InRange((w - before).norm().ToDouble(), 0.01, 1);

        void Step(double gradient)
        {
            w.grad = full(4, 6, gradient);
            o.step();
        }
    }

    /// <summary>Without a bound it decides the direction for a hundred and fifty steps: 10⁴ μᵏ.</summary>
    [Fact]
    public void A_huge_gradient_is_forgotten_within_forty_steps()
    {
        using var scope = NewDisposeScope();
        Assert.InRange(Difference(20), 0, 1);
        Assert.InRange(Difference(null), 100, double.PositiveInfinity);

        static double Difference(double? growth)
        {
            var (with, without) = (Momentum(growth, true), Momentum(growth, false));
            return ((with - without).norm() / without.norm()).ToDouble();
        }

        static Tensor Momentum(double? growth, bool odd)
        {
            using var generator = new Generator(3);
            var w = new Parameter(zeros(6, 8));
            using var o = new Muon([new ParameterGroup<Muon.Options>([("w", w)], new() { MaxGrowth = growth })]);
            for (int i = 0; i < 100; i++)
            {
                w.grad = randn([6, 8], generator: generator) * (odd && i == 60 ? 1e4 : 1);
                o.step();
            }
            return o.Snapshot().Tensors["w.Momentum"].clone();
        }
    }

    [Fact]
    public void Newton_Schulz_follows_the_reference()
    {
        var trace = GoldenTests.Read("newton_schulz");
        foreach (var item in trace["cases"]!.AsArray())
        {
            using var input = GoldenTests.ToTensor(item!["input"]!, ScalarType.Float64);
            using var result = Muon.Orthogonal(input, (int)trace["steps"]!);
            using var expected = GoldenTests.ToTensor(item["output"]!, ScalarType.Float64);
            Near(Problem.Values([expected]), Problem.Values([result]), 1e-12);
        }
    }

    /// <summary>Every singular value s, by a decomposition, goes to that of s / ‖M‖ under s ← a s + b s³ + c s⁵.</summary>
    [Theory, InlineData(270, 330), InlineData(600, 270), InlineData(260, 260), InlineData(7, 40), InlineData(40, 7)]
    public void Newton_Schulz_maps_singular_values(long rows, long columns)
    {
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var full = randn([rows, columns], dtype: ScalarType.Float64, generator: generator);
        var short5 = randn([rows, 5], dtype: ScalarType.Float64, generator: generator)
            .mm(randn([5, columns], dtype: ScalarType.Float64, generator: generator));
        // in bfloat16 what has no singular value grows from rounding
        foreach (var (matrix, single, half) in new[] { (full, 1e-4, 0.1), (short5, 1e-2, 1) })
        foreach (int iterations in new[] { 1, 5, 12 })
        {
            var expected = Iterated(matrix, iterations);
            double Error(Tensor actual) => (actual.to_type(ScalarType.Float64).sub(expected).norm() / expected.norm()).ToDouble();
            Assert.InRange(Error(Muon.Orthogonal(matrix, iterations)), 0, 1e-8);
            if (iterations > 5 && half == 1)
                continue; // nor do float32's last bits stay small
            Assert.InRange(Error(Muon.Orthogonal(matrix.to_type(ScalarType.Float32), iterations)), 0, single);
            var shorter = Muon.Orthogonal(matrix.to_type(ScalarType.Float32), iterations, MatmulPrecision.BFloat16);
            Assert.Equal(ScalarType.Float32, shorter.dtype);
            Assert.InRange(Error(shorter), 1e-4, half);
        }
    }

    /// <summary>The momentum by hand, the iteration by its singular values. The scale is that of the flattened kernel: Jordan's code has
    /// max(1, height / width) there.</summary>
    [Theory]
    [
        InlineData(true, 1.0, 4, 3, 3, 3),
        InlineData(true, 40 / 6.0, 40, 1, 2, 3),
        InlineData(true, 8 / 3.0, 8, 3),
        InlineData(true, 1.0, 3, 8)
    ]
    [
        InlineData(false, 1.0, 4, 3, 3, 3),
        InlineData(false, 40 / 6.0, 40, 1, 2, 3),
        InlineData(false, 8 / 3.0, 8, 3),
        InlineData(false, 1.0, 3, 8)
    ]
    public void Muon_follows_its_equations(bool nesterov, double ratio, params int[] sides)
    {
        const double Rate = 0.05,
            Decay = 0.1,
            Momentum = 0.8;
        using var scope = NewDisposeScope();
        long[] shape = [.. sides.Select(s => (long)s)];
        var p = Problem.Parameters([shape], ScalarType.Float64);
        using var o = new Muon([
            ParameterGroup.Of(
                p,
                new Muon.Options()
                {
                    LearningRate = Rate,
                    WeightDecay = Decay,
                    Momentum = Momentum,
                    Nesterov = nesterov,
                }
            ),
        ]);
        Tensor w = p[0].detach().flatten(1).clone(),
            b = zeros_like(w);
        for (int t = 0; t < 6; t++)
        {
            Problem.SetGradients(p, t);
            var g = p[0].grad!.flatten(1).clone();
            o.step();
            b = Momentum * b + (1 - Momentum) * g;
            w = (1 - Rate * Decay) * w - Rate * Math.Sqrt(ratio) * Iterated(nesterov ? Momentum * b + (1 - Momentum) * g : b, 5);
            Near(Problem.Values([w]), Problem.Values(p), 1e-9);
        }
    }

    /// <summary>U p(..p(S / ‖M‖)) V' of M = U S V', p(s) = a s + b s³ + c s⁵.</summary>
    private static Tensor Iterated(Tensor matrix, int iterations)
    {
        var (u, s, vh) = linalg.svd(matrix, fullMatrices: false);
        s = s.where(s > 1e-10 * s.max(), zeros_like(s)).div_(matrix.norm() + 1e-7);
        for (int i = 0; i < iterations; i++)
            s = 3.4445 * s - 4.7750 * s.pow(3) + 2.0315 * s.pow(5);
        return u.mul(s).mm(vh);
    }

    [Fact]
    public void Iterations_in_bfloat16_are_logged()
    {
        var p = Problem.Parameters([
            [6, 5],
            [7],
        ]);
        using var o = new Muon([new([("w", p[0]), ("b", p[1])], new() { Precision = MatmulPrecision.BFloat16 })]);
        Assert.Equal(["a matrix, in bfloat16", "not a matrix"], o.Coverage.Rows.Select(r => r.Reason));
    }

    [Fact]
    public void Muon_moves_along_an_orthogonal_gradient()
    {
        using var scope = NewDisposeScope();
        var q = linalg
            .qr(
                Problem
                    .Parameters(
                        [
                            [5, 5],
                        ],
                        ScalarType.Float64
                    )[0]
                    .detach()
            )
            .Q;
        double s = 1 / Math.Sqrt(5); // the singular values of Q / ‖Q‖, which all go the same way
        for (int i = 0; i < 5; i++)
            s = s * (3.4445 + s * s * (-4.7750 + s * s * 2.0315));
        var w = nn.Parameter(zeros(5, 5, dtype: ScalarType.Float64));
        w.grad = q;
        using var o = new Muon([ParameterGroup.Of([w], new Muon.Options() { LearningRate = 1 })]);
        o.step();
        Near(Problem.Values([q.mul(-s)]), Problem.Values([w]), 1e-6);
    }

    [Fact]
    public void Muon_leaves_vectors_and_unwanted_matrices_to_AdamW()
    {
        var p = Problem.Parameters([
            [6, 5],
            [7],
            [4, 3, 3, 3],
        ]);
        using var o = new Muon([new([("w", p[0]), ("b", p[1]), ("k", p[2])], new())]);
        Assert.Equal(["Muon", "AdamW", "Muon"], o.Coverage.Rows.Select(r => r.Block));
        Near(
            Run(s => new AdamW(
                s.Groups(
                    new AdamW.Options()
                    {
                        LearningRate = 1e-3,
                        Beta2 = 0.95,
                        WeightDecay = 0,
                    }
                )
            )),
            Run(s => new Muon(s.Groups(new Muon.Options() { Orthogonalise = false }))),
            1e-14
        );
    }
}
