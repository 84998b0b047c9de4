using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;
using Amari.Tests.Optimizers;
using Amari.Training;

namespace Amari.Tests.Kernels;

/// <summary>Registers of every width give the same bits; sums do not depend on anything but the gradients.</summary>
public sealed unsafe class SweepTests
{
    [Theory, InlineData(ScalarType.Float32), InlineData(ScalarType.BFloat16)]
    public void Widths_are_bitwise_equal(ScalarType type)
    {
        foreach (var (cautious, decay) in Masks)
        {
            Same(type, s => Step(s, cautious, decay).Run(new Sgd.Rule(new() { WeightDecay = 0.1, CautiousDecay = decay })), 0);
            Same(type, s => Step(s, cautious, decay).Run(new Sgd.MomentumRule(new() { WeightDecay = 0.1, Nesterov = true }, 3)), 1);
            Same(type, s => Step(s, cautious, decay, -0.7).Run(new Sgd.MomentumRule(Dampened, 3)), 1);
            Same(type, s => Step(s, cautious, decay).Run(AmsGrad.Rule.Of(new AdamW.Options(), 3)), 3);
            Same(type, s => Step(s, cautious, decay).Run(AmsGrad.Rule.Of(new Adam.Options() { WeightDecay = 0.1 }, 3)), 3);
            Same(type, s => Step(s, cautious, decay).Run(new Adam.Rule(new() { WeightDecay = 0.1 }, 3)), 2);
            Same(type, s => Step(s, cautious, decay).Run(new AdamW.Rule(new(), 3)), 2);
            Same(type, s => Step(s, cautious, decay).Run(new Lion.Rule(new() { WeightDecay = 0.1 })), 1);
        }
    }

    private static readonly Sgd.Options Dampened = new()
    {
        WeightDecay = 0.1,
        DecoupledDecay = true,
        Dampening = 0.3,
    };

    private static readonly (bool Cautious, bool Decay)[] Masks = [(false, false), (true, false), (false, true), (true, true)];

    private static FusedStep Step(Sweep sweep, bool cautious, bool decay, double scale = 0.7) => new(sweep, scale, false, cautious, decay);

    [Theory]
    [InlineData(ScalarType.Float32, StateFormat.BFloat16), InlineData(ScalarType.Float32, StateFormat.BlockwiseInt8)]
    [InlineData(ScalarType.BFloat16, StateFormat.BFloat16), InlineData(ScalarType.BFloat16, StateFormat.BlockwiseInt8)]
    public void Widths_are_bitwise_equal_with_small_states(ScalarType type, StateFormat format)
    {
        foreach (var (cautious, decay) in Masks)
        {
            Same(type, s => Step(s, cautious, decay).Run(new AdamW.Rule(new(), 3)), 2, format);
            Same(type, s => Step(s, cautious, decay).Run(new Lion.Rule(new() { WeightDecay = 0.1 })), 1, format);
            Same(type, s => Step(s, cautious, decay).Run(new Sgd.MomentumRule(Dampened, 3)), 1, format);
        }
    }

    private static void Same(ScalarType type, Action<Sweep> run, int states, StateFormat format = StateFormat.Full)
    {
        double[] Run(int width, bool streamed = false)
        {
            var sweep = new Sweep { Width = width, Cached = streamed ? 0 : long.MaxValue };
            var w = Problem.Parameters(
                [
                    [1],
                    [15],
                    [16],
                    [17],
                    [1000],
                    [40_000],
                ],
                type
            );
            Problem.SetGradients(w, 2);
            w[3].grad![5] = float.NaN;
            w[4].grad![7] = 0;
            Tensor[][] s =
                format == StateFormat.Full
                    ?
                    [
                        .. Problem
                            .Parameters([.. w.SelectMany(p => Enumerable.Repeat(p.shape, states))], seed: 3)
                            .Select(p => p.detach().abs_())
                            .Chunk(Math.Max(1, states)),
                    ]
                    :
                    [
                        .. w.Select(p => Enumerable.Range(0, states).Select(_ => SmallState.Zeros(p, format)).ToList())
                            .Select(z => z.Select(x => x.Values).Concat(z.Select(x => x.Scales).OfType<Tensor>()).ToArray()),
                    ];
            for (int step = 1; step <= 2; step++) // what the first one keeps in few bits, the second reads
            {
                sweep.Clear();
                for (int i = 0; i < w.Length; i++)
                {
                    SweepRow row = default;
                    Assert.True(
                        sweep.TryAdd(
                            ref row,
                            w[i].Handle,
                            LibTorch.Gradient(w[i].Handle),
                            [.. s.ElementAtOrDefault(i)?.Select(t => t.Handle) ?? []],
                            step
                        )
                    );
                }
                run(sweep);
            }
            return Problem.Values([.. w, .. s.SelectMany(t => t)]);
        }
        var one = Run(1);
        foreach (int width in new[] { 4, 8, 16 })
        {
            Assert.Equal(one, Run(width));
            Assert.Equal(one, Run(width, streamed: true));
        }
    }

    [Fact]
    public void Rounding_to_bfloat16_is_torch_s_on_every_width()
    {
        const int n = 1 << 18;
        var random = new Random(1);
        var bits = Enumerable
            .Range(0, n)
            .Select(i => i < 4096 ? (uint)i << 20 | (uint)random.Next(3) * 0x7FFF : (uint)random.NextInt64(1L << 32))
            .ToArray();
        var values = bits.Select(BitConverter.UInt32BitsToSingle).ToArray();
        using var expected = tensor(values).to_type(ScalarType.BFloat16);
        Check<Lanes1>(values, expected);
        Check<Lanes128>(values, expected);
        Check<Lanes256>(values, expected);
        Check<Lanes512>(values, expected);
    }

    private static void Check<L>(float[] values, Tensor expected)
        where L : struct, ILanes<L>
    {
        var rounded = new ushort[values.Length];
        var widened = new float[values.Length];
        fixed (
            float* from = values,
                back = widened
        )
        fixed (ushort* to = rounded)
            for (int i = 0; i < values.Length; i += L.Width)
            {
                L.Store(L.Load(from + i), to + i);
                L.Store(L.Load(to + i), back + i);
            }
        var torch = new ReadOnlySpan<ushort>((void*)LibTorch.DataPointer(expected.Handle), values.Length).ToArray();
        for (int i = 0; i < values.Length; i++)
            if (float.IsNaN(values[i]))
                Assert.True(float.IsNaN(widened[i]));
            else
                Assert.Equal(torch[i], rounded[i]);
        Assert.Equal(expected.Elements<float>(), widened);
    }

    [Fact]
    public void Sum_of_squares_is_the_double_precision_sum()
    {
        var w = Problem.Parameters([
            [1],
            [0],
            [15],
            [100_001],
            .. Enumerable.Repeat<long[]>([33], 200),
        ]);
        Problem.SetGradients(w, 5);
        var half = Problem.Parameters(
            [
                [70_001],
            ],
            ScalarType.BFloat16
        );
        Problem.SetGradients(half, 6);
        var sweep = new Sweep();
        int added = w.Concat(half).Count(p => sweep.TryAddGradient(default, LibTorch.Gradient(p.Handle)));
        Assert.Equal(w.Length, added); // one of them is empty
        double expected = Problem.Values(w.Concat(half).Select(p => p.grad!)).Sum(x => x * x);
        Assert.Equal(expected, sweep.SumOfSquares(), 1e-12 * expected);
        Assert.Equal(sweep.SumOfSquares(), sweep.SumOfSquares());
        sweep.Clear();
        Assert.Equal(0, sweep.SumOfSquares());
    }

    [Fact]
    public void Refuses_what_the_kernels_cannot_do()
    {
        using var scope = NewDisposeScope();
        using var flat = nn.Parameter(zeros(12));
        using var g = zeros(12);
        using var state = zeros(12);
        bool Try(Tensor w, Tensor gradient, params Tensor[] states)
        {
            SweepRow row = default;
            return new Sweep().TryAdd(ref row, w.Handle, gradient.Handle, [.. states.Select(s => s.Handle)]);
        }
        Assert.True(Try(flat, g, state, state));
        Assert.False(Try(zeros(3, 4).t(), zeros(4, 3)));
        Assert.False(Try(zeros(4, 3), zeros(3, 4).t()));
        Assert.False(Try(flat, zeros(13)));
        Assert.False(Try(flat, zeros(12, dtype: ScalarType.BFloat16)));
        Assert.False(Try(zeros(12, dtype: ScalarType.Float64), zeros(12, dtype: ScalarType.Float64)));
        Assert.False(Try(flat, zeros(12).to_sparse()));
        Assert.False(Try(flat, g, zeros(12, dtype: ScalarType.Float64)));
        Assert.False(Try(flat, g, zeros(11)));
    }

    [Fact]
    public void Headers_of_tensors_can_be_read_on_this_system() => Assert.True(TensorHeader.IsKnown);
}
