using Amari.Tests.Optimizers;
using Amari.Verification;
using static TorchSharp.torch.optim;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Contracts;

/// <summary>What every optimizer promises.</summary>
public sealed class ContractTests
{
    /// <summary>What flattens kernels moves them as the matrices that they are.</summary>
    [
        Theory,
        InlineData("Muon"),
        InlineData("Muon plain"),
        InlineData("Muon cautious"),
        InlineData("Soap"),
        InlineData("Shampoo"),
        InlineData("Shampoo blocks")
    ]
    public void A_kernel_moves_as_the_matrix_of_its_outputs(string name)
    {
        foreach (var shape in new long[][] { [4, 3, 3, 3], [40, 1, 2, 3], [6, 2, 4] })
        {
            Parameter kernel = Problem.Parameters([shape], ScalarType.Float64)[0],
                matrix = nn.Parameter(kernel.detach().flatten(1).clone());
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

    [Fact]
    public void Every_method_with_a_group_loop_is_among_the_cases() =>
        Assert.Empty(OptimizerCases.OptionTypes.Except(OptimizerCases.CaseTypes));

    /// <summary>Twice the same parameters, for two runs that must agree.</summary>
    private static (Parameter[], Parameter[]) Twins()
    {
        long[][] shapes =
        [
            [7],
            [3, 4],
        ];
        return (Problem.Parameters(shapes), Problem.Parameters(shapes));
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void TorchSharp_s_schedulers_drive_it(string name) =>
        AreDriven(() =>
        {
            var p = Problem.Parameters([
                [7],
            ]);
            var o = OptimizerCases.Make(name, p);
            return (o, p, epoch => Problem.Steps(o, p, epoch, epoch + 1));
        });

    /// <summary>Each of TorchSharp's ways to schedule changes the rate from step to step, and every step moves.</summary>
    internal static void AreDriven(Func<(Optimizer Optimizer, Parameter[] Parameters, Action<int> Step)> make)
    {
        Func<Optimizer, lr_scheduler.LRScheduler>[] schedulers =
        [
            o => lr_scheduler.StepLR(o, 1, 0.5),
            o => lr_scheduler.ExponentialLR(o, 0.5),
            o => lr_scheduler.CosineAnnealingLR(o, 5),
            o => lr_scheduler.LambdaLR(o, epoch => 1.0 / (1 + epoch)),
            o => lr_scheduler.OneCycleLR(o, 0.5, total_steps: 10, cycle_momentum: HasMomentum(o)),
            // it goes up from there, to 1 by default
            o => lr_scheduler.CyclicLR(o, 0.01, 0.5, step_size_up: 4, cycle_momentum: HasMomentum(o), max_momentum: 0.85),
        ];
        foreach (var schedule in schedulers)
        {
            var (o, p, step) = make();
            using var _ = o;
            var scheduler = schedule(o);
            var (rates, momenta) = (new List<double>(), new List<double>());
            for (int epoch = 0; epoch < 4; epoch++)
            {
                rates.Add(o.ParamGroups.Single().LearningRate);
                if (HasMomentum(o))
                    momenta.Add(((IMomentum)o.ParamGroups.Single()).Momentum);
                var before = Problem.Values(p);
                step(epoch);
                if (epoch > 0 || o is not Soap)
                    Assert.NotEqual(before, Problem.Values(p)); // SOAP's first gradient only makes its basis
                scheduler.step();
            }
            Assert.Equal(4, rates.Distinct().Count());
            if (HasMomentum(o))
                Assert.Equal(scheduler is lr_scheduler.impl.OneCycleLR or lr_scheduler.impl.CyclicLR ? 4 : 1, momenta.Distinct().Count());
        }

        static bool HasMomentum(Optimizer o) => o is IMomentum { Momentum: not double.NaN };
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void A_resumed_run_equals_an_uninterrupted_one_bitwise(string name)
    {
        var file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():n}.safetensors");
        try
        {
            long[][] shapes =
            [
                [33],
                [5, 7],
                [],
            ];
            var whole = Problem.Parameters(shapes);
            using var a = OptimizerCases.Make(name, whole);
            Problem.Steps(a, whole, 0, 6);

            var first = Problem.Parameters(shapes);
            using var b = OptimizerCases.Make(name, first);
            Problem.Steps(b, first, 0, 3);
            b.Save(file);
            var second = first.Select(p => nn.Parameter(p.detach().clone())).ToArray();
            using var c = OptimizerCases.Make(name, second);
            c.Load(file);
            Problem.Steps(c, second, 3, 6);
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
            var p = Problem.Parameters([
                [33],
                [5, 7],
            ]);
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

    /// <summary>A module that moves makes new parameters and disposes the old ones: whatever comes next must not meet those.</summary>
    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void Follows_a_module_that_has_moved_wherever_it_is_asked_next(string name)
    {
        using var scope = NewDisposeScope();
        var x = randn(8, 4);
        foreach (string next in (string[])["clip", "to", "restore"])
        foreach (bool trained in (bool[])[false, true])
        {
            var model = nn.Linear(4, 3);
            using var o = OptimizerCases.Make(name, model);
            void Train(ScalarType type)
            {
                model.call(x.to_type(type)).square().mean().backward();
                o.step();
            }
            if (trained)
                Train(ScalarType.Float32);
            model.to(ScalarType.Float64);
            if (next == "clip")
                o.MaxGradientNorm = 1;
            else if (next == "to")
                o.to(CPU);
            else
            {
                var state = o.Snapshot();
                o.Restore(new(state.Tensors.ToDictionary(t => t.Key, t => t.Value.clone()), state.Values));
            }
            Train(ScalarType.Float64);
            Assert.Equal(0, o.SkippedSteps);
            Assert.All(o.parameters(), p => Assert.Equal(ScalarType.Float64, p.dtype));
            Assert.All(Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
        }
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void Layout_and_a_neighbour_s_type_change_nothing(string name)
    {
        Parameter[] plain = [nn.Parameter(linspace(-1, 1, 12).reshape(3, 4).t().contiguous()), nn.Parameter(linspace(-1, 1, 12))];
        Parameter[] mixed =
        [
            nn.Parameter(linspace(-1, 1, 12).reshape(3, 4).t()), // not contiguous
            nn.Parameter(linspace(-1, 1, 12)),
            nn.Parameter(linspace(-1, 1, 12, dtype: ScalarType.Float64)),
            nn.Parameter(linspace(-1, 1, 12).to_type(ScalarType.Float16)),
            nn.Parameter(linspace(-1, 1, 12).to_type(ScalarType.BFloat16)),
            nn.Parameter(zeros(0)),
        ];
        using var a = OptimizerCases.Make(name, plain);
        using var b = OptimizerCases.Make(name, mixed);
        Problem.Steps(a, plain, 0, 4);
        Problem.Steps(b, mixed, 0, 4);
        foreach (var (e, v) in Problem.Values(plain).Zip(Problem.Values(mixed[..2])))
            Assert.InRange(v, e - 2e-6, e + 2e-6);
        Assert.All(Problem.Values(mixed), v => Assert.True(double.IsFinite(v)));
        Assert.Equal([ScalarType.Float64, ScalarType.Float16, ScalarType.BFloat16], mixed[2..5].Select(p => p.dtype));
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void A_closure_is_evaluated_first_and_its_loss_returned(string name)
    {
        var (p, q) = Twins();
        using var a = OptimizerCases.Make(name, p);
        using var b = OptimizerCases.Make(name, q);
        Problem.Steps(a, p, 0, 3);
        using var loss = tensor(1.5);
        for (int step = 0; step < 3; step++)
        {
            using var off = no_grad();
            Assert.Same(
                loss,
                b.step(() =>
                {
                    Assert.True(is_grad_enabled());
                    Problem.SetGradients(q, step);
                    return loss;
                })
            );
        }
        Assert.Equal(Problem.Values(p), Problem.Values(q));
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void State_moves_to_a_device(string name)
    {
        var (p, q) = Twins();
        using var a = OptimizerCases.Make(name, p);
        using var b = OptimizerCases.Make(name, q);
        for (int step = 0; step < 3; step++)
        {
            Problem.Steps(a, p, step, step + 1);
            Problem.Steps(b, q, step, step + 1);
            b.to(CPU); // where it is
        }
        Assert.Equal(Problem.Values(p), Problem.Values(q));
        b.to(META);
        Assert.All(b.Snapshot().Tensors.Values, t => Assert.Equal(DeviceType.META, t.device_type));
        Assert.Equal(a.StateBytes, b.StateBytes);
    }

    /// <summary>Each with a state that the default options would not keep, or would keep otherwise.</summary>
    public static TheoryData<OptimizerOptions> OtherStates =>
        [
            new AdamW.Options { StateFormat = StateFormat.BFloat16 },
            new Lion.Options { StateFormat = StateFormat.BlockwiseInt8 },
            new Shampoo.Options { Grafting = Grafting.None },
            new Shampoo.Options { BlockSize = 3 },
            new Muon.Options { Orthogonalise = false },
            new Soap.Options { MaxDimension = 5 },
            new ScheduleFree.Options { Base = ScheduleFreeBase.Sgd },
        ];

    [Theory, MemberData(nameof(OtherStates), DisableDiscoveryEnumeration = true)]
    public void A_state_is_restored_with_its_options_whatever_those_of_before(OptimizerOptions options)
    {
        Optimizer Make(Parameter[] p, bool plain) =>
            OptimizerCases.Of(plain ? (OptimizerOptions)Activator.CreateInstance(options.GetType())! : options, p);
        long[][] shapes =
        [
            [5, 7],
            [33],
        ];
        Parameter[] first = Problem.Parameters(shapes),
            second = Problem.Parameters(shapes);
        using var a = Make(first, plain: false);
        Problem.Steps(a, first, 0, 3);
        using (no_grad())
            foreach (var (p, q) in second.Zip(first))
                p.copy_(q);
        using var b = Make(second, plain: true);
        b.Restore(a.Snapshot());
        Assert.Equal(a.StateBytes, b.StateBytes);
        Problem.Steps(a, first, 3, 6);
        Problem.Steps(b, second, 3, 6);
        Assert.Equal(Problem.Values(first), Problem.Values(second));
    }

    [Fact]
    public void A_state_with_bad_options_is_refused_and_nothing_is_changed()
    {
        var (p, q) = (
            Problem.Parameters([
                [33],
            ]),
            Problem.Parameters([
                [33],
            ])
        );
        using var a = OptimizerCases.Make("AdamW", p);
        using var b = OptimizerCases.Make("AdamW", q);
        Problem.Steps(a, p, 0, 6);
        Problem.Steps(b, q, 0, 3);
        var (tensors, values) = b.Snapshot();
        values["groups"]![0]!["options"]!["LearningRate"] = -1;
        Assert.ThrowsAny<Exception>(() => b.Restore(new(tensors, values)));
        Problem.Steps(b, q, 3, 6);
        Assert.Equal(Problem.Values(p), Problem.Values(q));
    }
}
