using Amari.Curvature;
using Amari.Ranks;
using Amari.Reporting;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;

namespace Amari.Tests.KfacOptimizer;

/// <summary>Steps from the quadratic model, adaptive damping and rejection against dense Fishers and closed forms, in float64.</summary>
public sealed class AdaptiveDampingTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public AdaptiveDampingTests()
    {
        manual_seed(41);
        set_default_dtype(ScalarType.Float64);
    }

    public void Dispose()
    {
        set_default_dtype(ScalarType.Float32);
        _scope.Dispose();
    }

    private static readonly Kfac.Options Base = new()
    {
        Damping = 0.02,
        MaxGrowth = null,
        Step = new QuadraticStep(),
        Curvature = new()
        {
            Fisher = new FisherOptions.Exact(),
            IdentityStart = 0,
            Refresh = new() { InverseInterval = 1 },
        },
    };

    private static Sequential Net() => nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, 3)));

    private static Tensor Flat(nn.Module model) => cat([.. model.parameters().Select(p => p.detach().flatten())]);

    /// <summary>The change of the parameters by one fixed step of length 1 without momentum, from a given state.</summary>
    private static Tensor Direction(Kfac other, nn.Module<Tensor, Tensor> model, Kfac.Options options, Tensor x, Tensor y)
    {
        var twin = Net();
        using (no_grad())
            foreach (var (p, q) in twin.parameters().Zip(model.parameters()))
                p.copy_(q);
        using var optimizer = new Kfac(twin, options, new Categorical());
        optimizer.Restore(other.Snapshot());
        optimizer.Group.Options = options with
        {
            LearningRate = 1,
            StepRejection = false,
            Step = new FixedStep { KlClip = null, Momentum = 0 },
        };
        var before = Flat(twin);
        new Categorical().Loss(twin.call(x), y).backward();
        optimizer.step();
        return Flat(twin) - before;
    }

    [Fact]
    public void A_gradient_of_zeros_is_no_step()
    {
        var model = Net();
        using var optimizer = new Kfac(model, Base, new Gaussian());
        var x = randn(7, 4);
        foreach (bool moving in (bool[])[false, true])
        {
            var w = Flat(model);
            var f = model.call(x).detach();
            optimizer.StepOnBatch(x, f);
            Assert.True(Flat(model).eq(w).all().ToBoolean()); // nor along the last one: the model does not fall there
            if (!moving)
                for (int i = 0; i < 3; i++)
                    optimizer.StepOnBatch(x, f + 1);
        }
        Assert.DoesNotContain(optimizer.Events, e => e.Message.Contains("no minimum", StringComparison.Ordinal));
        Assert.Equal(0, optimizer.SkippedSteps);
    }

    [Theory, InlineData(DampingScale.Absolute), InlineData(DampingScale.MeanEigenvalue)]
    public void Learning_rate_and_momentum_minimise_the_dense_quadratic_model(DampingScale scale)
    {
        // so that the loss is known after each step
        var (model, options) = (
            Net(),
            Base with
            {
                StepRejection = true,
                MaxGrowth = null,
                Curvature = Base.Curvature with { DampingScale = scale },
            }
        );
        using var optimizer = new Kfac(model, options, new Categorical());
        Tensor? last = null;
        for (int i = 0; i < 3; i++)
        {
            var (x, y) = (randn(7, 4), randint(0, 3, [7]));
            var w = Flat(model);
            var delta = Direction(optimizer, model, options, x, y);
            var parameters = model.parameters().ToList();
            var g = cat([.. autograd.grad([new Categorical().Loss(model.call(x), y)], [.. parameters]).Select(t => t.flatten())]);
            var dense = Dense.Fisher(model, x, parameters, Dense.CategoricalFisher);
            var report = optimizer.StepOnBatch(x, y);
            double[] unit = scale == DampingScale.Absolute ? [1, 1] : [Mean(optimizer, "a"), Mean(optimizer, "b")];
            var lambda = 0.02 * cat([full(25, unit[0]), full(18, unit[1])]);
            var plane = last is null ? delta.unsqueeze(1) : stack([delta, last], 1);
            var best = -linalg.solve(plane.T.mm(dense + lambda.diag()).mm(plane), plane.T.mv(g));
            var expected = plane.mv(best);
            last = Flat(model) - w;
            Assert.InRange(Dense.RelativeError(last, expected), 0, 1e-8);
            Assert.Equal(best[0].ToDouble(), report.StepSize, 1e-8 * Math.Abs(report.StepSize));
            double predicted = -(g.dot(expected) + 0.5 * expected.dot(dense.mv(expected))).ToDouble();
            Assert.Equal(predicted, report.PredictedReduction!.Value, 1e-8);
            Assert.Equal((report.LossBefore - report.LossAfter) / predicted, report.ReductionRatio!.Value, 1e-7);
            Assert.Equal(new Categorical().Loss(model.call(x), y).ToDouble(), report.LossAfter, 1e-12);
        }

        static double Mean(Kfac optimizer, string layer)
        {
            var state = optimizer.Snapshot().Tensors;
            return state[$"{layer}.A"].diagonal().mean().ToDouble() * state[$"{layer}.G"].diagonal().mean().ToDouble();
        }
    }

    /// <summary>But where they do not show that slope: then an example that they lack has most of it, and the curvature that goes with
    /// it.</summary>
    [Theory, InlineData(false), InlineData(true)]
    public void Curvature_is_of_the_first_examples_and_the_slope_of_all(bool odd)
    {
        var (model, unseen) = (Net(), Net()); // K-FAC sees every pass of its own model
        using (no_grad())
            foreach (var (p, q) in unseen.parameters().Zip(model.parameters()))
                p.copy_(q);
        using var optimizer = new Kfac(model, Base with { Step = (QuadraticStep)Base.Step with { BatchSize = 3 } }, new Categorical());
        Tensor some = randn(3, 4),
            x = cat([some, some + 0.05 * randn(3, 4)]),
            y = tensor([0L, 1, 2, 0, 1, 2]);
        if (odd)
        {
            var others = 3 * randn(20, 4);
            using (no_grad())
                (x, y) = (cat([some, others]), cat([unseen.call(some).argmax(1), unseen.call(others).argmin(1)]));
        }
        var w = Flat(model);
        var delta = Direction(optimizer, model, Base, x, y);
        var parameters = unseen.parameters().ToList();
        var g = cat([.. autograd.grad([new Categorical().Loss(unseen.call(x), y)], [.. parameters]).Select(t => t.flatten())]);
        var damped = Dense.Fisher(unseen, odd ? x : x.narrow(0, 0, 3), parameters, Dense.CategoricalFisher) + 0.02 * eye(g.shape[0]);
        var report = optimizer.StepOnBatch(x, y);
        Assert.Equal(odd, optimizer.Events.Any(e => e.Message.Contains("did not show the slope", StringComparison.Ordinal)));
        Assert.Equal(-(g.dot(delta) / delta.dot(damped.mv(delta))).ToDouble(), report.StepSize, 1e-8);
        Assert.InRange(Dense.RelativeError(Flat(model) - w, report.StepSize * delta), 0, 1e-9);
        Assert.Equal(double.NaN, report.LossAfter); // nothing asked for it
        Assert.Null(report.ReductionRatio);
    }

    /// <summary>Slopes are compared as the gradient was before it was clipped; and not at all where dropout makes training another
    /// function.</summary>
    [
        Theory,
        InlineData(1e-3, false, false),
        InlineData(1e-3, true, true),
        InlineData(null, true, true),
        InlineData(null, true, false, true)
    ]
    public void The_whole_batch_takes_the_place_of_first_examples_where_slopes_differ(
        double? clip,
        bool odd,
        bool told,
        bool dropout = false
    )
    {
        var model = dropout
            ? nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("d", nn.Dropout(0.1)), ("b", nn.Linear(5, 3)))
            : Net();
        using var optimizer = new Kfac(
            model,
            Base with
            {
                Step = (QuadraticStep)Base.Step with
                {
                    BatchSize = 3,
                    FactorDamping = new() { Interval = 1 },
                },
            },
            new Categorical()
        )
        {
            MaxGradientNorm = clip,
        };
        using (no_grad())
        {
            Tensor some = randn(3, 4),
                x = odd ? cat([some, 3 * randn(20, 4)]) : cat([some, some]),
                f = model.call(x),
                y = odd ? cat([f.narrow(0, 0, 3).argmax(1), f.narrow(0, 3, 20).argmin(1)]) : tensor([0L, 1, 2, 0, 1, 2]);
            optimizer.StepOnBatch(x, y);
        }
        Assert.Equal(
            told ? ["(4 times by now)"] : [],
            optimizer
                .Events.Where(e => e.Message.Contains("did not show the slope", StringComparison.Ordinal))
                .Select(e => e.Message[^16..])
        ); // three dampings, and the step
    }

    /// <summary>In single precision, too: the error of differences is far below what a step length needs.</summary>
    [Theory, InlineData(ScalarType.Float32, 2e-3), InlineData(ScalarType.Float64, 1e-8)]
    public void Quadratic_forms_by_differences_equal_the_dense_ones(ScalarType type, double tolerance)
    {
        var model = Net().to(type);
        var x = randn(7, 4, dtype: type);
        var y = randint(0, 3, [7]);
        var objective = new Amari.Curvature.Objective(model, new Categorical(), [(x, y)]);
        var before = Optimizers.Problem.Values(model.parameters());
        var plane = randn(objective.Parameters.Dimension, 2, dtype: type) * tensor([1.0, 300.0]).to(type);
        var (form, slopes) = new Amari.Curvature.Fisher(objective).Form(
            [objective.Parameters.Split(plane.select(1, 0)), objective.Parameters.Split(plane.select(1, 1))],
            new Categorical().Score(model.call(x), y)
        );
        var gradient = cat([
            .. autograd.grad([new Categorical().Loss(model.call(x), y)], [.. model.parameters()]).Select(t => t.flatten()),
        ]);
        Assert.Equal(before, Optimizers.Problem.Values(model.parameters()));
        var wide = Net();
        using (no_grad())
            foreach (var (p, q) in wide.parameters().Zip(model.parameters()))
                p.copy_(q);
        var dense = Dense.Fisher(wide, x.to(ScalarType.Float64), [.. wide.parameters()], Dense.CategoricalFisher);
        var exact = plane.to(ScalarType.Float64).T.mm(dense).mm(plane.to(ScalarType.Float64));
        Assert.InRange(Dense.RelativeError(tensor(form), exact), 0, tolerance);
        Assert.InRange(Dense.RelativeError(tensor(slopes), plane.T.mv(gradient).to(ScalarType.Float64)), 0, tolerance);
    }

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
        var model = Net();
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
        var model = Net();
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
        var model = Net();
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

    /// <summary>A quadratic loss, of which the model is the truth: what a clipped step does is what was promised of it.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void Clipped_gradient_leaves_the_promise_true(bool quadratic)
    {
        var (x, y) = (randn(8, 3), randn(8, 2));
        Dictionary<double, Tensor> moved = [];
        foreach (double most in (double[])[0.05, 1000])
        {
            manual_seed(43);
            var model = nn.Sequential(("a", nn.Linear(3, 2)));
            using var optimizer = new Kfac(
                model,
                Base with
                {
                    Step = quadratic
                        ? new QuadraticStep { AdaptiveDamping = new() { Interval = 1 } }
                        : new FixedStep
                        {
                            KlClip = null,
                            AdaptiveDamping = new() { Interval = 1 },
                        },
                },
                new Gaussian()
            )
            {
                MaxGradientNorm = most,
            };
            var before = Flat(model);
            for (int i = 0; i < 3; i++)
            {
                var report = optimizer.StepOnBatch(x, y);
                if (i == 0)
                    moved[most] = (Flat(model) - before) * Math.Max(1, report.GradientNorm / most);
                Assert.Equal(1, report.ReductionRatio!.Value, 1e-6);
                Assert.Equal(optimizer.GradientNorm, report.GradientNorm, 1e-12);
                Assert.Equal(report.LossBefore - report.LossAfter, report.PredictedReduction!.Value, 1e-9);
            }
            Assert.Equal(most < 1 ? 3 : 0, optimizer.ClippedSteps);
        }
        Assert.InRange(Dense.RelativeError(moved[0.05], moved[1000]), 0, 1e-7); // c times the whole step
    }

    [Theory, InlineData(true), InlineData(false)]
    public void Weight_decay_scales_with_the_rate_and_is_not_predicted(bool quadratic)
    {
        var (x, y) = (randn(7, 4), randint(0, 3, [7]));
        var options = Base with
        {
            LearningRate = 0.2,
            Step = quadratic
                ? new QuadraticStep { AdaptiveDamping = new() { Interval = 1 } }
                : new FixedStep { AdaptiveDamping = new() { Interval = 1 } },
        };
        List<(Tensor Before, Tensor Change, StepReport Report)> runs = [];
        foreach (double decay in (double[])[0, 0.3])
        {
            manual_seed(44);
            var model = Net();
            using var optimizer = new Kfac(model, options with { WeightDecay = decay }, new Categorical());
            var before = Flat(model);
            var report = optimizer.StepOnBatch(x, y);
            runs.Add((before, Flat(model) - before, report));
            Assert.Equal(runs[^1].Change.norm().ToDouble(), report.StepNorm, 1e-10);
        }
        var isWeight = cat([ones(20), zeros(5), ones(15), zeros(3)]);
        Assert.InRange(Dense.RelativeError(runs[1].Change - runs[0].Change, -0.2 * 0.3 * isWeight * runs[0].Before), 0, 1e-9);
        Assert.Equal(runs[0].Report.PredictedReduction!.Value, runs[1].Report.PredictedReduction!.Value, 1e-12);
        Assert.Equal(runs[0].Report.StepSize, runs[1].Report.StepSize, 1e-12);
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
            var model = Net();
            using var optimizer = new Kfac(model, o, new Categorical());
            model.call(randn(3, 4)).sum().backward();
            Assert.Contains(
                "StepOnBatch(inputs, targets)",
                Assert.Throws<InvalidOperationException>(() => optimizer.step()).Message,
                StringComparison.Ordinal
            );
        }
        using var without = new Kfac(Net());
        Assert.Throws<InvalidOperationException>(() => without.StepOnBatch(randn(3, 4), randint(0, 3, [3])));
    }

    private static double[] Run(Kfac.Options options, int steps, int resumeAt = -1)
    {
        manual_seed(42);
        var model = Net();
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
