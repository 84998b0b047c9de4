using Amari.Tests.Optimizers;
using Amari.Training;
using Amari.Verification;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Kernels;

/// <summary>The kernels against the torch lines that they replace.</summary>
public sealed class FusedStepTests
{
    [Theory, MemberData(nameof(OptimizerCases.FusedNames), MemberType = typeof(OptimizerCases))]
    public void Equal_the_torch_lines_for_all_small_lengths(string name)
    {
        long[][] shapes =
        [
            .. Enumerable.Range(0, 257).Select(n => new long[] { n }),
            [],
            [3, 5, 7],
            [1, 1],
            [127, 513],
            [2, 3, 1, 2, 1, 2, 5],
        ];
        AssertSame(name, Problem.Parameters(shapes), Problem.Parameters(shapes), 2e-6);
    }

    [Theory, MemberData(nameof(OptimizerCases.FusedNames), MemberType = typeof(OptimizerCases))]
    public void Equal_the_torch_lines_on_bfloat16_but_for_rare_roundings(string name)
    {
        long[][] shapes =
        [
            [1],
            [33],
            [31, 257],
            [4096],
        ];
        Parameter[] fused = Problem.Parameters(shapes, ScalarType.BFloat16),
            plain = Problem.Parameters(shapes, ScalarType.BFloat16);
        AssertSame(name, fused, plain, 1.0 / 128);
        Assert.InRange(Problem.Values(fused).Zip(Problem.Values(plain)).Count(p => p.First != p.Second), 0, 12);
        Assert.Equal(ScalarType.BFloat16, fused[0].dtype);
    }

    [Theory, MemberData(nameof(OptimizerCases.FusedNames), MemberType = typeof(OptimizerCases))]
    public void Equal_the_torch_lines_on_misaligned_views(string name)
    {
        Parameter[] Views() =>
            [.. Enumerable.Range(1, 5).Select(i => nn.Parameter(arange(0, 300, dtype: ScalarType.Float32).div_(300).narrow(0, i, 250)))];
        AssertSame(name, Views(), Views(), 2e-6);
    }

    [Theory, MemberData(nameof(OptimizerCases.FusedNames), MemberType = typeof(OptimizerCases))]
    public void Leave_what_they_cannot_do_to_the_torch_lines(string name)
    {
        Parameter[] Mixed() =>
            [
                nn.Parameter(linspace(-1, 1, 12).reshape(3, 4).t()), // not contiguous
                nn.Parameter(linspace(-1, 1, 12, dtype: ScalarType.Float64)),
                nn.Parameter(linspace(-1, 1, 12).to_type(ScalarType.Float16)),
                nn.Parameter(linspace(-1, 1, 12)),
            ];
        AssertSame(name, Mixed(), Mixed(), 2e-6);
    }

    [Theory, MemberData(nameof(OptimizerCases.FusedNames), MemberType = typeof(OptimizerCases))]
    public void Follow_gradients_and_parameters_that_change_under_them(string name)
    {
        Parameter fused =
                Problem.Parameters([
                    [6, 4],
                ])[0],
            plain =
                Problem.Parameters([
                    [6, 4],
                ])[0];
        using var a = OptimizerCases.Make(name, [fused]);
        using var b = OptimizerCases.Make(name, [plain], fused: false);
        using var steps = NewDisposeScope();
        Func<Parameter, Tensor>[] gradients =
        [
            _ => linspace(-1, 2, 24).reshape(6, 4),
            _ => linspace(-1, 2, 24).reshape(4, 6).t(), // the same numbers in another layout
            p => p.grad!.t().contiguous().t(),
            _ => linspace(-2, 1, 25).narrow(0, 1, 24).reshape(6, 4),
            _ =>
                sparse_coo_tensor(
                    tensor(
                        new long[,]
                        {
                            { 1, 2 },
                            { 0, 3 },
                        }
                    ),
                    tensor(new[] { 1f, -2f }),
                    [6, 4],
                    ScalarType.Float32
                ),
            _ => linspace(-1, 2, 24).reshape(6, 4),
        ];
        foreach (var gradient in gradients)
        {
            foreach (var p in new[] { fused, plain })
                p.grad = gradient(p);
            a.step();
            b.step();
            AssertClose(name, plain.detach(), fused.detach(), 2e-6);
        }
        foreach (var p in new[] { fused, plain })
        {
            p.grad = linspace(-1, 2, 24).reshape(6, 4);
            using var off = no_grad();
            p.set_(p.t().contiguous().t()); // same handle, other strides
        }
        a.step();
        b.step();
        AssertClose(name, plain.detach(), fused.detach(), 2e-6);
    }

    [Theory, MemberData(nameof(OptimizerCases.FusedNames), MemberType = typeof(OptimizerCases))]
    public void A_parameter_without_a_gradient_is_not_stepped(string name)
    {
        Parameter[] fused = Problem.Parameters([
                [5],
                [6],
            ]),
            plain = Problem.Parameters([
                [5],
                [6],
            ]);
        using var a = OptimizerCases.Make(name, fused);
        using var b = OptimizerCases.Make(name, plain, fused: false);
        for (int step = 0; step < 4; step++)
        {
            foreach (var p in new[] { fused, plain })
            {
                Problem.SetGradients(p, step);
                if (step % 2 == 0)
                    p[1].grad = null;
            }
            a.step();
            b.step();
        }
        AssertClose(name, Problem.Values(plain), Problem.Values(fused), 2e-6);
        Assert.Contains("\"p1\":2", a.Snapshot().Values.ToJsonString(), StringComparison.Ordinal);
    }

    [Theory, MemberData(nameof(OptimizerCases.FusedNames), MemberType = typeof(OptimizerCases))]
    public void Do_not_depend_on_the_number_of_threads(string name)
    {
        int threads = get_num_threads();
        double[] Run(int count)
        {
            set_num_threads(count);
            var p = Problem.Parameters([
                [100_003],
                [7],
                [64, 1025],
                .. Enumerable.Repeat<long[]>([2048], 20),
            ]);
            using var o = OptimizerCases.Make(name, p);
            o.MaxGradientNorm = 1;
            for (int step = 0; step < 3; step++)
            {
                Problem.SetGradients(p, step);
                o.step();
            }
            return [.. Problem.Values(p), o.GradientNorm];
        }
        try
        {
            var one = Run(1);
            foreach (int count in new[] { 2, 3, 5 })
                Assert.Equal(one, Run(count));
        }
        finally
        {
            set_num_threads(threads);
        }
    }

    [Theory, MemberData(nameof(OptimizerCases.FusedNames), MemberType = typeof(OptimizerCases))]
    public void Allocate_nothing_in_a_step(string name)
    {
        var p = Problem.Parameters([.. Enumerable.Repeat<long[]>([2048], 50)]);
        Problem.SetGradients(p, 1);
        using var o = OptimizerCases.Make(name, p);
        o.MaxGradientNorm = 1;
        long Allocated()
        {
            long before = GC.GetAllocatedBytesForCurrentThread();
            for (int step = 0; step < 100; step++)
            {
                o.step();
                o.zero_grad();
            }
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
        Allocated();
        Assert.Equal(0, Allocated());
    }

    [Theory, InlineData(true), InlineData(false)]
    public void Clip_as_torch_does(bool fused)
    {
        long[][] shapes =
        [
            [17],
            [300, 41],
            [1],
        ];
        Parameter[] ours = [.. Problem.Parameters(shapes), nn.Parameter(ones(9, dtype: ScalarType.Float64))];
        Parameter[] torch = [.. Problem.Parameters(shapes), nn.Parameter(ones(9, dtype: ScalarType.Float64))];
        using var a = OptimizerCases.Make("Sgd plain", ours, fused);
        using var b = OptimizerCases.Make("Sgd plain", torch, fused: false);
        a.MaxGradientNorm = 2.5;
        foreach (var p in new[] { ours, torch })
            Problem.SetGradients(p, 3);
        var kept = Problem.Values(ours.Select(p => p.grad!));
        double norm = nn.utils.clip_grad_norm_(torch, 2.5);
        a.step();
        b.step();
        Assert.Equal(norm, a.GradientNorm, 1e-3);
        Assert.Equal(1, a.ClippedSteps);
        Assert.Equal(kept, Problem.Values(ours.Select(p => p.grad!)));
        AssertClose("Sgd plain", Problem.Values(torch), Problem.Values(ours), 1e-6);
    }

    private static void AssertSame(string name, Parameter[] fused, Parameter[] plain, double tolerance)
    {
        using var a = OptimizerCases.Make(name, fused);
        using var b = OptimizerCases.Make(name, plain, fused: false);
        for (int step = 0; step < 5; step++)
        {
            Problem.SetGradients(fused, step);
            Problem.SetGradients(plain, step);
            a.step();
            b.step();
        }
        AssertClose(name, Problem.Values(plain), Problem.Values(fused), tolerance);
    }

    private static void AssertClose(string name, Tensor expected, Tensor actual, double tolerance) =>
        AssertClose(name, Problem.Values([expected]), Problem.Values([actual]), tolerance);

    /// <summary>Small states are rounded by the same random numbers on both paths: only a number whose last bit decides is kept a step of
    /// the format apart.</summary>
    private static void AssertClose(string name, double[] expected, double[] actual, double tolerance)
    {
        const double Apart = 1e-3;
        Assert.Equal(expected.Length, actual.Length);
        int rare = name.StartsWith("Small", StringComparison.Ordinal) ? 1 + expected.Length / 1000 : 0;
        for (int i = 0; i < expected.Length; i++)
        {
            double off = Math.Abs(expected[i] - actual[i]) / Math.Max(1, Math.Abs(expected[i]));
            Assert.True(off <= tolerance || (rare-- > 0 && off <= Apart), $"element {i}: {actual[i]:R}, expected {expected[i]:R}");
        }
    }
}
