namespace Amari.Tests.KfacOptimizer;

/// <summary>A network of two layers and batches for it, trained by the ordinary step().</summary>
public abstract class StepRuleTest() : KfacTest(17)
{
    private protected static nn.Module<Tensor, Tensor> Net()
    {
        manual_seed(5);
        return nn.Sequential(("a", nn.Linear(4, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 3)));
    }

    private protected static (Tensor X, Tensor Y) Batch(int n, int seed = 9)
    {
        manual_seed(seed);
        return (2 * randn(n, 4), randint(0, 3, [n]));
    }

    private protected static void Step(nn.Module<Tensor, Tensor> model, Kfac optimizer, Tensor x, Tensor y)
    {
        optimizer.zero_grad();
        new Categorical().Loss(model.call(x), y).backward();
        optimizer.step();
    }
}
