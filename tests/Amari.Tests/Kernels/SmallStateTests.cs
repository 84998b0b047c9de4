using Amari.Kernels;
using Amari.Native;
using Amari.Tests.Optimizers;

namespace Amari.Tests.Kernels;

/// <summary>Moments in few bits: unbiased, bounded errors, the same for every register width and number of threads.</summary>
public sealed unsafe class SmallStateTests
{
    public static TheoryData<StateFormat, bool> Formats =>
        new()
        {
            { StateFormat.BFloat16, true },
            { StateFormat.BFloat16, false },
            { StateFormat.BlockwiseInt8, true },
            { StateFormat.BlockwiseInt8, false },
        };

    /// <summary>A step of the format at x, given the largest of the block.</summary>
    private static double StepAt(StateFormat format, bool hasSign, double x, double scale)
    {
        if (format == StateFormat.BFloat16)
            return Math.Pow(2, Math.Floor(Math.Log2(Math.Max(Math.Abs(x), 1e-37))) - 7);
        double n = hasSign ? 127 : 255,
            q = Math.Min(n - 1, Math.Floor(n * Math.Pow(Math.Abs(x) / scale, 0.25) + 1e-3));
        return scale * (Math.Pow((q + 1) / n, 4) - Math.Pow(Math.Max(0, q - 1) / n, 4));
    }

    private static float[] Kept(StateFormat format, bool hasSign, float[] values, uint salt)
    {
        using var scope = NewDisposeScope();
        var (codes, scales) = SmallState.Zeros(zeros(values.Length), format);
        var address = new SmallState.Address(
            codes.dtype,
            LibTorch.DataPointer(codes.Handle),
            scales is null ? 0 : LibTorch.DataPointer(scales.Handle)
        );
        var kept = new float[values.Length];
        float* block = stackalloc float[SmallState.Block];
        for (int from = 0; from < values.Length; from += SmallState.Block)
        {
            int n = Math.Min(SmallState.Block, values.Length - from);
            values.AsSpan(from, n).CopyTo(new(block, n));
            SmallState.Encode(block, address, from, n, hasSign, salt);
            SmallState.Decode(address, from, n, hasSign, block);
            new Span<float>(block, n).CopyTo(kept.AsSpan(from));
        }
        return kept;
    }

    private static float[] Values(bool hasSign)
    {
        var random = new Random(3);
        return
        [
            .. Enumerable.Range(0, 200).Select(i => (float)(Math.Pow(10, -4 * random.NextDouble()) * (hasSign && i % 3 == 0 ? -1 : 1))),
        ];
    }

    [Theory, MemberData(nameof(Formats))]
    public void What_is_kept_is_unbiased_and_a_step_away_at_most(StateFormat format, bool hasSign)
    {
        const int draws = 4000;
        var values = Values(hasSign);
        var sum = new double[values.Length];
        for (int k = 0; k < draws; k++)
        {
            var kept = Kept(format, hasSign, values, SmallState.Salt(k, 0));
            for (int i = 0; i < values.Length; i++)
            {
                double scale = values.Skip(i / 64 * 64).Take(64).Max(Math.Abs);
                Assert.InRange(
                    kept[i] - values[i],
                    -1.001 * StepAt(format, hasSign, values[i], scale),
                    1.001 * StepAt(format, hasSign, values[i], scale)
                );
                sum[i] += kept[i];
            }
        }
        for (int i = 0; i < values.Length; i++)
        {
            double scale = values.Skip(i / 64 * 64).Take(64).Max(Math.Abs),
                error = StepAt(format, hasSign, values[i], scale) / 2 / Math.Sqrt(draws);
            // the deviation of a draw is half a step at most; of 200 numbers, 5 of these
            Assert.Equal(values[i], sum[i] / draws, 5 * error);
        }
    }

    // The roots differ between processors, the codes do not.
    [Theory, MemberData(nameof(Formats))]
    public void The_codes_of_both_register_widths_are_the_same(StateFormat format, bool hasSign)
    {
        Assert.SkipUnless(System.Runtime.Intrinsics.Vector512.IsHardwareAccelerated, "the processor has no registers of 512 bits");
        const int count = 64 * 300 + 17;
        using var scope = NewDisposeScope();
        var random = new Random(5);
        float[] values =
        [
            .. Enumerable.Range(0, count).Select(_ => MathF.Pow(random.NextSingle(), 8) * (hasSign ? 1 - 2 * random.Next(2) : 1)),
        ];
        values[100] = 1; // its block has it as the scale
        var (wide, narrow) = (Codes<Lanes512>(), Codes<Lanes256>());
        Assert.Equal(narrow, wide);

        byte[] Codes<L>()
            where L : struct, ILanes<L>, IStateLanes<L>
        {
            var (codes, scales) = SmallState.Zeros(zeros(count), format);
            var address = new SmallState.Address(
                codes.dtype,
                LibTorch.DataPointer(codes.Handle),
                scales is null ? 0 : LibTorch.DataPointer(scales.Handle)
            );
            float* numbers = stackalloc float[count + SmallState.Block];
            values.CopyTo(new Span<float>(numbers, count));
            SmallState.Encode<L>(numbers, address, 0, count, hasSign, SmallState.Salt(9, 1));
            SmallState.Decode<L>(address, 0, count, hasSign, numbers);
            return [.. System.Runtime.InteropServices.MemoryMarshal.AsBytes(new Span<float>(numbers, count)).ToArray()];
        }
    }

    [Theory, InlineData(StateFormat.BFloat16), InlineData(StateFormat.BlockwiseInt8)]
    public void Errors_of_neighbours_and_of_steps_are_not_correlated(StateFormat format)
    {
        const int count = 4096,
            steps = 50;
        // each kept as one of two codes, or where it is the scale of its block, as it is
        float[] values = [.. Enumerable.Range(0, count).Select(i => i % 64 == 0 ? 1f : 0.7f)];
        var signs = Enumerable
            .Range(1, steps)
            .Select(k =>
                Kept(format, true, values, SmallState.Salt(k, 0)).Where((_, i) => i % 64 != 0).Select(x => x > 0.7f ? 1.0 : -1.0).ToArray()
            )
            .ToArray();
        double mean = signs.Average(s => s.Average());
        foreach (int apart in (int[])[1, 2, 8, 16, 64])
            Assert.InRange(Correlation((k, i) => (signs[k][i], signs[k][(i + apart) % signs[k].Length])), -0.01, 0.01);
        foreach (int later in (int[])[1, 2, 3])
            Assert.InRange(Correlation((k, i) => (signs[k][i], signs[(k + later) % steps][i])), -0.01, 0.01);

        double Correlation(Func<int, int, (double A, double B)> pair)
        {
            double sum = 0;
            for (int k = 0; k < steps; k++)
            for (int i = 0; i < signs[k].Length; i++)
            {
                var (a, b) = pair(k, i);
                sum += (a - mean) * (b - mean);
            }
            return sum / steps / signs[0].Length / (1 - mean * mean);
        }
    }

    [Theory, InlineData(StateFormat.BFloat16), InlineData(StateFormat.BlockwiseInt8)]
    public void Zeros_stay_and_second_moments_above_zero_do_not_become_zero(StateFormat format)
    {
        Assert.All(Kept(format, true, new float[70], 1), x => Assert.Equal(0f, x));
        var tiny = Enumerable.Repeat(1e-14f, 70).ToArray();
        tiny[0] = tiny[65] = 1;
        for (uint salt = 0; salt < 50; salt++)
            Assert.All(Kept(format, false, tiny, salt), x => Assert.True(x > 0));
    }

    [Theory, InlineData(true), InlineData(false)]
    public void A_block_of_eight_bits_is_kept_from_1e_28_on(bool isSigned)
    {
        var (above, below) = (Enumerable.Repeat(1.1e-28f, 64).ToArray(), Enumerable.Repeat(0.9e-28f, 64).ToArray());
        Assert.All(Kept(StateFormat.BlockwiseInt8, isSigned, above, 1), x => Assert.Equal(1.1e-28f, x, 1e-33f));
        Assert.All(Kept(StateFormat.BlockwiseInt8, isSigned, below, 1), x => Assert.Equal(0f, x));
        Assert.All(Kept(StateFormat.BFloat16, isSigned, below, 1), x => Assert.True(x > 0));
    }

    [Theory, InlineData(StateFormat.BFloat16), InlineData(StateFormat.BlockwiseInt8)]
    public void What_is_not_finite_stays_so(StateFormat format)
    {
        var values = Values(true);
        (values[3], values[130]) = (float.NaN, float.PositiveInfinity);
        var kept = Kept(format, true, values, 7);
        Assert.True(float.IsNaN(kept[3]));
        Assert.False(float.IsFinite(kept[130]));
        Assert.All(kept[64..128], x => Assert.True(float.IsFinite(x)));
    }

    [
        Theory,
        InlineData("Small AdamW bfloat16"),
        InlineData("Small AdamW blocks"),
        InlineData("Small Lion bfloat16"),
        InlineData("Small Lion blocks")
    ]
    public void A_step_is_that_of_the_torch_lines(string name)
    {
        long[][] shapes =
        [
            [1],
            [63],
            [64],
            [65],
            [40_001],
            [3, 70],
        ];
        Parameter[] fused = Problem.Parameters(shapes),
            plain = Problem.Parameters(shapes),
            single = Problem.Parameters(shapes);
        using var a = OptimizerCases.Make(name, fused);
        using var b = OptimizerCases.Make(name, plain, fused: false);
        using var c = OptimizerCases.Make(name, single);
        int threads = get_num_threads();
        for (int step = 0; step < 3; step++)
        {
            foreach (var p in new[] { fused, plain, single })
                Problem.SetGradients(p, step);
            a.step();
            b.step();
            set_num_threads(1);
            c.step();
            set_num_threads(threads);
        }
        Assert.Equal(Problem.Values(fused), Problem.Values(single));
        // A number at a rounding boundary may be kept a step apart.
        var off = Problem.Values(fused).Zip(Problem.Values(plain), (x, y) => Math.Abs(x - y)).ToList();
        Assert.InRange(off.Count(d => d > 1e-5), 0, off.Count / 1000);
        long before = GC.GetAllocatedBytesForCurrentThread();
        a.step();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Theory]
    [InlineData(StateFormat.Full, 8, 4), InlineData(StateFormat.BFloat16, 4, 2), InlineData(StateFormat.BlockwiseInt8, 2.125, 1.0625)]
    public void Bytes_per_parameter_are_as_stated(StateFormat format, double adamW, double lion)
    {
        var p = Problem.Parameters([
            [64, 100],
        ]);
        Problem.SetGradients(p, 1);
        using var a = new AdamW([new([("p", p[0])], new() { StateFormat = format })]);
        using var l = new Lion([new([("p", p[0])], new() { StateFormat = format })]);
        a.step();
        l.step();
        Assert.Equal((adamW, lion), (a.StateBytes / 6400.0, l.StateBytes / 6400.0));
    }

    [Theory, InlineData(StateFormat.BFloat16), InlineData(StateFormat.BlockwiseInt8)]
    public void Small_states_train_where_rounding_to_nearest_would_stall(StateFormat format)
    {
        // Gradients that fall to a tenth: with β₂ = 0.999 the second moment must follow by 0.1 % a step, less than half a step of either
        // format.
        double full = Norm(StateFormat.Full),
            small = Norm(format);
        Assert.Equal(1, small / full, 0.05);

        static double Norm(StateFormat format)
        {
            var p = Problem.Parameters([
                [4096],
            ]);
            using var o = new AdamW([
                new(
                    [("p", p[0])],
                    new()
                    {
                        LearningRate = 1e-3,
                        WeightDecay = 0,
                        StateFormat = format,
                    }
                ),
            ]);
            using var start = p[0].detach().clone();
            for (int step = 0; step < 1500; step++)
            {
                using var scope = NewDisposeScope();
                Problem.SetGradients(p, step);
                if (step > 300)
                    p[0].grad!.mul_(0.1);
                o.step();
            }
            using var moved = p[0].detach() - start;
            return moved.square().mean().sqrt().ToDouble();
        }
    }

    [Fact]
    public void A_state_in_another_format_than_its_options_say_is_refused()
    {
        var p = Problem.Parameters([
            [64],
        ]);
        Problem.SetGradients(p, 1);
        using var full = new Lion([new([("p", p[0])], new())]);
        using var small = new Lion([new([("p", p[0])], new() { StateFormat = StateFormat.BlockwiseInt8 })]);
        full.step();
        small.step();
        var state = small.Snapshot();
        state.Values["groups"]![0]!["options"]![nameof(Lion.Options.StateFormat)] = nameof(StateFormat.Full);
        Assert.Contains("another format", Assert.Throws<InvalidDataException>(() => full.Restore(state)).Message);
        full.Restore(small.Snapshot());
        Assert.Equal(StateFormat.BlockwiseInt8, full.Groups[0].Options.StateFormat);
        Assert.Equal(small.StateBytes, full.StateBytes);
    }
}
