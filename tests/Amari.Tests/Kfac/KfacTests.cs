using System.Text.Json;
using Amari.Curvature;
using Amari.Distributed;
using Amari.Optimizers;
using Amari.Solvers;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>What K-FAC promises as an optimizer: options, state, schedulers, safety.</summary>
public sealed class KfacTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static nn.Module<Tensor, Tensor> Model(ScalarType type = ScalarType.Float32)
    {
        manual_seed(21);
        return nn.Sequential(
                ("conv", nn.Conv2d(1, 2, 3)),
                ("batch", nn.BatchNorm2d(2)),
                ("up", nn.ConvTranspose2d(2, 2, 1)),
                ("flatten", nn.Flatten()),
                ("norm", nn.LayerNorm(8)),
                ("a", nn.Linear(8, 5)),
                ("t", nn.Tanh()),
                ("p", nn.PReLU(1)),
                ("b", nn.Linear(5, 3))
            )
            .to(type);
    }

    private static void Step(nn.Module<Tensor, Tensor> model, optim.Optimizer optimizer, int seed, Action<Tensor>? spoil = null)
    {
        using var generator = new Generator((ulong)seed);
        var type = model.parameters().First().dtype;
        var x = randn([6, 1, 4, 4], generator: generator).to_type(type);
        var y = randint(0, 3, [6], generator: generator);
        optimizer.zero_grad();
        spoil?.Invoke(x);
        new Categorical().Loss(model.call(x), y).backward();
        optimizer.step();
    }

    private static double[] Run(Kfac.Options options, int steps = 6, double? clip = null)
    {
        var model = Model();
        using var optimizer = new Kfac(model, options, new Categorical()) { MaxGradientNorm = clip };
        for (int i = 0; i < steps; i++)
            Step(model, optimizer, i);
        return Optimizers.Problem.Values(model.parameters());
    }

    private static readonly Kfac.Options Base = new()
    {
        Step = new AutoStep { KlClip = 1 },
        Curvature = new()
        {
            Fisher = new FisherOptions.MonteCarlo(),
            Refresh = new()
            {
                FactorInterval = 1,
                InverseInterval = 2,
                Warmup = null,
            },
        },
    };

    [Fact]
    public void Each_option_changes_the_trajectory()
    {
        Kfac.Options[] others =
        [
            Base,
            Base with
            {
                LearningRate = 0.05,
            },
            Base with
            {
                Damping = 1e-2,
            },
            Base with
            {
                Curvature = Base.Curvature with { Inverse = new InverseOptions.Eigenbasis() },
            },
            Base with
            {
                Curvature = Base.Curvature with { Fisher = new FisherOptions.Empirical() },
            },
            Base with
            {
                Curvature = Base.Curvature with { Inverse = new InverseOptions.EigenvalueCorrection() },
            },
            Base with
            {
                Curvature = Base.Curvature with { DampingScale = DampingScale.MeanEigenvalue },
            },
            Base with
            {
                Curvature = Base.Curvature with { WeightSharing = WeightSharing.Reduce },
            },
            Base with
            {
                Curvature = Base.Curvature with { Fisher = new FisherOptions.Exact() },
            },
            Base with
            {
                Curvature = Base.Curvature with { Fisher = new FisherOptions.CurvaturePropagation() },
            },
            Base with
            {
                Curvature = Base.Curvature with { Fisher = new FisherOptions.CurvaturePropagation { Samples = 2 } },
            },
            Base with
            {
                Reduction = LossReduction.Sum,
            },
            Base with
            {
                Curvature = Base.Curvature with { FactorEma = 0.5 },
            },
            Base with
            {
                Curvature = Base.Curvature with { Refresh = Base.Curvature.Refresh with { FactorInterval = 2 } },
            },
            Base with
            {
                Curvature = Base.Curvature with { Refresh = Base.Curvature.Refresh with { InverseInterval = 3 } },
            },
            Base with
            {
                Step = (AutoStep)Base.Step with { KlClip = 1e-4 },
            },
            Base with
            {
                Step = (AutoStep)Base.Step with { Momentum = 0.6 },
            },
            Base with
            {
                WeightDecay = 0.1,
            },
            Base with
            {
                Fallback = new() { LearningRate = 0.1 },
            },
            Base with
            {
                Seed = 7,
            },
            Base with
            {
                Curvature = Base.Curvature with { FactorBatchSize = 4 },
            },
            Base with
            {
                Curvature = Base.Curvature with { Fisher = new FisherOptions.ForwardOnly() },
            },
            Base with
            {
                Curvature = Base.Curvature with { FactorPrecision = MatmulPrecision.BFloat16 },
            },
            Base with
            {
                Curvature = Base.Curvature with { Inverse = new InverseOptions.NewtonSchulz() },
            },
            Base with
            {
                Curvature = Base.Curvature with { Inverse = new InverseOptions.Nystrom { Precision = MatmulPrecision.BFloat16 } },
            },
            Base with
            {
                MaxGrowth = 1.01,
            },
            Base with
            {
                Curvature = Base.Curvature with { IdentityStart = 0.1 },
            },
        ];
        var runs = others.Select(o => Run(o)).Append(Run(Base, clip: 0.01)).ToArray();
        for (int i = 0; i < runs.Length; i++)
        for (int k = 0; k < i; k++)
            Assert.NotEqual(runs[k], runs[i]);
        var plain = Settings.Describe(Base);
        var changed = others
            .SelectMany(o => Settings.Describe(o).Where(d => plain.GetValueOrDefault(d.Key) != d.Value))
            .Select(d => d.Key)
            .ToHashSet();
        string[] elsewhere = // in the tests of adaptive damping, low rank, the clock and the ranks
        [
            "MinDamping",
            "Warmup",
            "TimeFraction",
            "RankTolerance",
            "StepRejection",
            "Strict",
            "BatchSize",
            "AdaptiveDamping",
            "Interval",
            "Decay",
            "FactorDamping",
            "GradWorkerFraction",
            "InverseWork",
        ];
        var leaves = Leaves(typeof(Kfac.Options)).Where(l => !elsewhere.Contains(l.Split('.')[^1]));
        // a new option needs a row
        Assert.All(leaves, l => Assert.Contains(changed, c => c.EndsWith(l, StringComparison.Ordinal)));
    }

    /// <summary>All options of a record and of its parts, whatever kind those are of, each by its part's name and its own.</summary>
    private static IEnumerable<string> Leaves(Type type, string prefix = "") =>
        type.GetProperties()
            .Where(p => p.CanWrite && p.PropertyType != typeof(AdamW.Options))
            .SelectMany(p => p.PropertyType.IsClass ? KindsOf(p.PropertyType).SelectMany(k => Leaves(k, p.Name + ".")) : [prefix + p.Name])
            .Distinct();

    private static IEnumerable<Type> KindsOf(Type type) =>
        type.IsAbstract ? type.Assembly.GetTypes().Where(t => t.IsSubclassOf(type) && !t.IsAbstract) : [type];

    [Theory]
    [
        InlineData("Damping", 0.0),
        InlineData("Curvature.FactorEma", 1.0),
        InlineData("Step.Momentum", -0.1),
        InlineData("WeightDecay", double.NaN)
    ]
    [
        InlineData("Curvature.Refresh.FactorInterval", 0),
        InlineData("Curvature.Refresh.InverseInterval", -3),
        InlineData("Curvature.Fisher.Samples", 0),
        InlineData("Step.KlClip", 0.0),
        InlineData("Curvature.Refresh.TimeFraction", 1.0),
        InlineData("Curvature.FactorBatchSize", 0L),
        InlineData("Step.BatchSize", 0L),
        InlineData("Step.AdaptiveDamping.Decay", 1.0),
        InlineData("Curvature.MinDamping", -1.0),
        InlineData("MaxGrowth", 1.0),
        InlineData("Curvature.IdentityStart", -1.0),
        InlineData("Step.AdaptiveDamping.Interval", 0),
        InlineData("Step.FactorDamping.Interval", 0),
        InlineData("Curvature.Inverse.RankTolerance", 0.0),
        InlineData("Curvature.Refresh.Warmup", 1.0)
    ]
    public void Bad_options_are_refused_with_the_value(string option, object value)
    {
        string text = Convert.ToString(value, System.Globalization.CultureInfo.InvariantCulture)!;
        string[] kinds = option switch
        {
            "Step.BatchSize" or "Step.FactorDamping.Interval" => ["Step=Quadratic"],
            "Curvature.Fisher.Samples" => ["Curvature.Fisher=MonteCarlo"],
            _ => [],
        };
        var error = Assert.Throws<ArgumentException>(() =>
            Settings.Apply(
                typeof(Kfac.Options),
                [.. kinds.Select(k => k.Split('=')).Select(k => KeyValuePair.Create(k[0], k[1])), KeyValuePair.Create(option, text)]
            )
        );
        Assert.Contains($"{option.Split('.')[^1]} is {text}; it must be", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Fisher_needs_a_likelihood()
    {
        Assert.Throws<ArgumentException>(() => new Kfac(Model(), new() { Curvature = new() { Fisher = new FisherOptions.Exact() } }));
        using var optimizer = new Kfac(Model());
        Assert.Equal(FisherKind.Empirical, optimizer.Fisher);
    }

    public static TheoryData<FisherKind, DampingMethod> Kinds =>
        new(
            from f in Enum.GetValues<FisherKind>()
            from d in Enum.GetValues<DampingMethod>()
            where (f, d) != (FisherKind.ForwardOnly, DampingMethod.Ekfac)
            select (f, d)
        );

    [Theory, MemberData(nameof(Kinds))]
    public void Resumed_run_equals_an_uninterrupted_one_bit_for_bit(FisherKind fisher, DampingMethod damping)
    {
        var options = Base with
        {
            Curvature = Base.Curvature with
            {
                Fisher = FisherOptions.Of(fisher),
                Inverse = InverseOptions.Of(damping),
                Refresh = Base.Curvature.Refresh with { InverseInterval = 7, FactorInterval = 3 },
            },
        };
        string file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        var (whole, first, second) = (Model(), Model(), Model());
        using var straight = new Kfac(whole, options, new Categorical());
        for (int i = 0; i < 20; i++)
            Next(whole, straight, i);
        using (var before = new Kfac(first, options, new Categorical()))
        {
            for (int i = 0; i < 11; i++)
                Next(first, before, i);
            before.Save(file);
        }
        using (no_grad())
            foreach (var (p, q) in second.parameters().Zip(first.parameters()))
                p.copy_(q);
        using var after = new Kfac(
            second,
            new()
            {
                LearningRate = 0.3,
                Fallback = new() { LearningRate = 0.02 },
            },
            new Categorical()
        );
        after.Load(file);
        File.Delete(file);
        for (int i = 11; i < 20; i++)
            Next(second, after, i);
        Assert.Equal(Optimizers.Problem.Values(whole.parameters()), Optimizers.Problem.Values(second.parameters()));
        Assert.Equal(
            JsonSerializer.Serialize(straight.Snapshot().Values["options"]),
            JsonSerializer.Serialize(after.Snapshot().Values["options"])
        );

        static void Next(nn.Module<Tensor, Tensor> model, Kfac optimizer, int i)
        {
            Step(model, optimizer, i);
            optimizer.Group.LearningRate *= 0.9; // as a schedule does: the fall-back follows
        }
    }

    [Fact]
    public void State_of_another_model_is_refused()
    {
        var model = nn.Sequential(("a", nn.Linear(4, 4)));
        using var other = new Kfac(model);
        model.call(randn(3, 4)).sum().backward();
        other.step();
        using var optimizer = new Kfac(nn.Sequential(("a", nn.Linear(5, 4))));
        Assert.Throws<InvalidDataException>(() => optimizer.Restore(other.Snapshot()));
        using var third = new Kfac(nn.Sequential(("b", nn.Linear(4, 4))));
        Assert.Throws<InvalidDataException>(() => third.Restore(other.Snapshot()));
    }

    [Fact]
    public void TorchSharp_s_schedulers_drive_it() =>
        Contracts.ContractTests.AreDriven(() =>
        {
            var model = Model();
            var optimizer = new Kfac(model, Base with { Step = (AutoStep)Base.Step with { KlClip = null } }, new Categorical());
            return (optimizer, [.. model.parameters()], i => Step(model, optimizer, i));
        });

    /// <summary>A schedule of absolute rates is one of K-FAC's; AdamW's rises and falls as much.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void The_fall_back_follows_the_rate_of_its_group_in_proportion(bool absolute)
    {
        var model = Model();
        using var optimizer = new Kfac(
            model,
            Base with
            {
                LearningRate = 0.2,
                Fallback = new() { LearningRate = 0.02 },
            },
            new Categorical()
        );
        var scheduler = absolute
            ? optim.lr_scheduler.OneCycleLR(optimizer, 0.5, total_steps: 10)
            : optim.lr_scheduler.StepLR(optimizer, 1, 0.5);
        var slope = model.get_parameter("p.weight")!;
        var twin = nn.Parameter(slope.detach().clone());
        using var alone = new AdamW([ParameterGroup.Of([twin], new AdamW.Options())]);
        for (int i = 0; i < 8; i++)
        {
            alone.Groups[0].LearningRate = 0.02 * (optimizer.ParamGroups.Single().LearningRate / 0.2);
            Step(model, optimizer, i);
            twin.grad = slope.grad!.clone();
            alone.step();
            Optimizers.Trajectory.Near(Optimizers.Problem.Values([twin]), Optimizers.Problem.Values([slope]), 1e-7);
            scheduler.step();
        }
        Assert.Equal(absolute, optimizer.Group.Momentum != Base.CycledMomentum);
    }

    [Fact]
    public void Each_group_s_fall_back_follows_its_own_rate()
    {
        var model = nn.Sequential(("a", nn.Linear(4, 3)), ("p", nn.PReLU(1)), ("b", nn.Linear(3, 3)), ("q", nn.PReLU(1)));
        var parameters = model.named_parameters().ToLookup(p => p.name[0] is 'a' or 'p');
        var own = new Kfac.GroupOptions
        {
            LearningRate = Base.LearningRate,
            Damping = Base.Damping,
            Fallback = Base.Fallback,
        };
        var first = new ParameterGroup<Kfac.Options>(parameters[true], Base);
        ParameterGroup<Kfac.GroupOptions>[] groups = [new(parameters[false], own)];
        using var optimizer = new Kfac(first, groups, model, new Categorical());
        Assert.Equal([first, .. groups], optimizer.ParamGroups);
        foreach (double rate in (double[])[0.1, 0])
        {
            groups[0].LearningRate = rate;
            var before = Optimizers.Problem.Values([model.get_parameter("p.weight")!, model.get_parameter("q.weight")!]);
            optimizer.zero_grad();
            new Categorical().Loss(model.call(randn(6, 4)), randint(0, 3, [6])).backward();
            optimizer.step();
            var after = Optimizers.Problem.Values([model.get_parameter("p.weight")!, model.get_parameter("q.weight")!]);
            Assert.Equal([true, rate > 0], before.Zip(after, (b, a) => b != a));
        }
    }

    [Fact]
    public void A_closure_is_evaluated_first_and_its_loss_returned()
    {
        var (model, closed) = (Model(), Model());
        using var a = new Kfac(model, Base, new Categorical());
        using var b = new Kfac(closed, Base, new Categorical());
        for (int i = 0; i < 4; i++)
        {
            Step(model, a, i);
            using var generator = new Generator((ulong)i);
            var (x, y) = (randn([6, 1, 4, 4], generator: generator), randint(0, 3, [6], generator: generator));
            Tensor? made = null;
            using (no_grad())
                Assert.Same(
                    b.step(() =>
                    {
                        b.zero_grad();
                        made = new Categorical().Loss(closed.call(x), y);
                        made.backward();
                        return made;
                    }),
                    made
                );
        }
        Assert.Equal(Optimizers.Problem.Values(model.parameters()), Optimizers.Problem.Values(closed.parameters()));
    }

    [Theory, InlineData(DampingMethod.FactoredTikhonov), InlineData(DampingMethod.Ekfac)]
    public void State_moves_to_a_device(DampingMethod method)
    {
        var (model, moved) = (Model(), Model());
        using var a = new Kfac(
            model,
            Base with
            {
                Curvature = Base.Curvature with { Inverse = InverseOptions.Of(method) },
            },
            new Categorical()
        );
        using var b = new Kfac(
            moved,
            Base with
            {
                Curvature = Base.Curvature with { Inverse = InverseOptions.Of(method) },
            },
            new Categorical()
        );
        for (int i = 0; i < 6; i++)
        {
            Step(model, a, i);
            Step(moved, b, i);
            b.to(CPU); // where it is
        }
        Assert.Equal(Optimizers.Problem.Values(model.parameters()), Optimizers.Problem.Values(moved.parameters()));
        var shapes = b.Snapshot().Tensors.ToDictionary(t => t.Key, t => (t.Value.dtype, string.Join(",", t.Value.shape)));
        b.to(META);
        var state = b.Snapshot().Tensors;
        Assert.All(state.Where(t => t.Key != "generator"), t => Assert.Equal(DeviceType.META, t.Value.device_type));
        Assert.Equal(shapes, state.ToDictionary(t => t.Key, t => (t.Value.dtype, string.Join(",", t.Value.shape))));
    }

    [Fact]
    public void Other_types_follow_the_module()
    {
        var model = Model();
        using var optimizer = new Kfac(model, Base with { LearningRate = 1e-3 }, new Categorical());
        Step(model, optimizer, 1);
        model.to(ScalarType.Float64);
        for (int i = 2; i < 14; i++)
            Step(model, optimizer, i);
        Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
    }

    /// <summary>With a fall-back (the embedding), whose gradients are summed before anything else follows the model; new, and with a
    /// state.</summary>
    [Theory, InlineData(0), InlineData(2)]
    public void Follows_a_model_that_moves_before_a_step_without_zero_grad(int steps)
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        var model = nn.Sequential(("a", nn.Linear(8, 5)), ("p", nn.PReLU(5)), ("b", nn.Linear(5, 3)));
        using var optimizer = new Kfac(model, Base with { LearningRate = 1e-3 }, new Categorical());
        Assert.Contains(optimizer.Coverage.Rows, r => r.Block == "AdamW");
        void Train(ScalarType type)
        {
            new Categorical().Loss(model.call(randn(6, 8).to_type(type)), randint(0, 3, [6])).backward();
            optimizer.step();
        }
        for (int i = 0; i < steps; i++)
            Train(ScalarType.Float32);
        model.to(ScalarType.Float64);
        Train(ScalarType.Float64);
        Assert.All(optimizer.Group.Parameters, p => Assert.Equal(ScalarType.Float64, p.Parameter.dtype));
        optimizer.Restore(optimizer.Snapshot());
        Train(ScalarType.Float64);
        Assert.Equal(0, optimizer.SkippedSteps);
        Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
    }

    [Fact]
    public void Scales_of_normalisations_are_not_decayed()
    {
        using var scope = NewDisposeScope();
        manual_seed(4);
        var model = nn.Sequential(
            ("a", nn.Linear(6, 6)),
            ("r", nn.Unflatten(1, [2, 3])),
            ("n", nn.LayerNorm([2, 3])),
            ("f", nn.Flatten()),
            ("b", nn.Linear(6, 3))
        );
        double[] Change(double decay)
        {
            var twin = nn.Sequential(
                ("a", nn.Linear(6, 6)),
                ("r", nn.Unflatten(1, [2, 3])),
                ("n", nn.LayerNorm([2, 3])),
                ("f", nn.Flatten()),
                ("b", nn.Linear(6, 3))
            );
            using (no_grad())
                foreach (var (p, q) in twin.parameters().Zip(model.parameters()))
                    p.copy_(q);
            using var optimizer = new Kfac(twin, Base with { WeightDecay = decay, LearningRate = 0.1, Seed = 1 }, new Categorical());
            using var generator = new Generator(5);
            new Categorical().Loss(twin.call(randn([6, 6], generator: generator)), randint(0, 3, [6], generator: generator)).backward();
            optimizer.step();
            return Optimizers.Problem.Values([twin.get_parameter("n.weight")!]);
        }
        Assert.Equal(Change(0), Change(0.5));
    }

    [Fact]
    public void Bfloat16_parameters_are_trained()
    {
        var model = nn.Sequential(("a", nn.Linear(8, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3))).to(ScalarType.BFloat16);
        var before = Optimizers.Problem.Values(model.parameters());
        using var optimizer = new Kfac(model, new() { Curvature = new() { Fisher = new FisherOptions.Empirical() } });
        for (int i = 0; i < 3; i++)
        {
            optimizer.zero_grad();
            model.call(randn(6, 8).to_type(ScalarType.BFloat16)).square().mean().backward();
            optimizer.step();
        }
        var after = Optimizers.Problem.Values(model.parameters());
        Assert.NotEqual(before, after);
        Assert.All(after, v => Assert.True(double.IsFinite(v)));
    }

    [Fact]
    public void Gradient_that_is_not_finite_is_skipped_counted_and_told()
    {
        var model = Model();
        using var optimizer = new Kfac(model, Base, new Categorical());
        for (int i = 0; i < 3; i++)
            Step(model, optimizer, i);
        var before = Optimizers.Problem.Values(model.parameters());
        foreach (var p in model.parameters())
            p.grad!.fill_(double.NaN);
        optimizer.step();
        Assert.Equal(1, optimizer.SkippedSteps);
        Assert.Contains(optimizer.Events, e => e.Message.Contains("skipped", StringComparison.Ordinal));
        Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
        for (int i = 4; i < 7; i++)
            Step(model, optimizer, i);
        Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
    }

    [Theory, InlineData(DampingMethod.Eigenbasis), InlineData(DampingMethod.FactoredTikhonov), InlineData(DampingMethod.Ekfac)]
    public void Dead_units_constant_inputs_and_single_examples_do_not_stop_training(DampingMethod method)
    {
        manual_seed(3);
        var model = nn.Sequential(("a", nn.Linear(6, 8)), ("r", nn.ReLU()), ("b", nn.Linear(8, 3)));
        using (no_grad())
            ((Linear)model[0]).bias!.fill_(-100); // all dead
        using var optimizer = new Kfac(
            model,
            Base with
            {
                Curvature = Base.Curvature with { Inverse = InverseOptions.Of(method) },
            },
            new Categorical()
        );
        var before = Optimizers.Problem.Values(model.parameters());
        for (int i = 0; i < 8; i++)
        {
            optimizer.zero_grad();
            new Categorical().Loss(model.call(zeros(1, 6)), tensor(new long[] { 1 })).backward();
            optimizer.step();
        }
        Assert.Equal(0, optimizer.SkippedSteps);
        Assert.NotEqual(before, Optimizers.Problem.Values(model.parameters()));
        Assert.All(Optimizers.Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
    }
}
