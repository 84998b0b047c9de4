using Amari.Curvature;
using Amari.Native;
using Amari.Ranks;
using Amari.Training;
using Amari.Verification;
using static TorchSharp.torch.nn;

namespace Amari.Tests.Training;

/// <summary>The monitor reports the truth and keeps to its share.</summary>
public sealed class CurvatureMonitorTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    private static readonly MonitorOptions Exact = new() { Tolerance = 1e-8, Share = 0.9 };

    private static (Sequential Model, Tensor X, Tensor Y) Problem()
    {
        manual_seed(4);
        var model = Sequential(("a", Linear(3, 4)), ("t", Tanh()), ("b", Linear(4, 3)));
        model.to(ScalarType.Float64);
        return (model, randn(24, 3, dtype: ScalarType.Float64), randint(0, 3, 24, dtype: ScalarType.Int64));
    }

    /// <summary>∇² of the mean cross-entropy, by double backward column by column.</summary>
    private static double[] DenseEigenvalues(Sequential model, Tensor x, Tensor y)
    {
        Tensor[] w = [.. model.parameters()];
        var loss = functional.cross_entropy(model.call(x), y);
        var g = cat([.. autograd.grad([loss], w, retain_graph: true, create_graph: true).Select(t => t.reshape(-1))]);
        var rows = Enumerable
            .Range(0, (int)g.shape[0])
            .Select(i => cat([.. autograd.grad([g[i]], w, retain_graph: true).Select(t => t.reshape(-1))]))
            .ToArray();
        return linalg.eigvalsh(stack(rows)).flip(0).Elements<double>();
    }

    private static void Step(Sequential model, Tensor x, Tensor y, optim.Optimizer optimizer)
    {
        optimizer.zero_grad();
        functional.cross_entropy(model.call(x), y).backward();
        optimizer.step();
    }

    [Fact]
    public void Sharpness_and_eigenvalues_are_the_dense_hessians()
    {
        var (model, x, y) = Problem();
        using var optimizer = new Sgd(model, new() { LearningRate = 0.5, Momentum = 0.5 });
        using var monitor = new CurvatureMonitor(
            model,
            new Categorical(),
            x,
            y,
            optimizer,
            Exact with
            {
                Quantities = MonitorQuantities.Sharpness | MonitorQuantities.Spectrum,
                Eigenvalues = 3,
            }
        );
        for (int step = 0; step < 4; step++)
        {
            if (step > 0)
                Step(model, x, y, optimizer);
            var row = monitor.Measure(step)!;
            double[] dense = DenseEigenvalues(model, x, y);
            Assert.Equal(dense[0], row.Sharpness!.Value, 1e-9 * dense[0]);
            Assert.Equal(3, row.Eigenvalues!.Count);
            Assert.All(row.Eigenvalues.Zip(dense), p => Assert.Equal(p.Second, p.First, 1e-9 * dense[0]));
            Assert.Equal(2 * 1.5 / 0.5, row.StabilityBound!.Value, 12);
            Assert.Equal(0.5, row.LearningRate);
            Assert.Null(row.Kl);
        }
        Assert.Null(monitor.Measure(3));
        Assert.Equal(4, monitor.Result.Rows.Count);
    }

    [Fact]
    public void Kl_of_a_step_is_that_of_the_softmax_outputs()
    {
        var (model, x, y) = Problem();
        using var optimizer = new Sgd(model, new() { LearningRate = 0.5 });
        using var monitor = new CurvatureMonitor(
            model,
            new Categorical(),
            x,
            y,
            optimizer,
            new() { Quantities = MonitorQuantities.Kl, Share = 0.9 }
        );
        Assert.Null(monitor.Observe(0, 0)!.Kl);
        Assert.Null(monitor.Observe(1, 100)); // keeps the outputs before the step
        double[] before = Probabilities();
        Step(model, x, y, optimizer);
        var row = monitor.Observe(2, 100)!;
        double[] after = Probabilities();
        double expected = before.Zip(after, (p, q) => p * Math.Log(p / q)).Sum() / 24;
        Assert.True(expected > 1e-5);
        Assert.Equal(expected, row.Kl!.Value, 1e-10 * expected);
        Assert.Equal(1, row.KlSteps);

        double[] Probabilities() => softmax(model.call(x), 1).reshape(-1).detach().Elements<double>();
    }

    [Fact]
    public void Noise_scale_is_that_of_the_gradients_of_parts()
    {
        var (model, x, y) = Problem();
        using var monitor = new CurvatureMonitor(
            model,
            new Categorical(),
            x.repeat(2, 1),
            y.repeat(2),
            null,
            new() { Quantities = MonitorQuantities.Noise }
        );
        var noise = monitor.Measure(0)!.NoiseScale!.Value;
        double[] squares =
        [
            .. Enumerable.Range(0, 16).Select(i => Square(x.repeat(2, 1).narrow(0, 3 * i, 3), y.repeat(2).narrow(0, 3 * i, 3))),
        ]; // 16 parts of three
        double big = Square(x, y),
            small = squares.Average(),
            covariance = (small - big) / (1 / 3.0 - 1 / 48.0);
        Assert.Equal(covariance / (big - covariance / 48), noise.Value, 1e-9 * Math.Abs(noise.Value));
        Assert.True(noise.StandardError > 0);

        double Square(Tensor a, Tensor b) =>
            autograd.grad([functional.cross_entropy(model.call(a), b)], [.. model.parameters()]).Sum(g => g.square().sum().ToDouble());
    }

    [Theory, InlineData(DampingMethod.FactoredTikhonov), InlineData(DampingMethod.Eigenbasis)]
    public void Factor_condition_is_that_of_dense_matrices(DampingMethod method)
    {
        var (model, x, y) = Problem();
        using var kfac = new Kfac(
            model,
            new()
            {
                Damping = 0.01,
                Curvature = new() { Fisher = new FisherOptions.Exact(), Inverse = InverseOptions.Of(method) },
            },
            new Categorical()
        );
        using var monitor = new CurvatureMonitor(model, new Categorical(), x, y, kfac, new() { Quantities = MonitorQuantities.Factors });
        Assert.Empty(monitor.Measure(0)!.Factors!);
        var input = cat([x, ones(24, 1, dtype: ScalarType.Float64)], 1);
        var a = input.T.mm(input) / 24;
        var p = softmax(model.call(x), 1).detach();
        var w = ((Linear)model[2]).weight!.detach().clone();
        var h = tanh(((Linear)model[0]).call(x)).detach();
        var g = zeros(4, 4, dtype: ScalarType.Float64);
        for (int i = 0; i < 24; i++)
        {
            var j = w.mm(diag(1 - h[i].square())); // ∂f/∂s of the first layer
            g.add_(j.T.mm(diag(p[i]) - outer(p[i], p[i])).mm(j) / 24);
        }
        Step(model, x, y, kfac);
        var condition = monitor.Measure(1)!.Factors![0];
        Assert.Equal("a", condition.Layer);
        Assert.Equal(Condition(a), condition.A, 1e-8 * condition.A);
        double pi = Math.Sqrt(a.trace().ToDouble() / 4 / (g.trace().ToDouble() / 4)),
            root = 0.1;
        var identity = eye(4, dtype: ScalarType.Float64);
        double damped =
            method == DampingMethod.Eigenbasis
                ? Condition(kron(a, g) + 0.01 * eye(16, dtype: ScalarType.Float64))
                : Condition(kron(a + pi * root * identity, g + root / pi * identity));
        Assert.Equal(damped, condition.Damped, 1e-6 * damped);
        Assert.Equal(Condition(g), condition.G, 1e-8 * condition.G);
        Assert.Equal(double.PositiveInfinity, monitor.Result.Rows[1].Factors![1].G); // softmax does not see a shift of all logits

        static double Condition(Tensor m)
        {
            var values = linalg.eigvalsh(m);
            return (values[-1] / values[0]).ToDouble();
        }
    }

    [Fact]
    public void Condition_of_a_large_factor_is_found_by_products()
    {
        manual_seed(2);
        using var layer = Linear(1100, 2);
        using var model = Sequential(("fc", layer));
        model.to(ScalarType.Float64);
        var (x, y) = (randn(30, 1100, dtype: ScalarType.Float64), randint(0, 2, 30, dtype: ScalarType.Int64));
        using var kfac = new Kfac(
            model,
            new()
            {
                Damping = 0.01,
                Curvature = new() { Fisher = new FisherOptions.Exact() },
            },
            new Categorical()
        );
        var p = softmax(model.call(x), 1).detach();
        Step(model, x, y, kfac);
        var condition = kfac.FactorConditions().Single();
        Assert.Equal(double.PositiveInfinity, condition.A); // of rank 30 in 1101 dimensions
        var a = cat([x, ones(30, 1, dtype: ScalarType.Float64)], 1);
        double top = linalg.eigvalsh(a.mm(a.T) / 30)[-1].ToDouble(),
            mean = a.square().sum().ToDouble() / 30 / 1101;
        double g = 2 * (p.select(1, 0) * p.select(1, 1)).mean().ToDouble(); // G = p q [1 -1; -1 1], with the eigenvalues 2 p q and 0
        double pi = Math.Sqrt(mean / (g / 2));
        Assert.Equal((top + pi * 0.1) / (pi * 0.1) * ((g + 0.1 / pi) / (0.1 / pi)), condition.Damped, 1e-3 * condition.Damped);
    }

    [Fact]
    public void Stability_bound_is_where_a_quadratic_begins_to_diverge()
    {
        foreach (
            var options in (Sgd.Options[])
                [
                    new() { Momentum = 0 },
                    new() { Momentum = 0.8 },
                    new() { Momentum = 0.8, Nesterov = true },
                    new() { Momentum = 0.5, WeightDecay = 2 },
                ]
        )
        {
            using var probe = new Sgd(Linear(1, 1), options);
            double bound = StabilityBound.Of(probe)!.Value;
            Assert.True(Last(0.97 * bound) < 1 && Last(1.03 * bound) > 1, $"{options}");

            double Last(double curvature)
            {
                using var scope = NewDisposeScope();
                var w = new Parameter(ones(1, dtype: ScalarType.Float64));
                using var sgd = new Sgd([ParameterGroup.Of((Parameter[])[w], options)]);
                for (int i = 0; i < 1000; i++)
                {
                    w.grad = curvature * w.detach();
                    sgd.step();
                }
                return Math.Abs(w.detach().ToDouble());
            }
        }
        using var adam = new AdamW(Linear(1, 1));
        Assert.Null(StabilityBound.Of(adam));
    }

    [Fact]
    public void Measurements_are_spaced_to_their_share()
    {
        var schedule = new MonitorSchedule(0.2);
        Assert.True(schedule.Due(0));
        schedule.Add(3, complete: true);
        Assert.False(schedule.Due(2.9)); // not before training took as long as the first
        Assert.True(schedule.Due(3));
        double trained = 3;
        for (; trained < 1000; trained += 0.5)
            if (schedule.Due(trained))
                schedule.Add(2, complete: true);
        Assert.InRange(schedule.Spent / (schedule.Spent + trained), 0.195, 0.205);
        Assert.Equal(3, schedule.Apart);
        schedule.Add(7, complete: true, apart: true);
        Assert.Equal(10, schedule.Apart);
        Assert.False(new MonitorSchedule(0) is var never && Begin(never).Due(1e9));

        static MonitorSchedule Begin(MonitorSchedule s)
        {
            s.Add(1, complete: true);
            return s;
        }
    }

    [Fact]
    public void Own_loop_is_timed_without_the_monitor()
    {
        var (model, x, y) = Problem();
        var clock = new Clock();
        // 10 ms a measurement of the sample, as the model's forward pass moves the clock
        model.register_forward_hook(
            (_, _, f) =>
            {
                clock.Now += 10;
                return f;
            }
        );
        using var monitor = new CurvatureMonitor(
            model,
            new Categorical(),
            x,
            y,
            null,
            new() { Quantities = MonitorQuantities.Kl, Share = 0.1 },
            clock
        );
        var rows = new List<MonitorRow>();
        for (int step = 0; step <= 2000; step++)
        {
            if (monitor.Observe(step) is { } row)
                rows.Add(row);
            clock.Now += 1;
        }
        Assert.Equal(rows, monitor.Result.Rows);
        Assert.All(rows, r => Assert.Equal(r.Step / 1000.0, r.Seconds, 9));
        Assert.InRange(monitor.Result.Share, 0.09, 0.11);
        Assert.InRange(rows.Count, 10, 14); // 20 ms each of 2.2 s
    }

    [Fact]
    public void Nothing_is_left_behind()
    {
        var (model, x, y) = Problem();
        using var kfac = new Kfac(model, new(), new Categorical());
        using var monitor = new CurvatureMonitor(model, new Categorical(), x, y, kfac, Exact);
        Step(model, x, y, kfac);
        for (int i = 0; i < 3; i++)
            monitor.Measure(i);
        using var scope = NewDisposeScope();
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int i = 3; i < 8; i++)
            monitor.Observe(i, 1e6);
        monitor.Measure(8);
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void Options_are_checked()
    {
        Assert.Equal(MonitorQuantities.Sharpness | MonitorQuantities.Kl, MonitorOptions.Parse("sharpness, KL"));
        Assert.Equal(MonitorQuantities.All, MonitorOptions.Parse("all"));
        Assert.Contains(
            "sharpness, spectrum, noise, kl, factors",
            Assert.Throws<ArgumentException>(() => MonitorOptions.Parse("sharpness,1")).Message,
            StringComparison.Ordinal
        );
        Assert.Throws<ArgumentException>(() => MonitorOptions.Parse(","));
        Assert.Throws<ArgumentOutOfRangeException>(() => new MonitorOptions { Quantities = MonitorQuantities.None });
        Assert.Throws<ArgumentOutOfRangeException>(() => new MonitorOptions { Quantities = (MonitorQuantities)64 });
        Assert.Throws<ArgumentOutOfRangeException>(() => new MonitorOptions { Share = 1 });
        var (model, x, y) = Problem();
        Assert.Throws<ArgumentException>(() => new CurvatureMonitor(model, new Categorical(), x, y.narrow(0, 0, 5)));
        Assert.Throws<ArgumentException>(() => new CurvatureMonitor(model, new Categorical(), x.narrow(0, 0, 1), y.narrow(0, 0, 1)));
    }
}
