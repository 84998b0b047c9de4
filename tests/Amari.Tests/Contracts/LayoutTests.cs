using Amari.Curvature;
using Amari.Tests.Optimizers;
using Amari.Training;
using Amari.Verification;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Contracts;

/// <summary>How parameters and gradients lie in memory does not change a step.</summary>
public sealed class LayoutTests
{
    private static readonly long[][] Shapes =
    [
        [4, 3, 3, 2],
        [6, 5],
        [7],
    ];

    /// <summary>The same numbers in another order of memory.</summary>
    private static Tensor Laid(Tensor t, string layout) =>
        (layout, t.dim()) switch
        {
            ("channels last", 4) => t.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2),
            ("strided", _) => stack([t, t + 1], -1).select(-1, 0),
            (_, >= 2) => t.transpose(0, 1).contiguous().transpose(0, 1),
            _ => stack([t, t + 1], -1).select(-1, 0),
        };

    public static TheoryData<string, string> Cases
    {
        get
        {
            var data = new TheoryData<string, string>();
            foreach (var name in OptimizerCases.Names)
            foreach (string layout in new[] { "channels last", "transposed", "strided" })
                data.Add(name.Data, layout);
            return data;
        }
    }

    private static double[] Run(string name, string? parameters, string? gradients, ScalarType type, out Optimizer optimizer)
    {
        Parameter[] p = Problem.Parameters(Shapes, type);
        using var off = no_grad();
        if (parameters is not null)
            p = Array.ConvertAll(p, q => nn.Parameter(Laid(q.detach(), parameters)));
        optimizer = OptimizerCases.Make(name, p);
        for (int step = 0; step < 6; step++)
        {
            Problem.SetGradients(p, step);
            foreach (var q in p)
            {
                using var old = q.grad;
                var g =
                    step == 3 ? full(1, 0.7, dtype: q.dtype).expand(q.shape)
                    : gradients is null ? old!
                    : Laid(old!, gradients); // of a sum, it is expanded
                q.grad = step == 3 && parameters is null && gradients is null ? g.contiguous() : g.alias();
            }
            optimizer.step();
        }
        if (parameters is not null)
            Assert.All(p, q => Assert.True(q.numel() < 2 || !q.is_contiguous()));
        return Problem.Values(p);
    }

    [Theory, MemberData(nameof(Cases))]
    public void Steps_are_those_of_contiguous_tensors(string name, string layout)
    {
        using var scope = NewDisposeScope();
        foreach (
            var type in name.StartsWith("Small", StringComparison.Ordinal)
                ? (ScalarType[])[ScalarType.Float32]
                : [ScalarType.Float64, ScalarType.Float32]
        )
        {
            double tolerance = type == ScalarType.Float64 ? 1e-11 : 2e-5;
            var expected = Run(name, null, null, type, out var contiguous);
            foreach (var (p, g) in new[] { (layout, (string?)null), (null, layout), (layout, layout) })
            {
                Trajectory.Near(expected, Run(name, p, g, type, out var other), tolerance);
                Assert.Equal(contiguous.StateBytes, other.StateBytes);
                other.Dispose();
            }
            contiguous.Dispose();
        }
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void A_resumed_run_over_channels_last_is_the_same_bitwise(string name)
    {
        using var scope = NewDisposeScope();
        using var off = no_grad();
        Parameter[] Fresh() => Array.ConvertAll(Problem.Parameters(Shapes), q => nn.Parameter(Laid(q.detach(), "channels last")));
        var (whole, first) = (Fresh(), Fresh());
        using Optimizer straight = OptimizerCases.Make(name, whole),
            before = OptimizerCases.Make(name, first);
        Problem.Steps(straight, whole, 0, 6);
        Problem.Steps(before, first, 0, 3);
        string file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());
        before.Save(file);
        using var after = OptimizerCases.Make(name, first);
        after.Load(file);
        File.Delete(file);
        Problem.Steps(after, first, 3, 6);
        Assert.Equal(Problem.Values(whole), Problem.Values(first));
    }

    [Theory, MemberData(nameof(OptimizerCases.Names), MemberType = typeof(OptimizerCases))]
    public void Gradients_near_the_bound_leave_finite_weights(string name)
    {
        using var scope = NewDisposeScope();
        var p = Problem.Parameters([
            [6, 5],
            [7],
            [3, 0],
            [0, 3],
            [0],
        ]);
        using var optimizer = OptimizerCases.Make(name, p);
        for (int step = 0; step < 4; step++)
        {
            Problem.SetGradients(p, step);
            foreach (var q in p)
                q.grad!.sign_().mul_(step == 1 ? 1e19 : 1e18);
            optimizer.step();
        }
        Assert.All(Problem.Values(p), v => Assert.True(double.IsFinite(v)));
        Assert.NotEqual(
            Problem.Values(
                Problem.Parameters([
                    [6, 5],
                    [7],
                ])
            ),
            Problem.Values(p[..2])
        );
    }

    /// <summary>Methods that see layers, or evaluate the loss: a step on a batch.</summary>
    private static readonly Dictionary<string, Func<nn.Module<Tensor, Tensor>, Action<Tensor, Tensor>>> OfModels = new()
    {
        ["Kfac"] = m =>
            Observed(
                m,
                new Kfac(
                    m,
                    new()
                    {
                        Curvature = new()
                        {
                            Refresh = new() { FactorInterval = 1, InverseInterval = 1 },
                        },
                    },
                    new Categorical()
                )
            ),
        ["Kfac empirical"] = m =>
            Observed(
                m,
                new Kfac(
                    m,
                    new()
                    {
                        Curvature = new()
                        {
                            Fisher = new FisherOptions.Empirical(),
                            Refresh = new() { FactorInterval = 1, InverseInterval = 1 },
                        },
                    }
                )
            ),
        ["Ekfac"] = m =>
            Observed(
                m,
                new Kfac(
                    m,
                    new()
                    {
                        Curvature = new()
                        {
                            Inverse = new InverseOptions.EigenvalueCorrection(),
                            Refresh = new() { FactorInterval = 1, InverseInterval = 1 },
                        },
                    },
                    new Categorical()
                )
            ),
        ["Kfac quadratic"] = m =>
            new Kfac(
                m,
                new()
                {
                    StepRejection = true,
                    Step = new QuadraticStep { AdaptiveDamping = new() },
                    Curvature = new()
                    {
                        Refresh = new() { InverseInterval = 1, FactorInterval = 1 },
                    },
                },
                new Categorical()
            )
                is var o
                ? (x, y) => o.StepOnBatch(x, y)
                : null!,
        ["PartitionedOptimizer Kfac"] = m =>
            Observed(
                m,
                new PartitionedOptimizer(m, new PartitionedOptimizer.Options() { MatrixOptimizer = new Kfac.Options() }, new Categorical())
            ),
        ["AdaHessian"] = m => Observed(m, new AdaHessian(m, new Categorical())),
        ["Sophia"] = m => Observed(m, new Sophia(m, new Categorical())),
        ["Newton"] = m => (x, y) => Of(new Newton(m, new Categorical(), new() { Damping = 1 }), x, y),
        ["SaddleFreeNewton"] = m => (x, y) => Of(new SaddleFreeNewton(m, new Categorical(), new() { Damping = 1 }), x, y),
        ["NewtonCg"] = m => (x, y) => Of(new NewtonCg(m, new Categorical(), new() { MaxIterations = 5 }), x, y),
        ["HessianFree"] = m => (x, y) => Of(new HessianFree(m, new Categorical(), new() { MaxIterations = 5 }), x, y),
        ["HessianFree K-FAC"] = m =>
            (x, y) =>
                Of(
                    new HessianFree(m, new Categorical(), new() { MaxIterations = 5, Preconditioner = HessianFreePreconditioner.Kfac }),
                    x,
                    y
                ),
        ["NaturalGradient"] = m =>
            (x, y) => Of(new NaturalGradient(m, new Categorical(), new() { Damping = 0.1, Solver = new LinearSolver.Normal() }), x, y),
        ["NaturalGradient Gram"] = m =>
            (x, y) => Of(new NaturalGradient(m, new Categorical(), new() { Damping = 0.1, Solver = new LinearSolver.Gram() }), x, y),
        ["Lbfgs"] = m => new Lbfgs(m, new Categorical(), new() { Iterations = 4 }) is var o ? (x, y) => o.StepOnBatch(x, y) : null!,
    };

    public static TheoryData<string> ModelNames => [.. OfModels.Keys];

    private static void Of(SecondOrderOptimizer optimizer, Tensor x, Tensor y)
    {
        using (optimizer)
            optimizer.StepOnBatch(x, y);
    }

    private static Action<Tensor, Tensor> Observed(nn.Module<Tensor, Tensor> model, Optimizer optimizer) =>
        (x, y) =>
        {
            optimizer.zero_grad();
            optimizer.UpdateCurvature(x, y);
            nn.functional.cross_entropy(model.call(x), y).backward();
            optimizer.step();
        };

    [Theory, MemberData(nameof(ModelNames))]
    public void Models_whose_weights_and_inputs_lie_otherwise_take_the_same_steps(string name)
    {
        using var scope = NewDisposeScope();
        double[]? expected = null;
        foreach (string? layout in new[] { null, "channels last", "transposed", "strided" })
        {
            manual_seed(3);
            var (conv, linear) = (nn.Conv2d(2, 3, 2), nn.Linear(12, 3));
            var model = nn.Sequential(("c", conv), ("t", nn.Tanh()), ("f", nn.Flatten()), ("l", linear)).to(ScalarType.Float64);
            Tensor x = randn(40, 2, 3, 3, dtype: ScalarType.Float64),
                y = randint(0, 3, [40]); // more than inputs of a layer: bases are definite
            if (layout is not null)
            {
                using var off = no_grad();
                conv.weight = nn.Parameter(Laid(conv.weight!.detach(), layout));
                linear.weight = nn.Parameter(Laid(linear.weight!.detach(), layout));
                linear.bias = nn.Parameter(Laid(linear.bias!.detach(), layout));
                x = Laid(x, layout);
            }
            var step = OfModels[name](model);
            manual_seed(4);
            for (int i = 0; i < 3; i++)
                step(x, y);
            expected ??= Problem.Values(model.parameters());
            Trajectory.Near(expected, Problem.Values(model.parameters()), 1e-9);
        }
    }
}
