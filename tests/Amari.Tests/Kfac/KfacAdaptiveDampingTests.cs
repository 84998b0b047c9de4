using Amari.Curvature;
using Amari.Ranks;
using Amari.Reporting;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Tests.KfacOptimizer;

/// <summary>Adaptive damping, rejection and the damping of the factors against dense Fishers and closed forms, in float64.</summary>
public sealed class KfacAdaptiveDampingTests : QuadraticModelTest
{
    /// <summary>Squared loss and one linear layer: K-FAC is exact, the model is the loss, and one step is the minimum of the damped
    /// loss.</summary>
    [Fact]
    public void A_good_model_lowers_the_damping_on_its_interval_only()
    {
        var model = nn.Sequential(("a", nn.Linear(3, 2)));
        using var optimizer = new Kfac(
            model,
            Base with
            {
                Step = (QuadraticStep)Base.Step with
                {
                    AdaptiveDamping = new() { Decay = 0.9, Interval = 3 },
                },
            },
            new Gaussian()
        );
        var (x, y) = (randn(8, 3), randn(8, 2));
        List<double> dampings = [];
        for (int i = 0; i < 6; i++)
        {
            dampings.Add(optimizer.StepOnBatch(x, y).Damping!.Value);
            if (i == 2)
                Assert.Equal(1, optimizer.Report!.ReductionRatio!.Value, 1e-6);
        }
        Assert.Equal(
            [0.02, 0.02, 0.02, 0.02 * Math.Pow(0.9, 3), 0.02 * Math.Pow(0.9, 3), 0.02 * Math.Pow(0.9, 3)],
            dampings,
            (a, b) => Math.Abs(a - b) < 1e-15
        );
        Assert.Equal(0.02 * Math.Pow(0.9, 6), optimizer.Damping, 1e-15);
        Assert.Contains(optimizer.Events, e => e.Message.StartsWith("damping adapted", StringComparison.Ordinal));
        using var floored = new Kfac(
            model,
            Base with
            {
                Step = (QuadraticStep)Base.Step with
                {
                    AdaptiveDamping = new() { Decay = 0.9, Interval = 1 },
                },
                Curvature = Base.Curvature with { MinDamping = 0.017 },
            },
            new Gaussian()
        );
        for (int i = 0; i < 4; i++)
            floored.StepOnBatch(x, y);
        Assert.Equal(0.017, floored.Damping); // 0.02, 0.018, then no lower
    }

    [Fact]
    public void A_rising_step_is_taken_back_bit_for_bit_and_raises_damping()
    {
        var model = TwoLayers();
        var options = new Kfac.Options
        {
            LearningRate = 100,
            StepRejection = true,
            Damping = 1e-3,
            Step = new AutoStep { KlClip = null, AdaptiveDamping = new() },
            Curvature = new() { Fisher = new FisherOptions.Exact() },
        };
        using var optimizer = new Kfac(model, options, new Categorical());
        var (x, y) = (randn(7, 4), randint(0, 3, [7]));
        var before = Optimizers.Problem.Values(model.parameters());
        var report = optimizer.StepOnBatch(x, y);
        Assert.Equal(StepOutcome.Rejected, report.Outcome);
        Assert.Equal(report.LossBefore, report.LossAfter);
        Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
        Assert.Equal(1, optimizer.RejectedSteps);
        Assert.Equal(1e-3 / Math.Pow(0.95, 5), optimizer.Damping, 1e-15);
        Assert.Contains(optimizer.Events, e => e.Message.Contains("taken back: 1 times", StringComparison.Ordinal));
        // without rejection it stays, at a higher loss
        using var careless = new Kfac(
            model,
            options with
            {
                StepRejection = false,
                Step = (AutoStep)options.Step with { AdaptiveDamping = new() { Interval = 1 } },
            },
            new Categorical()
        );
        var kept = careless.StepOnBatch(x, y);
        Assert.True(kept.LossAfter > kept.LossBefore);
        Assert.Equal(1e-3 / 0.95, careless.Damping, 1e-15); // the model promised no fall: ρ is poor
    }

    /// <summary>The best of three by dense models: each candidate's direction from a twin that has that damping.</summary>
    [Fact]
    public void Factor_damping_is_the_best_of_three_by_the_dense_model()
    {
        var model = TwoLayers();
        var options = Base with
        {
            Damping = 0.5,
            Step = (QuadraticStep)Base.Step with { FactorDamping = new() { Interval = 2 } },
            Curvature = Base.Curvature with { Fisher = new FisherOptions.Empirical() },
        };
        using var optimizer = new Kfac(model, options, new Categorical());
        for (int i = 1; i <= 6; i++)
        {
            var (x, y) = (randn(7, 4), randint(0, 3, [7]));
            var parameters = model.parameters().ToList();
            var g = cat([.. autograd.grad([new Categorical().Loss(model.call(x), y)], [.. parameters]).Select(t => t.flatten())]);
            var damped = Dense.Fisher(model, x, parameters, Dense.CategoricalFisher) + 0.5 * eye(g.shape[0]);
            double now = optimizer.FactorDamping;
            double[] candidates = [now, now * 0.95 * 0.95, now / 0.95 / 0.95];
            double Least(double damping)
            {
                var plain = Base with { Damping = damping, Curvature = Base.Curvature with { Fisher = new FisherOptions.Empirical() } };
                var delta = Direction(optimizer, model, plain, x, y);
                var last = _last;
                var plane = last is null ? delta.unsqueeze(1) : stack([delta, last], 1);
                var slopes = plane.T.mv(g);
                return (-0.5 * slopes.dot(linalg.solve(plane.T.mm(damped).mm(plane), slopes))).ToDouble();
            }
            double expected = i % 2 == 0 ? candidates.MinBy(Least) : now;
            var before = Flat(model);
            optimizer.StepOnBatch(x, y);
            _last = Flat(model) - before;
            Assert.Equal(expected, optimizer.FactorDamping, 1e-12);
        }
        Assert.NotEqual(0.5, optimizer.FactorDamping);
        Assert.Equal(0.5, optimizer.Damping);
    }

    private Tensor? _last;

    [Fact]
    public void Poor_ratio_of_the_fixed_rule_is_that_of_the_dense_model()
    {
        var model = TwoLayers();
        using var optimizer = new Kfac(
            model,
            Base with
            {
                LearningRate = 0.7,
                Step = new FixedStep { AdaptiveDamping = new() { Interval = 1 } },
            },
            new Categorical()
        );
        for (int i = 0; i < 2; i++) // the second has momentum
        {
            var (x, y) = (randn(7, 4), randint(0, 3, [7]));
            var w = Flat(model);
            var parameters = model.parameters().ToList();
            var g = cat([.. autograd.grad([new Categorical().Loss(model.call(x), y)], [.. parameters]).Select(t => t.flatten())]);
            var dense = Dense.Fisher(model, x, parameters, Dense.CategoricalFisher);
            var report = optimizer.StepOnBatch(x, y);
            var delta = Flat(model) - w;
            double predicted = -(g.dot(delta) + 0.5 * delta.dot(dense.mv(delta))).ToDouble();
            Assert.Equal(predicted, report.PredictedReduction!.Value, 1e-10);
        }
    }

    [Fact]
    public void Options_that_need_the_loss_say_so_and_each_changes_the_run()
    {
        Kfac.Options plain = new()
        {
            LearningRate = 1.5,
            MaxGrowth = null,
            Damping = 0.05,
            Step = new AutoStep { KlClip = null, Momentum = 0.9 },
            Curvature = new()
            {
                Fisher = new FisherOptions.Exact(),
                Refresh = new()
                {
                    FactorInterval = 1,
                    InverseInterval = 2,
                    Warmup = null,
                },
            },
        };
        Kfac.Options[] all =
        [
            plain,
            plain with
            {
                Step = new QuadraticStep(),
            },
            plain with
            {
                StepRejection = true,
            },
            plain with
            {
                Step = (AutoStep)plain.Step with { AdaptiveDamping = new() },
            },
            plain with
            {
                Step = new QuadraticStep { FactorDamping = new() { Interval = 5 } },
            },
            plain with
            {
                Step = new QuadraticStep { FactorDamping = new() { Interval = 3 } },
            },
            plain with
            {
                Step = new QuadraticStep { BatchSize = 4 },
            },
            plain with
            {
                Step = (AutoStep)plain.Step with { AdaptiveDamping = new() { Interval = 2 } },
            },
            plain with
            {
                Step = (AutoStep)plain.Step with { AdaptiveDamping = new() },
                Curvature = plain.Curvature with { MinDamping = 0.045 },
            },
            plain with
            {
                Step = (AutoStep)plain.Step with { AdaptiveDamping = new() { Decay = 0.8 } },
            },
        ];
        var runs = all.Select(o => Run(o, 12)).ToList();
        for (int i = 0; i < runs.Count; i++)
        for (int k = 0; k < i; k++)
            Assert.NotEqual(runs[k], runs[i]);
        foreach (var o in all.Where(o => o.EvaluatesLoss))
        {
            var model = TwoLayers();
            using var optimizer = new Kfac(model, o, new Categorical());
            model.call(randn(3, 4)).sum().backward();
            Assert.Contains(
                "StepOnBatch(inputs, targets)",
                Assert.Throws<InvalidOperationException>(() => optimizer.step()).Message,
                StringComparison.Ordinal
            );
        }
        using var without = new Kfac(TwoLayers());
        Assert.Throws<InvalidOperationException>(() => without.StepOnBatch(randn(3, 4), randint(0, 3, [3])));
    }

    private static double[] Run(Kfac.Options options, int steps, int resumeAt = -1)
    {
        manual_seed(42);
        var model = TwoLayers();
        var optimizer = new Kfac(model, options, new Categorical());
        for (int i = 0; i < steps; i++)
        {
            if (i == resumeAt)
            {
                var other = new Kfac(model, new(), new Categorical());
                other.Restore(optimizer.Snapshot());
                optimizer.Dispose();
                optimizer = other;
            }
            using var generator = new Generator((ulong)i);
            optimizer.StepOnBatch(randn([9, 4], generator: generator), randint(0, 3, [9], generator: generator));
        }
        optimizer.Dispose();
        return Optimizers.Problem.Values(model.parameters());
    }

    [Fact]
    public void Resumed_run_equals_an_uninterrupted_one()
    {
        var options = Base with
        {
            StepRejection = true,
            Step = (QuadraticStep)Base.Step with
            {
                AdaptiveDamping = new() { Interval = 2 },
                FactorDamping = new() { Interval = 3 },
            },
        };
        Assert.Equal(Run(options, 12), Run(options, 12, resumeAt: 7));
    }

    [Fact]
    public void The_trainer_calls_it_and_it_trains()
    {
        using var trainer = new Amari.Training.Trainer(Amari.Workloads.WorkloadCatalog.Find("digits-softmax", null), null);
        set_default_dtype(ScalarType.Float32);
        var run = trainer.Train(
            new(
                "kfac",
                new Dictionary<string, string>
                {
                    ["StepRule"] = "QuadraticModel",
                    ["AdaptiveDamping"] = "true",
                    ["StepRejection"] = "true",
                }
            ),
            1,
            Amari.Workloads.Budget.OfEpochs(12)
        );
        Assert.True(run.FinalLoss < 0.5 * run.Losses[0].Loss, $"{run.Losses[0].Loss} to {run.FinalLoss}");
        Assert.Contains(run.Events, e => e.Message.StartsWith("damping adapted", StringComparison.Ordinal));
    }
}
