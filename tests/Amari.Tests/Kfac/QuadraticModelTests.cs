using Amari.Curvature;
using Amari.Reporting;
using Amari.Verification;

namespace Amari.Tests.KfacOptimizer;

/// <summary>Steps from the quadratic model against dense Fishers and closed forms, in float64.</summary>
public sealed class QuadraticModelTests : QuadraticModelTest
{
    [Fact]
    public void A_gradient_of_zeros_is_no_step()
    {
        var model = TwoLayers();
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

    [Theory, InlineData(1), InlineData(-1)]
    public void A_bounded_momentum_is_the_minimum_within_the_bound(double sign)
    {
        var model = nn.Linear(2, 1, hasBias: false).to(ScalarType.Float64);
        var objective = new Objective((nn.Module<Tensor, Tensor>)model, new Gaussian(), [(eye(2, dtype: ScalarType.Float64), zeros(2, 1))]);
        IReadOnlyList<Tensor> Along(double a, double b) =>
            [
                tensor(
                    new[,]
                    {
                        { a, b },
                    }
                ),
            ];
        var quadratic = QuadraticModel.Of(objective, null, (-1, -3 * sign), [Along(1, 0), Along(0.2, 1)], default);
        double free = quadratic.Minimum().Mu;
        Assert.True(sign * free > 1);
        Assert.Equal(quadratic.Minimum(), quadratic.Minimum(2 * Math.Abs(free)));
        var (alpha, mu) = quadratic.Minimum(1);
        Assert.Equal(sign, mu);
        double best = quadratic.Reduction(alpha, mu);
        foreach (double other in (double[])[alpha - 1e-3, alpha + 1e-3])
            Assert.True(quadratic.Reduction(other, mu) < best);
        Assert.True(quadratic.Reduction(alpha, 0.99 * mu) < best);
    }

    [Theory, InlineData(DampingScale.Absolute), InlineData(DampingScale.MeanEigenvalue)]
    public void Learning_rate_and_momentum_minimise_the_dense_quadratic_model(DampingScale scale)
    {
        // so that the loss is known after each step
        var (model, options) = (
            TwoLayers(),
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
        var (model, unseen) = (TwoLayers(), TwoLayers()); // K-FAC sees every pass of its own model
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
        bool reported,
        bool dropout = false
    )
    {
        var model = dropout
            ? nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("d", nn.Dropout(0.1)), ("b", nn.Linear(5, 3)))
            : TwoLayers();
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
            reported ? ["(4 times by now)"] : [],
            optimizer
                .Events.Where(e => e.Message.Contains("did not show the slope", StringComparison.Ordinal))
                .Select(e => e.Message[^16..])
        ); // three dampings, and the step
    }

    /// <summary>In single precision, too: the error of differences is far below what a step length needs.</summary>
    [Theory, InlineData(ScalarType.Float32, 2e-3), InlineData(ScalarType.Float64, 1e-8)]
    public void Quadratic_forms_by_differences_equal_the_dense_ones(ScalarType type, double tolerance)
    {
        var model = TwoLayers().to(type);
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
        var wide = TwoLayers();
        using (no_grad())
            foreach (var (p, q) in wide.parameters().Zip(model.parameters()))
                p.copy_(q);
        var dense = Dense.Fisher(wide, x.to(ScalarType.Float64), [.. wide.parameters()], Dense.CategoricalFisher);
        var exact = plane.to(ScalarType.Float64).T.mm(dense).mm(plane.to(ScalarType.Float64));
        Assert.InRange(Dense.RelativeError(tensor(form), exact), 0, tolerance);
        Assert.InRange(Dense.RelativeError(tensor(slopes), plane.T.mv(gradient).to(ScalarType.Float64)), 0, tolerance);
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
            var model = TwoLayers();
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
}
