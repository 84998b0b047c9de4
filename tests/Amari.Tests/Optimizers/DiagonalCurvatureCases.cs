namespace Amari.Tests.Optimizers;

/// <summary>A problem with a diagonal Hessian, and a step of a method that measures it.</summary>
internal static class DiagonalCurvatureCases
{
    /// <summary>y = w x for three outputs: the Hessian is diagonal, the minimum Σ x y / Σ x².</summary>
    internal static (nn.Module<Tensor, Tensor> Model, Tensor X, Tensor Y, double[] Minimum) Quadratic()
    {
        manual_seed(3);
        var model = nn.Sequential(("a", nn.Linear(1, 3, hasBias: false))).to(ScalarType.Float64);
        var (x, y) = (randn([20, 1], dtype: ScalarType.Float64), randn([20, 3], dtype: ScalarType.Float64));
        return (model, x, y, Problem.Values([(x * y).sum(dim: 0) / x.square().sum()]));
    }

    internal static void Step(Optimizer optimizer, nn.Module<Tensor, Tensor> model, Likelihood likelihood, Tensor x, Tensor y)
    {
        using var scope = NewDisposeScope();
        optimizer.UpdateCurvature(x, y);
        optimizer.zero_grad();
        likelihood.Loss(model.call(x), y).backward();
        optimizer.step();
    }
}
