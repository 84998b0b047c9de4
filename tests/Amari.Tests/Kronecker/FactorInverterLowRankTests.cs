using Amari.Curvature;
using Amari.Kronecker;
using Amari.Solvers;
using Amari.Tests.KfacOptimizer;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>Inverses of low rank, and intervals that grow.</summary>
public sealed class FactorInverterLowRankTests() : KfacTest(61)
{
    private const long In = 320,
        Out = 280;

    private static readonly Kfac.Options Low = Plain with
    {
        Damping = 1e-3,
        Curvature = Plain.Curvature with
        {
            Fisher = new FisherOptions.Empirical(),
            Inverse = new InverseOptions.Nystrom { RankTolerance = 0.1 },
            FactorEma = 0.9,
        },
    };

    private static Sequential Net() => nn.Sequential(("a", nn.Linear(In, Out)), ("t", nn.Tanh()), ("b", nn.Linear(Out, 3)));

    /// <summary>Inputs whose second moment decays by 12 % from one direction to the next.</summary>
    private static Tensor Inputs(Generator data, long rows = 100) =>
        randn([rows, In], generator: data) * pow(0.94, arange(In, dtype: get_default_dtype()));

    private static void Step(nn.Module<Tensor, Tensor> model, Kfac optimizer, int i)
    {
        using var scope = NewDisposeScope();
        using var data = new Generator((ulong)i + 1);
        optimizer.zero_grad();
        new Categorical().Loss(model.call(Inputs(data)), randint(0, 3, [100], generator: data)).backward();
        optimizer.step();
    }

    private static (double[] Weights, Kfac Optimizer) Run(Kfac.Options options, int steps)
    {
        manual_seed(62);
        var model = Net();
        var optimizer = new Kfac(model, options, new Categorical());
        for (int i = 0; i < steps; i++)
            Step(model, optimizer, i);
        return (Optimizers.Problem.Values(model.parameters()), optimizer);
    }

    [Theory, InlineData(0.03), InlineData(0.3)]
    public void Step_is_that_of_the_dense_factors_but_for_the_tolerance(double tolerance)
    {
        var model = Net();
        using var optimizer = new Kfac(
            model,
            Low with
            {
                Curvature = Low.Curvature with { Inverse = new InverseOptions.Nystrom { RankTolerance = tolerance } },
            },
            new Categorical()
        );
        using var data = new Generator(5);
        var (change, gradient) = Step(model, optimizer, new Categorical(), Inputs(data), randint(0, 3, [100], generator: data))["a.weight"];
        var state = optimizer.Snapshot().Tensors;
        var (a, g, bias) = (state["a.A"], state["a.G"], model.get_parameter("a.bias")!.grad!);
        Assert.True(state["a.Right"].shape[0] < In / 3 && state["a.Right"].shape[1] == In + 1, "no low rank");
        double pi = Math.Sqrt(a.diagonal().mean().ToDouble() / g.diagonal().mean().ToDouble()),
            root = Math.Sqrt(Low.Damping);
        var v = cat([gradient, bias.unsqueeze(1)], 1);
        var (right, left) = (a + pi * root * eye(In + 1), g + root / pi * eye(Out));
        var exact = linalg.inv(left).mm(v).mm(linalg.inv(right));
        Assert.InRange(Dense.RelativeError(change, -exact.narrow(1, 0, In)), 1e-8, 2 * tolerance);

        // in every direction of either factor
        Assert.InRange(Off(right, state["a.Right"], state["a.RightScale"]), 1e-8, tolerance + 0.02);
        if (state.TryGetValue("a.LeftScale", out var scale))
            Assert.InRange(Off(left, state["a.Left"], scale), 1e-12, tolerance + 0.02);

        static double Off(Tensor damped, Tensor root, Tensor scale)
        {
            var l = linalg.cholesky(damped);
            var values = linalg.eigvalsh(l.t().mm((eye(root.shape[1]) - root.t().mm(root)) * scale).mm(l));
            return Math.Max(values[-1].ToDouble() - 1, 1 / values[0].ToDouble() - 1);
        }
    }

    [Fact]
    public void Tolerance_and_method_change_the_trajectory_and_are_logged()
    {
        var runs = (
            (Kfac.Options[])
                [
                    Low,
                    Low with
                    {
                        Curvature = Low.Curvature with { Inverse = new InverseOptions.Nystrom { RankTolerance = 0.5 } },
                    },
                    Low with
                    {
                        Curvature = Low.Curvature with { Inverse = new InverseOptions.Cholesky() },
                    },
                    Low with
                    {
                        Curvature = Low.Curvature with { Inverse = new InverseOptions.Nystrom { Precision = MatmulPrecision.BFloat16 } },
                    },
                ]
        )
            .Select(o => Run(o, 4))
            .ToArray();
        for (int i = 0; i < runs.Length; i++)
        for (int k = 0; k < i; k++)
            Assert.NotEqual(runs[k].Weights, runs[i].Weights);
        Assert.Contains(
            runs[0].Optimizer.Events,
            e =>
                e.Message.StartsWith("inverses of", StringComparison.Ordinal) && e.Message.Contains("of low rank", StringComparison.Ordinal)
        );
        Assert.DoesNotContain(runs[2].Optimizer.Events, e => e.Message.Contains("low rank", StringComparison.Ordinal));
        Assert.True(
            runs[1].Optimizer.StateBytes < runs[0].Optimizer.StateBytes && runs[0].Optimizer.StateBytes < runs[2].Optimizer.StateBytes
        );
        foreach (var run in runs)
            run.Optimizer.Dispose();
    }

    [Fact]
    public void Factors_without_a_low_rank_go_by_Cholesky()
    {
        var options = Low with { Damping = 1e-12 };
        var (low, cholesky) = (
            Run(options, 2),
            Run(options with { Curvature = options.Curvature with { Inverse = new InverseOptions.Cholesky() } }, 2)
        );
        using (low.Optimizer)
        using (cholesky.Optimizer)
        {
            Assert.Equal(cholesky.Weights, low.Weights);
            Assert.Contains(low.Optimizer.Events, e => e.Message.StartsWith("inverses of 0 %", StringComparison.Ordinal));
        }
    }

    [Theory, InlineData(MatmulPrecision.Full), InlineData(MatmulPrecision.BFloat16)]
    public void Resumed_run_equals_an_uninterrupted_one_bit_for_bit(MatmulPrecision precision)
    {
        set_default_dtype(ScalarType.Float32);
        var options = Low with
        {
            LearningRate = 0.01,
            Curvature = Low.Curvature with
            {
                Inverse = new InverseOptions.Nystrom { Precision = precision },
                Refresh = Low.Curvature.Refresh with { InverseInterval = 3, FactorInterval = 2, Warmup = 0.5 },
            },
        };
        manual_seed(63);
        var (whole, first, second) = (Net(), Net(), Net());
        using (no_grad())
            foreach (var (p, q) in first.parameters().Zip(whole.parameters()))
                p.copy_(q);
        using var straight = new Kfac(whole, options, new Categorical());
        for (int i = 0; i < 16; i++)
            Step(whole, straight, i);
        string file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        using (var before = new Kfac(first, options, new Categorical()))
        {
            for (int i = 0; i < 8; i++)
                Step(first, before, i);
            before.Save(file);
        }
        using (no_grad())
            foreach (var (p, q) in second.parameters().Zip(first.parameters()))
                p.copy_(q);
        using var after = new Kfac(second, new(), new Categorical());
        after.Load(file);
        File.Delete(file);
        for (int i = 8; i < 16; i++)
            Step(second, after, i);
        Assert.Equal(Optimizers.Problem.Values(whole.parameters()), Optimizers.Problem.Values(second.parameters()));
        Assert.Equal(straight.Events, after.Events);
    }

    /// <summary>They live for a step.</summary>
    [Fact]
    public void The_first_inverses_of_growing_intervals_are_of_full_rank()
    {
        var model = Net();
        using var optimizer = new Kfac(
            model,
            Low with
            {
                LearningRate = 0.01,
                Curvature = Low.Curvature with { Refresh = Low.Curvature.Refresh with { Warmup = 0.5, InverseInterval = 20 } },
            },
            new Categorical()
        );
        for (int i = 1; i <= 19; i++) // refreshed at 1, 2, 3, 4, 6, 9, 13 and 19
        {
            Step(model, optimizer, i);
            Assert.Equal(i == 19, optimizer.Snapshot().Tensors.ContainsKey("a.RightScale"));
        }
    }

    [Fact]
    public void Growth_refreshes_at_the_beginning()
    {
        var options = Low with
        {
            LearningRate = 0.01,
            Curvature = Low.Curvature with { Refresh = Low.Curvature.Refresh with { InverseInterval = 8, FactorInterval = 4 } },
        };
        var (grown, given) = (
            Run(options with { Curvature = options.Curvature with { Refresh = options.Curvature.Refresh with { Warmup = 0.25 } } }, 3),
            Run(options, 3)
        );
        using (grown.Optimizer)
        using (given.Optimizer)
        {
            Assert.NotEqual(given.Weights, grown.Weights);
            var (first, second) = (grown.Optimizer.Snapshot().Tensors, given.Optimizer.Snapshot().Tensors);
            Assert.NotEqual(Optimizers.Problem.Values([second["a.A"]]), Optimizers.Problem.Values([first["a.A"]]));
            Assert.NotEqual(Optimizers.Problem.Values([second["a.Right"]]), Optimizers.Problem.Values([first["a.Right"]]));
        }
    }
}
