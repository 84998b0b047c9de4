using Amari.Cli.Commands;
using Amari.Kernels;
using Amari.Tests.Optimizers;
using Amari.Training;
using Amari.Verification;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Contracts;

/// <summary>By a batch whose gradient is not finite nothing moves, and what follows is as if it had not been.</summary>
public sealed class BadBatchTests : IDisposable
{
    private static readonly long[][] Shapes =
    [
        [33],
        [5, 7],
        [],
    ];
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    public static TheoryData<string, float> Cases
    {
        get
        {
            var data = new TheoryData<string, float>();
            foreach (string name in OptimizerCases.Names)
            foreach (float value in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity, 1e30f])
                data.Add(name, value);
            return data;
        }
    }

    /// <summary>All that an optimizer holds, but what it says of the bad batch.</summary>
    private static (string Values, double[] Tensors) State(Optimizer o)
    {
        var (tensors, values) = o.Snapshot();
        var kept = values.DeepClone().AsObject();
        foreach (string said in (string[])["skippedSteps", "events"])
            kept.Remove(said);
        return (kept.ToJsonString(), Problem.Values(tensors.OrderBy(t => t.Key, StringComparer.Ordinal).Select(t => t.Value)));
    }

    private static void Spoil(Parameter p, float value, long at = -1)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        p.grad!.flatten()[at < 0 ? p.numel() + at : at].fill_(value);
        if (!p.grad!.is_contiguous())
            p.grad = p.grad.fill_(value); // flatten made a copy
    }

    /// <summary>Six steps, with a bad batch before one of them if asked for.</summary>
    private static Parameter[] Run(
        Func<Parameter[]> make,
        Func<Parameter[], Optimizer> optimizer,
        int bad = -1,
        int where = 0,
        float value = float.NaN,
        long at = -1
    )
    {
        var p = make();
        using var o = optimizer(p);
        for (int step = 0; step < 6; step++)
        {
            if (step == bad)
            {
                var (weights, state) = (Problem.Values(p), State(o));
                Problem.SetGradients(p, 100);
                Spoil(p[where], value, at);
                o.step();
                Assert.Equal(weights, Problem.Values(p));
                Assert.Equal(state.Values, State(o).Values);
                Assert.Equal(state.Tensors, State(o).Tensors);
                Assert.Equal(1, o.SkippedSteps);
                var said = Assert.Single(o.Events, e => e.Message.Contains("skipped", StringComparison.Ordinal));
                Assert.Equal(new OptimizerEvent(step + 1, $"p{where}", "its gradient was not finite; the step was skipped"), said);
            }
            Problem.SetGradients(p, step);
            o.step();
        }
        return p;
    }

    [Theory, MemberData(nameof(Cases))]
    public void Nothing_moves_and_training_goes_on_as_without_it(string name, float value)
    {
        foreach (bool fused in (bool[])[true, false])
        {
            Optimizer Make(Parameter[] p) => OptimizerCases.Make(name, p, fused);
            Parameter[] New() => Problem.Parameters(Shapes);
            var without = Problem.Values(Run(New, Make));
            foreach (int bad in (int[])[0, 3])
                for (int where = 0; where < Shapes.Length; where++)
                    Assert.Equal(without, Problem.Values(Run(New, Make, bad, where, value)));
        }
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void In_every_dtype_and_layout(string name)
    {
        Parameter[] New() =>
            [
                nn.Parameter(linspace(-1, 1, 12).reshape(3, 4).t()), // not contiguous
                nn.Parameter(linspace(-1, 1, 12)),
                nn.Parameter(linspace(-1, 1, 12, dtype: ScalarType.Float64)),
                nn.Parameter(linspace(-1, 1, 12).to_type(ScalarType.Float16)),
                nn.Parameter(linspace(-1, 1, 12).to_type(ScalarType.BFloat16)),
                nn.Parameter(zeros(0)),
            ];
        Optimizer Make(Parameter[] p) => OptimizerCases.Make(name, p);
        var without = Problem.Values(Run(New, Make));
        for (int where = 0; where < 5; where++)
            Assert.Equal(without, Problem.Values(Run(New, Make, 3, where)));
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void With_clipping_too(string name)
    {
        Parameter[] New() => Problem.Parameters(Shapes);
        Optimizer Make(Parameter[] p)
        {
            var o = OptimizerCases.Make(name, p);
            o.MaxGradientNorm = 1;
            return o;
        }
        var without = Problem.Values(Run(New, Make));
        foreach (float value in (float[])[float.NaN, float.NegativeInfinity])
            Assert.Equal(without, Problem.Values(Run(New, Make, 2, 1, value)));
    }

    /// <summary>More than a cache holds, in several chunks: read whole before the step, or a sample of it by AdamW and Lion.</summary>
    [Theory, InlineData("Sgd momentum"), InlineData("Adam"), InlineData("AdamW"), InlineData("Lion")]
    [InlineData("Lion cautious"), InlineData("Small AdamW blocks"), InlineData("Small Lion bfloat16")]
    public void Bit_for_bit_in_large_tensors(string name)
    {
        long[][] shapes =
        [
            [70_001],
            [300, 301],
        ];
        Optimizer Make(Parameter[] p) => OptimizerCases.Make(name, p);
        foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16])
        {
            Parameter[] New() => Problem.Parameters(shapes, type);
            var without = Problem.Values(Run(New, Make));
            bool sampled = type == ScalarType.Float32 && name is "AdamW" or "Lion";
            foreach (long at in sampled ? (long[])[61_056, 61_071] : [3, 40_000, -1])
                Assert.Equal(without, Problem.Values(Run(New, Make, 3, 1, float.NaN, at)));
        }
    }

    /// <summary>One entry outside of the sample: the step is taken back, to rounding.</summary>
    [Theory, InlineData("AdamW", 1f), InlineData("AdamW other", 1f), InlineData("AdamW", 1e15f)]
    [InlineData("Lion", 1f), InlineData("Lion decay", 1f), InlineData("Lion", 1e15f)]
    public void Outside_of_the_sample_a_step_is_taken_back_to_rounding(string name, float size)
    {
        long[][] shapes =
        [
            [70_001],
            [300, 301],
        ];
        foreach (float value in (float[])[float.NaN, float.PositiveInfinity, 1e30f])
        {
            var p = Problem.Parameters(shapes);
            using var o = OptimizerCases.Make(name, p);
            Problem.Steps(o, p, 0, 3);
            var (weights, state) = (Problem.Values(p), State(o));
            Problem.SetGradients(p, 100);
            using (no_grad())
                foreach (var x in p)
                    x.grad!.mul_(size);
            var g = Problem.Values(p.Select(x => x.grad!));
            Spoil(p[1], value, 40_003);
            o.step();
            Assert.Equal(1, o.SkippedSteps);
            Assert.Equal("p1", Assert.Single(o.Events).Subject);
            Assert.Equal(state.Values, State(o).Values);
            double rate = o.ParamGroups.Single().LearningRate;
            int wrong = 0;
            foreach (var (e, v) in weights.Zip(Problem.Values(p)))
                wrong += Math.Abs(e - v) <= 4e-7 * Math.Max(1, Math.Abs(e)) ? 0 : 1;
            Assert.InRange(wrong, 0, name.StartsWith("Lion", StringComparison.Ordinal) ? 3 : 0); // a sign of what is 0 to rounding
            foreach (var (e, v) in weights.Zip(Problem.Values(p)))
                Assert.InRange(v, e - 2.1 * rate - 1e-6, e + 2.1 * rate + 1e-6);
            foreach (var (e, v) in state.Tensors.Zip(State(o).Tensors))
            {
                Assert.True(double.IsFinite(v));
                if (size == 1)
                    Assert.InRange(v, e - 1e-6, e + 1e-6);
                else
                    Assert.InRange(Math.Abs(v), 0, 2.1 * Math.Abs(e) + 1e-30); // swamped, it is 0 or near
            }
        }
    }

    /// <summary>The same with every gradient read before the step.</summary>
    [Fact]
    public void Asked_to_be_exact_it_is()
    {
        Parameter[] New() =>
            Problem.Parameters([
                [70_001],
                [300, 301],
            ]);
        Optimizer Named(Parameter[] p) => new AdamW([new(p.Select((x, i) => ($"p{i}", x)), new())]) { Exact = true };
        Assert.Equal(Problem.Values(Run(New, Named)), Problem.Values(Run(New, Named, 3, 1, float.NaN, 40_003)));
    }

    [Theory, InlineData(16), InlineData(8), InlineData(4), InlineData(1)]
    public void Every_width_finds_every_entry(int width)
    {
        using var p = nn.Parameter(zeros(100));
        foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.BFloat16])
            for (long i = 0; i < 37; i++)
            {
                using var scope = NewDisposeScope();
                var g = zeros(37, dtype: type);
                var sweep = new Sweep { Width = width };
                Assert.True(sweep.TryAddGradient(default, g.Handle));
                Assert.True(sweep.IsWithin(1));
                foreach (float value in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity, 2, -2])
                {
                    g[i] = value;
                    Assert.False(Added(g, width).IsWithin(1));
                    Assert.Equal(float.IsFinite(value), Added(g, width).IsWithin(double.MaxValue));
                }
            }

        static Sweep Added(Tensor g, int width)
        {
            var sweep = new Sweep { Width = width };
            sweep.TryAddGradient(default, g.Handle);
            return sweep;
        }
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void Large_finite_gradients_leave_everything_finite(string name)
    {
        var p = Problem.Parameters([
            [40, 50],
            [7],
        ]);
        using var o = OptimizerCases.Make(name, p);
        foreach (float size in (float[])[1, 1e15f, 1e19f, 1, 1])
        {
            Problem.SetGradients(p, 1);
            using (no_grad())
                foreach (var x in p)
                    x.grad!.sign_().mul_(size);
            o.step();
            Assert.All(Problem.Values(p), v => Assert.True(double.IsFinite(v)));
            Assert.All(State(o).Tensors, v => Assert.True(double.IsFinite(v)));
        }
        if (o is Adafactor)
            Assert.Equal(0, o.SkippedSteps);
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void Skipped_steps_and_what_was_said_of_them_are_saved(string name)
    {
        Parameter[] p = Problem.Parameters(Shapes),
            q = Problem.Parameters(Shapes);
        using var a = OptimizerCases.Make(name, p);
        using var b = OptimizerCases.Make(name, q);
        for (int i = 0; i < 3; i++)
        {
            Problem.SetGradients(p, i);
            foreach (var x in p)
                Spoil(x, float.NaN);
            a.step();
        }
        Problem.Steps(a, p, 0, 2);
        b.Restore(a.Snapshot());
        Assert.Equal(3, b.SkippedSteps);
        Assert.Equal(a.Events, b.Events);
        Assert.Contains(new(1, "p0", "its gradient was not finite, nor were others; the step was skipped (3 times by now)"), b.Events);
    }

    [Theory, InlineData(false), InlineData(true)]
    public void What_was_measured_on_a_bad_batch_is_forgotten(bool sophia)
    {
        double[] Train(bool bad)
        {
            manual_seed(1);
            var model = nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));
            using Optimizer o = sophia
                ? new Sophia(model, new Categorical(), new() { Interval = 2 })
                : new AdaHessian(model, new Categorical(), new() { Interval = 2 });
            for (int i = 0; i < 7; i++)
            {
                if (bad && i == 4)
                {
                    Step(50, spoil: true);
                    Assert.Equal(1, o.SkippedSteps);
                }
                Step(i, spoil: false);
            }
            return [.. Problem.Values(model.parameters()), .. State(o).Tensors];

            void Step(int seed, bool spoil)
            {
                using var generator = new Generator((ulong)seed);
                var (x, y) = (randn([12, 4], generator: generator), randint(0, 3, [12], generator: generator));
                o.UpdateCurvature(x, y);
                o.zero_grad();
                new Categorical().Loss(model.call(x), y).backward();
                if (spoil)
                    Spoil(model.parameters().Last(), float.NaN);
                o.step();
            }
        }
        Assert.Equal(Train(bad: false), Train(bad: true));
    }

    public static TheoryData<string> Names => [.. OptimizerCatalog.All.Select(e => e.Name)];

    /// <summary>The step is skipped, but the forward pass was not: every optimizer names what it left. Methods that evaluate the loss leave
    /// statistics as they are.</summary>
    [Theory, MemberData(nameof(Names))]
    public void Spoiled_statistics_of_a_model_are_named(string name)
    {
        var model = nn.Sequential(("a", nn.Linear(4, 5)), ("n", nn.BatchNorm1d(5)), ("b", nn.Linear(5, 3)));
        using var optimizer = OlderState.Make(name, model);
        var y = arange(8).remainder_(3);
        Step(randn(8, 4));
        Step(full(8, 4, double.NaN).to_type(ScalarType.Float32));
        Assert.Equal(1, optimizer.SkippedSteps);
        double mean = ((BatchNorm1d)model[1]).running_mean!.sum().ToDouble();
        Assert.Equal(double.IsNaN(mean), optimizer.Events.Any(e => e.Subject == "n.running_mean"));
        Assert.Equal(optimizer is not SecondOrderOptimizer, double.IsNaN(mean));

        void Step(Tensor x)
        {
            if (optimizer.EvaluatesLoss)
            {
                optimizer.StepOnBatch(x, y);
                return;
            }
            optimizer.Train();
            optimizer.UpdateCurvature(x, y);
            optimizer.zero_grad();
            nn.functional.cross_entropy(model.call(x), y).backward();
            optimizer.step();
        }
    }
}
