using Amari.Ranks;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

public sealed class PlannerTests
{
    private const double OneStep = 1e-9; // seconds, over before a step is
    private static readonly Dictionary<string, string> None = [];

    private static StepPlan Predict(Trainer trainer, string name, int? steps = null, double maxSeconds = Planner.DefaultMaxSeconds) =>
        Planner.Predict(trainer, new(name, None), steps, maxSeconds);

    [Fact]
    public void Each_kind_of_step_counts_as_often_as_it_occurs()
    {
        Assert.Equal(2, Planner.Mean([2], [], []), 12);
        Assert.Equal(0.9 * 1 + 0.1 * 5, Planner.Mean([1, 5], [2], [10]), 12);
        // Of four steps two are plain, one renews the factors, one the inverses too.
        Assert.Equal(0.9 * 1.5 + (0.1 - 0.025) * 3 + 0.025 * 7, Planner.Mean([1, 2, 3, 7], [2, 4], [10, 40]), 12);
    }

    [Fact]
    public void Work_of_two_intervals_that_never_meet_is_all_but_right()
    {
        // Factors and inverses in steps 0, T, ..., an adapted damping in steps T - 1, 2 T - 1, ...: with intervals of 2 no step would be
        // plain.
        static double[] Costs(int steps, int factors, int inverses) =>
            [
                .. Enumerable
                    .Range(0, steps)
                    .Select(s => 10 + (s % factors == 0 ? 2 : 0) + ((s + 1) % factors == 0 ? 3 : 0) + (s % inverses == 0 ? 5.0 : 0)),
            ];
        int[] asked = [5, 10],
            tried = Planner.CalibrationIntervals(asked);
        Assert.Equal([4, 8], tried);
        Assert.Equal(Costs(100, 5, 10).Average(), Planner.Mean([.. Costs(8, 4, 8).Order()], tried, asked), 0.2);
        Assert.Equal([4, 8, 16], Planner.CalibrationIntervals([2, 3, 50])); // each divides the next, so that a cycle repeats
    }

    [Fact]
    public void Only_intervals_of_what_is_switched_on_count()
    {
        Assert.Equal(
            [("Curvature.Refresh.FactorInterval", 20), ("Curvature.Refresh.InverseInterval", 20)],
            Planner.Intervals(new Kfac.Options())
        );
        Assert.Equal(
            [
                ("Step.AdaptiveDamping.Interval", 5),
                ("Step.FactorDamping.Interval", 20),
                ("Curvature.Refresh.FactorInterval", 20),
                ("Curvature.Refresh.InverseInterval", 20),
            ],
            Planner.Intervals(
                new Kfac.Options
                {
                    Step = new QuadraticStep { AdaptiveDamping = new(), FactorDamping = new() },
                }
            )
        );
        Assert.Equal(
            [("MatrixOptimizer.RefreshInterval", 10)],
            Planner.Intervals(new PartitionedOptimizer.Options { MatrixOptimizer = new Soap.Options() })
        );
        Assert.Empty(Planner.Intervals(new AdaHessian.Options()));
    }

    public static TheoryData<string> Optimizers => [.. OptimizerCatalog.All.Select(o => o.Name)];

    [Theory, MemberData(nameof(Optimizers))]
    public void The_bytes_are_those_of_a_run(string name)
    {
        bool slow = OptimizerCatalog.Find(name).EvaluatesLoss,
            lowRank = name is "kfac" or "routed-kfac"; // ranks change while training
        using var trainer = new Trainer(LabelSquares.For(name, WorkloadCatalog.Find(slow ? "digits-softmax" : "digits-mlp", null)), null);
        string prefix = name == "kfac" ? "" : "matrix-optimizer.";
        var choice = new OptimizerChoice(
            name,
            lowRank ? new() { [prefix + "refresh-warmup"] = "none", [prefix + "damping"] = "0.1" } : new Dictionary<string, string>()
        );
        var plan = Planner.Predict(trainer, choice, slow ? 1 : 16);
        var run = trainer.Train(choice, 0, slow ? Budget.OfSeconds(OneStep) : Budget.OfEpochs(lowRank ? 3 : 1));
        Assert.Null(plan.Refused);
        Assert.InRange((double)plan.StateBytes, (lowRank ? 0.97 : 1) * run.StateBytes, (lowRank ? 1.03 : 1) * run.StateBytes);
        Assert.Equal(slow ? 650 : 17_226, plan.Parameters);
        Assert.Equal(plan.Parameters, run.Parameters);
        Assert.True(plan.Milliseconds > 0 && plan.Kinds[0].Milliseconds.Min > 0);
    }

    [Fact]
    public void It_reports_its_first_valid_step_and_preliminary_predictions()
    {
        using var trainer = new Trainer(WorkloadCatalog.Find("digits-mlp", null), null);
        StepPlan Predict(string growth, double seconds) =>
            Planner.Predict(trainer, new("kfac", new Dictionary<string, string> { ["refresh-warmup"] = growth }), 24, seconds);
        var whole = Predict("0.25", 1000);
        Assert.Equal((81, false), (whole.FromStep, whole.IsPreliminary)); // inverses every 20 steps: 0.25 t > 20 from step 81 on
        Assert.Equal((24, 24), (whole.Steps, whole.PlannedSteps));
        var one = Predict("none", OneStep);
        Assert.Equal((1, 1, 24, true), (one.FromStep, one.Steps, one.PlannedSteps, one.IsPreliminary));
        Assert.Single(one.Kinds); // which kind it is, is unknown
        Assert.True(one.Milliseconds > 0);
    }

    /// <summary>The machine only changes the times: threads that use the processors change neither the number of steps nor the
    /// bytes.</summary>
    [Theory, InlineData("adamw", 8), InlineData("kfac", 16), InlineData("newton-cg", 3)]
    public void Steps_are_the_same_on_a_busy_machine(string name, int steps)
    {
        using var trainer = new Trainer(WorkloadCatalog.Find("digits-softmax", null), null);
        var idle = Predict(trainer, name, steps);
        using var load = new Load();
        var busy = Predict(trainer, name, steps);
        Assert.Equal(
            (idle.Steps, idle.PlannedSteps, idle.StateBytes, false),
            (busy.Steps, busy.PlannedSteps, busy.StateBytes, busy.IsPreliminary)
        );
        Assert.Equal(steps, busy.Steps);
        Assert.Equal(idle.Kinds.Select(k => (k.Interval, k.Steps, k.Share)), busy.Kinds.Select(k => (k.Interval, k.Steps, k.Share)));
    }

    [Fact]
    public void Default_steps_depend_on_model_and_optimizer()
    {
        using var small = new Trainer(WorkloadCatalog.Find("digits-softmax", null), null);
        using var large = new Trainer(WorkloadCatalog.Find("autoencoder", null), null);
        int Planned(Trainer trainer, string name) => Predict(trainer, name, null, OneStep).PlannedSteps;
        Assert.Equal((512, 512, 10), (Planned(small, "adamw"), Planned(small, "kfac"), Planned(small, "newton-cg")));
        Assert.Equal((32, 32), (Planned(large, "sgd"), Planned(large, "kfac")));
    }

    [Theory, InlineData(1, 4), InlineData(9, 12), InlineData(16, 16)]
    public void Steps_are_rounded_up_to_whole_cycles(int steps, int timed)
    {
        using var trainer = new Trainer(WorkloadCatalog.Find("digits-softmax", null), null);
        var plan = Predict(trainer, "kfac", steps);
        Assert.Equal((timed, timed), (plan.PlannedSteps, plan.Steps));
        Assert.Equal([0.75 * timed, 0.25 * timed], plan.Kinds.Select(k => (double)k.Steps));
    }

    [Fact]
    public void Kinds_have_the_intervals_of_training()
    {
        using var trainer = new Trainer(WorkloadCatalog.Find("digits-mlp", null), null);
        var plan = Predict(trainer, "kfac", 24);
        Assert.Equal([1, 20], plan.Kinds.Select(k => k.Interval));
        Assert.Equal([0.95, 0.05], plan.Kinds.Select(k => Math.Round(k.Share, 12)));
        Assert.Equal(
            [
                [],
                ["Curvature.Refresh.FactorInterval", "Curvature.Refresh.InverseInterval"],
            ],
            plan.Kinds.Select(k => k.Options)
        );
        foreach (var q in plan.Kinds.Select(k => k.Milliseconds).Append(plan.Spread))
            Assert.True(0 < q.Min && q.Min <= q.Lower && q.Lower <= q.Median && q.Median <= q.Upper && q.Upper <= q.Max);
        Assert.Equal(plan.Spread.Median, plan.Milliseconds);
        Assert.True(plan.CpuMilliseconds > 0);
        Assert.InRange(plan.WaitedForCpu ?? 0, 0, 1);
    }

    [Fact]
    public void Steps_of_inner_iterations_have_a_mean_and_one_kind()
    {
        using var trainer = new Trainer(WorkloadCatalog.Find("digits-softmax", null), null);
        var plan = Predict(trainer, "newton-cg", 5);
        Assert.Equal((5, false), (plan.Steps, plan.IsPreliminary));
        Assert.InRange(plan.Milliseconds, plan.Spread.Min, plan.Spread.Max);
        Assert.Equal((1, 1.0, 5), (Assert.Single(plan.Kinds).Interval, plan.Kinds[0].Share, plan.Kinds[0].Steps));
    }

    [Fact]
    public void What_cannot_train_the_workload_says_why()
    {
        using var trainer = new Trainer(WorkloadCatalog.Find("autoencoder", null), null);
        var plan = Predict(trainer, "newton", 1);
        Assert.Contains("MaxDenseBytes", plan.Refused);
        Assert.True(double.IsNaN(plan.Milliseconds) && plan is { Steps: 0, StateBytes: 0, IsPreliminary: false, Kinds: [] });
        Assert.Throws<ArgumentOutOfRangeException>(() => Predict(trainer, "adamw", 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => Predict(trainer, "adamw", int.MaxValue));
        Assert.Throws<ArgumentOutOfRangeException>(() => Predict(trainer, "adamw", 1, 0));
    }
}
