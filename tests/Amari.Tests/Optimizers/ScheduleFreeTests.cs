using Amari.Tests.Contracts;
using Amari.Verification;
using static Amari.Tests.Optimizers.Trajectory;

namespace Amari.Tests.Optimizers;

/// <summary>Schedule-Free: the average, its modes, and resuming between them.</summary>
public sealed class ScheduleFreeTests
{
    [Fact]
    public void Each_option_of_ScheduleFree_changes_the_trajectory() =>
        AllDiffer(
            g => new ScheduleFree(g),
            new ScheduleFree.Options(),
            new() { LearningRate = 0.1 },
            new() { Maximize = true },
            new() { Base = ScheduleFreeBase.Sgd },
            new() { Beta1 = 0.5 },
            new() { Beta2 = 0.5 },
            new() { Epsilon = 0.1 },
            new() { WeightDecay = 0.1 },
            new() { WarmupSteps = 5 },
            new() { WarmupSteps = 5, RatePower = 0 },
            new() { AveragingPower = 1 }
        );

    /// <summary>The gradients do not depend on where they are taken: z is SGD, x the mean of its iterates, y between the two.</summary>
    [Fact]
    public void ScheduleFree_averages_the_iterates_of_SGD()
    {
        var (free, plain) = (Problem.Parameters(Shapes, ScalarType.Float64), Problem.Parameters(Shapes, ScalarType.Float64));
        using var a = new ScheduleFree([
            ParameterGroup.Of(
                free,
                new ScheduleFree.Options()
                {
                    Base = ScheduleFreeBase.Sgd,
                    LearningRate = 0.1,
                    Beta1 = 0.3,
                }
            ),
        ]);
        using var b = new Sgd([ParameterGroup.Of(plain, new Sgd.Options() { LearningRate = 0.1, Momentum = 0 })]);
        var sum = new double[37];
        for (int step = 1; step <= 12; step++)
        {
            Problem.SetGradients(free, step);
            Problem.SetGradients(plain, step);
            a.step();
            b.step();
            double[] z = Problem.Values(plain);
            for (int i = 0; i < sum.Length; i++)
                sum[i] += z[i];
            Near([.. z.Zip(sum, (last, total) => 0.7 * last + 0.3 * total / step)], Problem.Values(free), 1e-12);
        }
        a.Eval();
        Near([.. sum.Select(v => v / 12)], Problem.Values(free), 1e-12);
    }

    [Fact]
    public void ScheduleFree_s_average_follows_the_reference()
    {
        var trace = GoldenTests.Read("schedulefree_adamw");
        var p = trace["params0"]!.AsArray().Select(x => nn.Parameter(GoldenTests.ToTensor(x!, ScalarType.Float64))).ToArray();
        using var o = new ScheduleFree([
            ParameterGroup.Of(
                p,
                new ScheduleFree.Options()
                {
                    LearningRate = 0.02,
                    Beta2 = 0.99,
                    WarmupSteps = 4,
                    WeightDecay = 0.01,
                }
            ),
        ]);
        for (int t = 0; t < 20; t++)
        {
            for (int i = 0; i < p.Length; i++)
                p[i].grad = GoldenTests.ToTensor(trace["grads"]![t]![i]!, ScalarType.Float64);
            o.step();
        }
        var training = Problem.Values(p);
        o.Eval();
        Near([.. trace["params_eval"]!.AsArray().SelectMany(x => x!["data"]!.AsArray().Select(v => (double)v!))], Problem.Values(p), 1e-12);
        Assert.Throws<InvalidOperationException>(() => o.step());
        o.Train();
        Assert.Equal(training, Problem.Values(p));
    }

    [Theory, InlineData(ScalarType.Float32), InlineData(ScalarType.BFloat16)]
    public void ScheduleFree_s_evaluations_and_resumptions_do_not_change_the_run(ScalarType type)
    {
        Parameter[] straight = Problem.Parameters(Shapes, type),
            disturbed = Problem.Parameters(Shapes, type);
        using var a = new ScheduleFree([ParameterGroup.Of(straight, new ScheduleFree.Options() { LearningRate = 0.1 })]);
        var b = new ScheduleFree([ParameterGroup.Of(disturbed, new ScheduleFree.Options() { LearningRate = 0.1 })]);
        for (int step = 0; step < 8; step++)
        {
            foreach (var (o, p) in new[] { (a, straight), (b, disturbed) })
            {
                Problem.SetGradients(p, step);
                o.step();
            }
            b.Eval();
            Assert.NotEqual(step > 0, Problem.Values(straight).SequenceEqual(Problem.Values(disturbed))); // after one step x = z = y
            if (step % 3 == 0)
            {
                var next = new ScheduleFree([ParameterGroup.Of(disturbed, new ScheduleFree.Options())]);
                next.Restore(b.Snapshot());
                Assert.True(next.Evaluating);
                b.Dispose();
                b = next;
            }
            else
            {
                var own = b.Snapshot();
                b.Restore(own); // of tensors that go while it is read
                var tensors = b.Snapshot().Tensors.Where(t => !t.Key.EndsWith("TrainingPoint", StringComparison.Ordinal)).ToDictionary();
                Assert.Contains("lacks", Assert.Throws<InvalidDataException>(() => b.Restore(new(tensors, own.Values))).Message);
            }
            b.Train();
            Assert.Equal(a.StateBytes, b.StateBytes);
        }
        Assert.Equal(Problem.Values(straight), Problem.Values(disturbed));
        b.Dispose();
    }

    [Fact]
    public void ScheduleFree_s_modes_follow_the_model_and_cannot_be_forgotten()
    {
        using var model = nn.Linear(4, 3);
        using var x = randn(8, 4);
        using var o = new ScheduleFree(model, new() { LearningRate = 0.1 });
        for (int step = 0; step < 5; step++)
        {
            o.zero_grad();
            using var loss = model.call(x).square().mean();
            loss.backward();
            o.step();
        }
        var training = Problem.Values(model.parameters());
        model.eval();
        model.call(x).Dispose();
        Assert.True(o.Evaluating);
        Assert.NotEqual(training, Problem.Values(model.parameters()));
        Assert.Throws<InvalidOperationException>(() => o.step());
        model.train();
        using (no_grad())
            model.call(x).Dispose(); // statistics of BatchNorm at x
        Assert.True(o.Evaluating);
        model.call(x).Dispose();
        Assert.False(o.Evaluating);
        Assert.Equal(training, Problem.Values(model.parameters()));
        o.step();
        Assert.Empty(o.Events);
        using (no_grad())
            model.call(x).Dispose();
        var logged = Assert.Single(o.Events);
        Assert.Contains("not of the average x", logged.Message, StringComparison.Ordinal);
        Assert.Equal(6, logged.Step);
    }

    private sealed class Two : nn.Module<Tensor, Tensor, Tensor>
    {
        private readonly Linear a = nn.Linear(4, 3),
            b = nn.Linear(4, 3);

        public Two()
            : base(nameof(Two)) => RegisterComponents();

        public override Tensor forward(Tensor x, Tensor y) => a.call(x) + b.call(y);
    }

    private sealed class Three : nn.Module<Tensor, Tensor, Tensor, Tensor>
    {
        private readonly Linear a = nn.Linear(4, 3);

        public Three()
            : base(nameof(Three)) => RegisterComponents();

        public override Tensor forward(Tensor x, Tensor y, Tensor z) => a.call(x) * y + z;
    }

    private sealed class Four : nn.Module<Tensor, Tensor, Tensor, Tensor, Tensor>
    {
        private readonly Linear a = nn.Linear(4, 3);

        public Four()
            : base(nameof(Four)) => RegisterComponents();

        public override Tensor forward(Tensor x, Tensor y, Tensor z, Tensor v) => a.call(x) * y + z * v;
    }

    private sealed class Bare : nn.Module<(Tensor, Tensor), Tensor>
    {
        private readonly Parameter w = nn.Parameter(ones(3));

        public Bare()
            : base(nameof(Bare)) => RegisterComponents();

        public override Tensor forward((Tensor, Tensor) x) => x.Item1 * w + x.Item2;
    }

    public static TheoryData<int> Inputs => [1, 2, 3, 4];

    /// <summary>Groups of one's own, with decay and without, and models of several inputs.</summary>
    [Theory, MemberData(nameof(Inputs))]
    public void A_model_in_groups_made_by_hand_is_followed(int inputs)
    {
        using var scope = NewDisposeScope();
        manual_seed(5);
        nn.Module model = inputs switch
        {
            1 => nn.Linear(4, 3),
            2 => new Two(),
            3 => new Three(),
            _ => new Four(),
        };
        var groups = model
            .named_parameters()
            .GroupBy(p => p.parameter.dim() > 1)
            .Select(g => new ParameterGroup<ScheduleFree.Options>(g, new() { LearningRate = 0.1, WeightDecay = g.Key ? 0.1 : 0 }))
            .ToList();
        Assert.Equal(2, groups.Count);
        using var o = new ScheduleFree(groups, model);
        Tensor x = randn(8, 4),
            y = randn(8, 3);
        Tensor Call() =>
            model switch
            {
                nn.Module<Tensor, Tensor> m => m.call(x),
                nn.Module<Tensor, Tensor, Tensor> m => m.call(x, x),
                nn.Module<Tensor, Tensor, Tensor, Tensor> m => m.call(x, y, y),
                _ => ((Four)model).call(x, y, y, y),
            };
        void Train(int steps)
        {
            for (int i = 0; i < steps; i++)
            {
                o.zero_grad();
                Call().square().mean().backward();
                o.step();
            }
        }
        Train(4);
        var training = Problem.Values(model.parameters());
        model.eval();
        Call();
        Assert.True(o.Evaluating);
        Assert.NotEqual(training, Problem.Values(model.parameters()));
        Assert.Throws<InvalidOperationException>(() => o.step());
        model.train();
        Call();
        Assert.Equal(training, Problem.Values(model.parameters()));
        Train(1);
        Assert.Empty(o.Events);
    }

    [Fact]
    public void ScheduleFree_follows_later_groups_or_says_that_it_cannot()
    {
        using Linear body = nn.Linear(4, 4),
            head = nn.Linear(4, 3),
            other = nn.Linear(4, 2);
        using var x = randn(8, 4);
        static ParameterGroup<ScheduleFree.Options> ByHand(nn.Module m, string name) =>
            new(m.named_parameters().Select(p => (name + p.name, p.parameter)), new());
        using var o = new ScheduleFree([ByHand(body, "body.")], body);
        var later = ParameterGroup.Of(head, new ScheduleFree.Options());
        o.Add(later);
        Assert.Empty(o.Events);
        foreach (var m in new[] { body, head }) // either says so for all
        {
            m.eval();
            m.call(x).Dispose();
            Assert.True(o.Evaluating);
            m.train();
            m.call(x).Dispose();
            Assert.False(o.Evaluating);
        }
        o.Add(ByHand(other, "other."));
        Assert.Contains("call Eval()", Assert.Single(o.Events).Message, StringComparison.Ordinal);
        using var bare = new Bare();
        using var unseen = new ScheduleFree(bare);
        Assert.Contains("call Eval()", Assert.Single(unseen.Events).Message, StringComparison.Ordinal);
    }

    /// <summary>y is made again with the β of the step; x and z do not depend on β where gradients do not depend on y.</summary>
    [Fact]
    public void ScheduleFree_s_interpolation_may_change_between_steps()
    {
        var (free, plain) = (Problem.Parameters(Shapes, ScalarType.Float64), Problem.Parameters(Shapes, ScalarType.Float64));
        using var a = new ScheduleFree([
            ParameterGroup.Of(free, new ScheduleFree.Options() { Base = ScheduleFreeBase.Sgd, LearningRate = 0.1 }),
        ]);
        using var b = new Sgd([ParameterGroup.Of(plain, new Sgd.Options() { LearningRate = 0.1, Momentum = 0 })]);
        var sum = new double[37];
        for (int step = 1; step <= 6; step++)
        {
            double beta = 0.3 + 0.1 * step;
            a.Groups[0].Momentum = beta; // as CyclicLR and OneCycleLR do
            Problem.SetGradients(free, step);
            Problem.SetGradients(plain, step);
            a.step();
            b.step();
            double[] z = Problem.Values(plain);
            for (int i = 0; i < sum.Length; i++)
                sum[i] += z[i];
            Near([.. z.Zip(sum, (last, total) => (1 - beta) * last + beta * total / step)], Problem.Values(free), 1e-12);
        }
        a.Eval();
        Near([.. sum.Select(v => v / 6)], Problem.Values(free), 1e-12);
    }

    [Fact]
    public void A_part_of_the_model_called_alone_is_followed()
    {
        using var scope = NewDisposeScope();
        Linear encoder = nn.Linear(4, 3),
            decoder = nn.Linear(3, 4);
        using var model = nn.Sequential(("encoder", encoder), ("decoder", decoder));
        using var o = new ScheduleFree(model, new() { LearningRate = 0.1 });
        var x = randn(8, 4);
        for (int step = 0; step < 3; step++)
        {
            o.zero_grad();
            model.call(x).square().mean().backward();
            o.step();
        }
        var training = Problem.Values(model.parameters());
        model.eval();
        using (no_grad())
            encoder.call(x);
        Assert.True(o.Evaluating);
        model.train();
        using (no_grad())
            encoder.call(x); // a frozen part: no word of it
        Assert.True(o.Evaluating);
        encoder.call(x);
        Assert.Equal(training, Problem.Values(model.parameters()));
        using (no_grad())
            encoder.call(x);
        Assert.Empty(o.Events);
    }

    [Fact]
    public void Parameters_used_before_a_hook_runs_are_reported()
    {
        using var model = new Raw();
        using var o = new ScheduleFree(model);
        Assert.Contains("call Eval()", Assert.Single(o.Events).Message, StringComparison.Ordinal);
    }

    private sealed class Raw : nn.Module<(Tensor, Tensor), Tensor>
    {
        private readonly Parameter scale = nn.Parameter(ones(4));
        private readonly Linear a = nn.Linear(4, 3);

        public Raw()
            : base(nameof(Raw)) => RegisterComponents();

        public override Tensor forward((Tensor, Tensor) x) => a.call(x.Item1 * scale) + a.call(x.Item2);
    }

    [Fact]
    public void ScheduleFree_leaves_no_hook_behind()
    {
        using var model = nn.Linear(4, 3);
        using var x = randn(8, 4);
        var o = new ScheduleFree(model);
        o.Dispose();
        model.eval();
        model.call(x).Dispose();
        Assert.False(o.Evaluating);
    }

    [Fact]
    public void Modules_of_groups_are_followed_and_their_lack_is_reported()
    {
        using var model = nn.Linear(4, 3);
        using var x = randn(8, 4);
        using var followed = new ScheduleFree([ParameterGroup.Of(model, new ScheduleFree.Options())]);
        model.eval();
        model.call(x).Dispose();
        Assert.True(followed.Evaluating);
        Assert.Empty(followed.Events);
        using var alone = new ScheduleFree([ParameterGroup.Of(model.parameters(), new ScheduleFree.Options())]);
        Assert.Contains("call Eval()", Assert.Single(alone.Events).Message, StringComparison.Ordinal);
    }
}
