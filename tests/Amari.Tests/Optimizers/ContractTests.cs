using static TorchSharp.torch.optim;

namespace Amari.Tests.Optimizers;

/// <summary>What every optimizer promises.</summary>
public sealed class ContractTests
{
    public static TheoryData<string, double, string> BadOptions => new()
    {
        { "LearningRate", -1, ">= 0" },
        { "LearningRate", double.NaN, ">= 0" },
        { "LearningRate", double.PositiveInfinity, ">= 0" },
        { "Momentum", 1, "[0, 1)" },
        { "Beta1", -0.1, "[0, 1)" },
        { "Beta1", double.NaN, "[0, 1)" },
        { "Beta2", 1, "[0, 1)" },
        { "Epsilon", 0, "> 0" },
        { "WeightDecay", -1e-3, ">= 0" },
    };

    private static readonly Type[] Options = [typeof(Sgd.Options), typeof(Adam.Options), typeof(AdamW.Options), typeof(Lion.Options),
        typeof(Muon.Options), typeof(Lamb.Options), typeof(Adafactor.Options), typeof(ScheduleFree.Options), typeof(Soap.Options), typeof(Shampoo.Options), typeof(Sophia.Options), typeof(AdaHessian.Options), typeof(Routed.Options)];

    [Theory, MemberData(nameof(BadOptions))]
    public void Bad_options_are_refused_with_value_and_range(string option, double value, string range)
    {
        var members = Options.Select(t => (Type: t, Member: t.GetProperty(option))).Where(m => m.Member is not null).ToList();
        Assert.NotEmpty(members);
        foreach (var (type, member) in members)
        {
            var error = Assert.Throws<System.Reflection.TargetInvocationException>(() => member!.SetValue(Activator.CreateInstance(type), value)).InnerException;
            Assert.IsType<ArgumentOutOfRangeException>(error);
            Assert.Contains(FormattableString.Invariant($"{option} is {value}"), error.Message, StringComparison.Ordinal);
            Assert.Contains(range, error.Message, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Values_that_an_enum_does_not_have_are_refused()
    {
        foreach (var member in Options.SelectMany(t => t.GetProperties()).Where(p => p.PropertyType.IsEnum && p.CanWrite))
        {
            var error = Assert.Throws<System.Reflection.TargetInvocationException>(() => member.SetValue(Activator.CreateInstance(member.ReflectedType!), Enum.ToObject(member.PropertyType, 99))).InnerException;
            Assert.Contains($"{member.Name} is 99; it must be one of", Assert.IsType<ArgumentOutOfRangeException>(error).Message, StringComparison.Ordinal);
        }
    }

    /// <summary>What flattens kernels moves them as the matrices that they are.</summary>
    [Theory, InlineData("Muon"), InlineData("Muon plain"), InlineData("Muon cautious"), InlineData("Soap"), InlineData("Shampoo"), InlineData("Shampoo blocks")]
    public void A_kernel_moves_as_the_matrix_of_its_outputs(string name)
    {
        foreach (var shape in new long[][] { [4, 3, 3, 3], [40, 1, 2, 3], [6, 2, 4] })
        {
            Parameter kernel = Problem.Parameters([shape], ScalarType.Float64)[0], matrix = nn.Parameter(kernel.detach().flatten(1).clone());
            using var a = OptimizerCases.Make(name, [kernel]);
            using var b = OptimizerCases.Make(name, [matrix]);
            for (int step = 0; step < 6; step++)
            {
                Problem.SetGradients([kernel], step);
                matrix.grad = kernel.grad!.flatten(1);
                a.step();
                b.step();
            }
            Trajectory.Near(Problem.Values([matrix]), Problem.Values([kernel]), 1e-12);
            Assert.NotEqual(Problem.Values(Problem.Parameters([shape], ScalarType.Float64)), Problem.Values([kernel]));
        }
    }

    [Theory, InlineData(true), InlineData(false)]
    public void Each_option_changes_the_trajectory(bool fused)
    {
        double[] Run(Func<Parameter[], Optimizer> make)
        {
            var p = Problem.Parameters([[3333]]);                // so many that a rounded momentum turns some sign of Lion's
            using var o = make(p);
            Steps(o, p, 0, 4);
            return Problem.Values(p);
        }
        double[][] Runs<T>(Func<ParameterGroup<T>, Optimizer> make, params T[] options) where T : OptimizerOptions
        {
            Trajectory.Complete(options);
            return [.. options.Select(o => Run(p => make(ParameterGroup.Of(p, o))))];
        }

        Trajectory.AllDiffer(Runs<Sgd.Options>(g => new Sgd([g]) { Fused = fused }, new(), new() { LearningRate = 0.2 }, new() { Momentum = 0.5 }, new() { Nesterov = true }, new() { WeightDecay = 0.1 }));
        Trajectory.AllDiffer(Runs<Adam.Options>(g => new Adam([g]) { Fused = fused }, new(), new() { LearningRate = 0.2 }, new() { Beta1 = 0.5 }, new() { Beta2 = 0.5 }, new() { Epsilon = 0.1 }, new() { WeightDecay = 0.1 }));
        Trajectory.AllDiffer(Runs<AdamW.Options>(g => new AdamW([g]) { Fused = fused }, new(), new() { LearningRate = 0.2 }, new() { Beta1 = 0.5 }, new() { Beta2 = 0.5 }, new() { Epsilon = 0.1 }, new() { WeightDecay = 0.1 }, new() { Cautious = true },
            new() { StateFormat = StateFormat.BFloat16 }, new() { StateFormat = StateFormat.Blocks8 }));
        Trajectory.AllDiffer(Runs<Lion.Options>(g => new Lion([g]) { Fused = fused }, new(), new() { LearningRate = 0.2 }, new() { Beta1 = 0.2 }, new() { Beta2 = 0.2 }, new() { WeightDecay = 0.1 }, new() { Cautious = true },
            new() { StateFormat = StateFormat.BFloat16 }, new() { StateFormat = StateFormat.Blocks8 }));
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void TorchSharp_s_schedulers_drive_it(string name)
    {
        Func<Optimizer, lr_scheduler.LRScheduler>[] schedulers =
        [
            o => lr_scheduler.StepLR(o, 1, 0.5),
            o => lr_scheduler.ExponentialLR(o, 0.5),
            o => lr_scheduler.CosineAnnealingLR(o, 5),
            o => lr_scheduler.LambdaLR(o, epoch => 1.0 / (1 + epoch)),
            o => lr_scheduler.OneCycleLR(o, 0.5, total_steps: 10, cycle_momentum: o is IMomentum { Momentum: not double.NaN }),
        ];
        foreach (var make in schedulers)
        {
            var p = Problem.Parameters([[7]]);
            using var o = OptimizerCases.Make(name, p);
            var scheduler = make(o);
            var rates = new List<double>();
            for (int epoch = 0; epoch < 4; epoch++)
            {
                rates.Add(o.ParamGroups.Single().LearningRate);
                var before = Problem.Values(p);
                Steps(o, p, epoch, epoch + 1);
                if (epoch > 0 || o is not Soap) Assert.NotEqual(before, Problem.Values(p));   // SOAP's first gradient only makes its basis
                scheduler.step();
            }
            Assert.Equal(4, rates.Distinct().Count());
        }
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void A_resumed_run_equals_an_uninterrupted_one_bitwise(string name)
    {
        var file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():n}.safetensors");
        try
        {
            long[][] shapes = [[33], [5, 7], []];
            var whole = Problem.Parameters(shapes);
            using var a = OptimizerCases.Make(name, whole);
            Steps(a, whole, 0, 6);

            var first = Problem.Parameters(shapes);
            using var b = OptimizerCases.Make(name, first);
            Steps(b, first, 0, 3);
            b.Save(file);
            var second = first.Select(p => nn.Parameter(p.detach().clone())).ToArray();
            using var c = OptimizerCases.Make(name, second);
            c.Load(file);
            Steps(c, second, 3, 6);
            Assert.Equal(Problem.Values(whole), Problem.Values(second));
        }
        finally
        {
            File.Delete(file);
        }
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void Live_tensors_do_not_grow(string name)
    {
        foreach (bool fused in new[] { true, false })
        {
            var p = Problem.Parameters([[33], [5, 7]]);
            Problem.SetGradients(p, 1);
            using var o = OptimizerCases.Make(name, p, fused);
            o.MaxGradientNorm = 1;
            o.step();
            long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
            for (int step = 0; step < 100; step++)
            {
                o.step();
                o.zero_grad();
            }
            Assert.InRange(DisposeScopeManager.Statistics.ThreadTotalLiveCount, 0, before);
        }
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void Follows_a_module_that_moves_to_float64_in_the_middle(string name)
    {
        using var model = nn.Linear(4, 3);
        using var x = randn(8, 4);
        using var wide = x.to_type(ScalarType.Float64);
        using var o = OptimizerCases.Make(name, model);
        void Train(Tensor input)
        {
            o.zero_grad();
            using var loss = model.call(input).square().mean();
            loss.backward();
            o.step();
        }
        Train(x);
        model.to(ScalarType.Float64);
        var before = Problem.Values(model.parameters());
        Train(wide);
        Assert.NotEqual(before, Problem.Values(model.parameters()));
        Assert.All(model.parameters(), p => Assert.Equal(ScalarType.Float64, p.dtype));
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void Layout_and_a_neighbour_s_type_change_nothing(string name)
    {
        Parameter[] plain = [nn.Parameter(linspace(-1, 1, 12).reshape(3, 4).t().contiguous()), nn.Parameter(linspace(-1, 1, 12))];
        Parameter[] mixed =
        [
            nn.Parameter(linspace(-1, 1, 12).reshape(3, 4).t()),                       // not contiguous
            nn.Parameter(linspace(-1, 1, 12)),
            nn.Parameter(linspace(-1, 1, 12, dtype: ScalarType.Float64)),
            nn.Parameter(linspace(-1, 1, 12).to_type(ScalarType.Float16)),
            nn.Parameter(linspace(-1, 1, 12).to_type(ScalarType.BFloat16)),
            nn.Parameter(zeros(0)),
        ];
        using var a = OptimizerCases.Make(name, plain);
        using var b = OptimizerCases.Make(name, mixed);
        Steps(a, plain, 0, 4);
        Steps(b, mixed, 0, 4);
        foreach (var (e, v) in Problem.Values(plain).Zip(Problem.Values(mixed[..2]))) Assert.InRange(v, e - 2e-6, e + 2e-6);
        Assert.All(Problem.Values(mixed), v => Assert.True(double.IsFinite(v)));
        Assert.Equal([ScalarType.Float64, ScalarType.Float16, ScalarType.BFloat16], mixed[2..5].Select(p => p.dtype));
    }

    private static void Steps(Optimizer optimizer, Parameter[] parameters, int from, int to)
    {
        for (int step = from; step < to; step++)
        {
            Problem.SetGradients(parameters, step);
            optimizer.step();
        }
    }
}
