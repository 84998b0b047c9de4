using Amari.Ranks;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

public sealed class PlannerTests
{
    private const double OneStep = 1e-9; // seconds, over before a step is

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
        Assert.Equal([2, 3, 16], Planner.CalibrationIntervals([2, 3, 50]));
    }

    [Fact]
    public void Only_intervals_of_what_is_switched_on_count()
    {
        Assert.Equal(
            [("Curvature.Refresh.FactorInterval", 10), ("Curvature.Refresh.InverseInterval", 20)],
            Planner.Intervals(new Kfac.Options())
        );
        Assert.Equal(
            [
                ("Step.AdaptiveDamping.Interval", 5),
                ("Curvature.Refresh.FactorInterval", 10),
                ("Step.FactorDamping.Interval", 20),
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
        using var trainer = new Trainer(WorkloadCatalog.Find(slow ? "digits-softmax" : "digits-mlp", null), null);
        string prefix = name == "kfac" ? "" : "matrix-optimizer.";
        var choice = new OptimizerChoice(
            name,
            lowRank ? new() { [prefix + "refresh-warmup"] = "none", [prefix + "damping"] = "0.1" } : new Dictionary<string, string>()
        );
        var plan = Planner.Predict(
            trainer,
            choice,
            slow ? OneStep
                : lowRank ? 0.1
                : 0.02
        );
        var run = trainer.Train(choice, 0, slow ? Budget.OfSeconds(OneStep) : Budget.OfEpochs(lowRank ? 3 : 1));
        Assert.Null(plan.Refused);
        Assert.InRange((double)plan.StateBytes, (lowRank ? 0.97 : 1) * run.StateBytes, (lowRank ? 1.03 : 1) * run.StateBytes);
        Assert.Equal(slow ? 650 : 17_226, plan.Parameters);
        Assert.Equal(plan.Parameters, run.Parameters);
        Assert.True(plan.Milliseconds > 0 && plan.Plain > 0);
    }

    [Fact]
    public void It_reports_its_first_valid_step_and_preliminary_predictions()
    {
        using var trainer = new Trainer(WorkloadCatalog.Find("digits-mlp", null), null);
        StepPlan Predict(string growth, double seconds) =>
            Planner.Predict(trainer, new("kfac", new Dictionary<string, string> { ["refresh-warmup"] = growth }), seconds);
        var whole = Predict("0.25", 0.2);
        Assert.Equal((81, false), (whole.FromStep, whole.IsPreliminary)); // inverses every 20 steps: 0.25 t > 20 from step 81 on
        Assert.True(whole.Steps >= 3 * 8 && whole.Steps % 8 == 0);
        var one = Predict("none", OneStep);
        Assert.Equal((1, 1, true), (one.FromStep, one.Steps, one.IsPreliminary));
        Assert.True(one.Milliseconds > 0);
    }

    [Fact]
    public void Steps_of_inner_iterations_are_timed_until_their_mean_is_known()
    {
        using var trainer = new Trainer(WorkloadCatalog.Find("digits-softmax", null), null);
        StepPlan Predict(string name) => Planner.Predict(trainer, new(name, new Dictionary<string, string>()), 0.02);
        var (varies, steady) = (Predict("newton-cg"), Predict("adamw"));
        Assert.All(
            [varies, steady],
            p => Assert.True(0 < p.MinMilliseconds && p.MinMilliseconds <= p.Plain && p.Plain < p.MaxMilliseconds)
        );
        Assert.InRange(varies.Milliseconds, varies.MinMilliseconds, varies.MaxMilliseconds);
        Assert.Equal((varies.MinMilliseconds, false), (varies.Plain, varies.IsPreliminary));
        Assert.True(varies.Steps >= 3);
    }

    [Fact]
    public void What_cannot_train_the_workload_says_why()
    {
        using var trainer = new Trainer(WorkloadCatalog.Find("autoencoder", null), null);
        var plan = Planner.Predict(trainer, new("newton", new Dictionary<string, string>()), 0.01);
        Assert.Contains("MaxDenseBytes", plan.Refused);
        Assert.Throws<ArgumentOutOfRangeException>(() => Planner.Predict(trainer, new("adamw", new Dictionary<string, string>()), 0));
    }
}
