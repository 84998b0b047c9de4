using Amari.Curvature;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.Curvature;

/// <summary>Losses and models that take derivatives with respect to their inputs, as physics-informed ones do by nested autograd.</summary>
public sealed class ObjectiveNestedTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    /// <summary>The residuals of u' + u = 0, u(0) = 1: [n, 1].</summary>
    private static Tensor Residuals(nn.Module<Tensor, Tensor> u, Tensor points)
    {
        var x = points.detach().clone().requires_grad_();
        var value = u.call(x);
        var slope = autograd.grad([value.sum()], [x], retain_graph: true, create_graph: true)[0];
        return where(points == 0, value - 1, slope + value);
    }

    private static (nn.Module<Tensor, Tensor> Network, Tensor Points) Decay()
    {
        manual_seed(2);
        return (nn.Sequential(nn.Linear(1, 6), nn.Tanh(), nn.Linear(6, 1)).to(F64), linspace(0, 1, 12, dtype: F64).unsqueeze(1));
    }

    private sealed class Nested : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> network;

        public Nested(nn.Module<Tensor, Tensor> network)
            : base("nested")
        {
            this.network = network;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => Residuals(network, x);
    }

    public static TheoryData<string> Closures => ["Newton", "NewtonCg", "Lbfgs", "SaddleFreeNewton"];

    [Theory, MemberData(nameof(Closures))]
    public void Closures_that_differentiate_inside_are_minimised(string name)
    {
        var (network, points) = Decay();
        Parameter[] w = [.. network.parameters()];
        using SecondOrderOptimizer optimizer = name switch
        {
            "Newton" => new Newton(w, new() { Damping = 1 }),
            "NewtonCg" => new NewtonCg(w),
            "SaddleFreeNewton" => new SaddleFreeNewton(w, new() { Damping = 0.1 }),
            _ => new Lbfgs(w),
        };
        Tensor Loss() => Residuals(network, points).square().mean() / 2;
        double before = Loss().ToDouble();
        for (int i = 0; i < 20; i++)
        {
            optimizer.step(Loss).Dispose();
            Assert.Equal(optimizer.Report!.LossAfter, Loss().ToDouble(), 1e-12);
        }
        Assert.InRange(Loss().ToDouble(), 0, before / 10);
        Assert.All(w, p => Assert.True(p.grad is null));
    }

    public static TheoryData<string> Models =>
        ["NaturalGradient", "NaturalGradient Gram", "NaturalGradient search", "HessianFree", "NewtonCg"];

    [Theory, MemberData(nameof(Models))]
    public void Models_that_differentiate_inside_are_trained(string name)
    {
        var (network, points) = Decay();
        var model = new Nested(network);
        SquaredError likelihood = new();
        using SecondOrderOptimizer optimizer = name switch
        {
            "NaturalGradient" => new NaturalGradient(model, likelihood, new() { Damping = 1e-2, Solver = new LinearSolver.Normal() }),
            "NaturalGradient Gram" => new NaturalGradient(model, likelihood, new() { Damping = 1e-2, Solver = new LinearSolver.Gram() }),
            "NaturalGradient search" => new NaturalGradient(
                model,
                likelihood,
                new() { Damping = 1e-4, LineSearch = LineSearch.StrongWolfe }
            ),
            "HessianFree" => new HessianFree(model, likelihood, new() { Damping = 0.1 }),
            _ => new NewtonCg(model, likelihood),
        };
        var y = zeros(12, 1, dtype: F64);
        double before = likelihood.Loss(model.call(points), y).ToDouble();
        for (int i = 0; i < 20; i++)
            optimizer.StepOnBatch(points, y);
        Assert.InRange(likelihood.Loss(model.call(points), y).ToDouble(), 0, before / 10);
    }

    [Fact]
    public void Loss_alone_is_that_with_gradients()
    {
        var (network, points) = Decay();
        var batches = new[] { (points, zeros(12, 1, dtype: F64)) };
        Objective Fresh() => new(new Nested(network), new SquaredError(), batches);
        Assert.Equal(Fresh().Gradient().Loss, Fresh().Loss(), 1e-15);
        var closure = new Objective(() => Residuals(network, points).square().sum() / 24, ParameterLayout.Of(network));
        Assert.Equal(Fresh().Loss(), closure.Loss(), 1e-15);
        Assert.True(is_grad_enabled());
    }

    [Fact]
    public void Rows_of_a_nested_jacobian_are_taken_one_by_one()
    {
        var (network, points) = Decay();
        using var linear = new Amari.LeastSquares.ModelResiduals(
            new Nested(network),
            new SquaredError(),
            points,
            zeros(12, 1, dtype: F64)
        ).Linearize();
        Assert.Contains("takes derivatives", linear.Fallback);
        var r = Residuals(network, points).reshape(-1) / Math.Sqrt(12);
        network.zero_grad();
        r[3].backward();
        Near(linear.Jacobian()[3], cat([.. network.parameters().Select(p => p.grad?.reshape(-1) ?? zeros(p.numel(), dtype: F64))]), 1e-12);
    }
}
