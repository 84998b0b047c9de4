using Amari.Tests.Training;
using Amari.Training;
using Amari.Verification;
using static TorchSharp.torch.optim;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Contracts;

/// <summary>Every scheduler of TorchSharp, with its defaults, on every optimizer of the catalogue.</summary>
public sealed class SchedulerTests
{
    private static readonly (string Name, Func<Optimizer, lr_scheduler.LRScheduler> Make)[] Schedulers =
    [
        ("StepLR", o => lr_scheduler.StepLR(o, 2)),
        ("MultiStepLR", o => lr_scheduler.MultiStepLR(o, [2, 4])),
        ("LambdaLR", o => lr_scheduler.LambdaLR(o, e => 1.0 / (1 + e))),
        ("MultiplicativeLR", o => lr_scheduler.MultiplicativeLR(o, _ => 0.9)),
        ("PolynomialLR", o => lr_scheduler.PolynomialLR(o)),
        ("ExponentialLR", o => lr_scheduler.ExponentialLR(o, 0.9)),
        ("ConstantLR", o => lr_scheduler.ConstantLR(o)),
        ("LinearLR", o => lr_scheduler.LinearLR(o)),
        ("CosineAnnealingLR", o => lr_scheduler.CosineAnnealingLR(o, 5)),
        ("SequentialLR", o => lr_scheduler.SequentialLR(o, [lr_scheduler.LinearLR(o), lr_scheduler.ExponentialLR(o, 0.9)], [3])),
        ("ChainedLR", o => lr_scheduler.ChainedLR([lr_scheduler.ConstantLR(o), lr_scheduler.ExponentialLR(o, 0.9)])),
        ("CyclicLR", o => lr_scheduler.CyclicLR(o, 1e-4, 1e-2, step_size_up: 3)),
        ("CyclicLR without momentum", o => lr_scheduler.CyclicLR(o, 1e-4, 1e-2, step_size_up: 3, cycle_momentum: false)),
        ("OneCycleLR", o => lr_scheduler.OneCycleLR(o, 1e-2, total_steps: 10)),
        ("OneCycleLR without momentum", o => lr_scheduler.OneCycleLR(o, 1e-2, total_steps: 10, cycle_momentum: false)),
        ("ReduceLROnPlateau", o => lr_scheduler.ReduceLROnPlateau(o, patience: 0)),
    ];

    public static TheoryData<string> Names => [.. OptimizerCatalog.All.Select(e => e.Name)];

    [Theory, MemberData(nameof(Names))]
    public void TorchSharp_s_schedulers_drive_it_with_their_defaults(string name)
    {
        foreach (var (scheduler, make) in Schedulers)
        {
            using var scope = NewDisposeScope();
            using var model = OlderState.Model();
            using var optimizer = OlderState.Make(name, model);
            bool cycles = scheduler is "CyclicLR" or "OneCycleLR",
                hasMomentum = optimizer is IMomentum { Momentum: not double.NaN };
            if (cycles && !hasMomentum)
            {
                // torch refuses it as well
                Assert.Contains("cycle_momentum", Assert.ThrowsAny<Exception>(() => make(optimizer)).Message, StringComparison.Ordinal);
                continue;
            }
            var schedule = make(optimizer);
            var rates = new HashSet<double>();
            for (int step = 0; step < 9; step++)
            {
                if (cycles || step % 4 == 0)
                    OlderState.Step(optimizer, model, step);
                if (scheduler == "ReduceLROnPlateau")
                    schedule.step(1.0);
                else
                    schedule.step();
                foreach (var group in optimizer.ParamGroups)
                {
                    rates.Add(group.LearningRate);
                    if (hasMomentum)
                        Assert.InRange(((IMomentum)group).Momentum, 0, 0.99);
                }
            }
            Assert.True(rates.Count > 1, scheduler);
            Assert.All(Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v), scheduler));
            bool cut = optimizer.Events.Any(e => e.Message.Contains("drove the momentum", StringComparison.Ordinal));
            Assert.Equal(scheduler == "CyclicLR", cut);
            Assert.InRange(optimizer.Events.Count(e => e.Message.Contains("drove the momentum", StringComparison.Ordinal)), 0, 1);
        }
    }

    /// <summary>TorchSharp's OneCycleLR sets rate and momentum to 0 at the last call that it allows.</summary>
    [Theory, MemberData(nameof(Names))]
    public void One_cycle_ends_without_an_exception(string name)
    {
        using var scope = NewDisposeScope();
        using var model = OlderState.Model();
        using var optimizer = OlderState.Make(name, model);
        if (optimizer is not IMomentum { Momentum: not double.NaN })
            return;
        var schedule = lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps: 4);
        for (int step = 0; step < 4; step++)
        {
            OlderState.Step(optimizer, model, step);
            schedule.step();
        }
        OlderState.Step(optimizer, model, 4);
        double least = optimizer is ScheduleFree ? 0.01 : 0;
        Assert.All(optimizer.ParamGroups, g => Assert.Equal((0, least), (g.LearningRate, ((IMomentum)g).Momentum)));
        Assert.All(Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
        Assert.Equal(least > 0, optimizer.Events.Any(e => e.Message.Contains("raised to 0.01: OneCycleLR", StringComparison.Ordinal)));
    }

    /// <summary>Both methods follow: the rate multiplies theirs, the momentum is theirs.</summary>
    [Theory, InlineData("routed-muon"), InlineData("routed-soap"), InlineData("routed-kfac")]
    public void Both_methods_of_a_partitioned_optimizer_follow_one_cycle(string name)
    {
        using var model = OlderState.Model();
        using var routed = (PartitionedOptimizer)OlderState.Make(name, model);
        var schedule = lr_scheduler.OneCycleLR(routed, 0.1, total_steps: 10, base_momentum: 0.6, max_momentum: 0.8);
        var momenta = new List<double>();
        for (int step = 0; step < 9; step++)
        {
            OlderState.Step(routed, model, step);
            var o = routed.Groups[0].Options;
            Assert.Equal(o.MatrixOptimizer.CycledMomentum, o.Fallback.Beta1);
            momenta.Add(o.Fallback.Beta1);
            schedule.step();
        }
        Assert.Equal(0.8, momenta[0], 1e-12);
        Assert.Equal(0.6, momenta.Min(), 1e-12);
        Assert.True(momenta.Distinct().Count() > 5);
        Assert.All(Problem.Values(model.parameters()), v => Assert.True(double.IsFinite(v)));
    }
}
