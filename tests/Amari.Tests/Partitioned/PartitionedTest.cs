using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Partitioned;

/// <summary>A model with an embedding and two matrices, and how it is trained.</summary>
public abstract class PartitionedTest : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose()
    {
        _scope.Dispose();
        GC.SuppressFinalize(this);
    }

    private protected static nn.Module<Tensor, Tensor> Model()
    {
        manual_seed(4);
        return nn.Sequential(
            ("e", nn.Embedding(11, 6)),
            ("f", nn.Flatten()),
            ("a", nn.Linear(18, 9)),
            ("n", nn.LayerNorm([9])),
            ("t", nn.Tanh()),
            ("b", nn.Linear(9, 5))
        );
    }

    private protected static (Tensor X, Tensor Y) Batch(int seed)
    {
        using var generator = new Generator((ulong)seed);
        return (randint(0, 11, [16, 3], generator: generator), randint(0, 5, [16], generator: generator));
    }

    private protected static void Train(Optimizer optimizer, nn.Module<Tensor, Tensor> model, int from, int to)
    {
        for (int step = from; step < to; step++)
        {
            using var scope = NewDisposeScope();
            var (x, y) = Batch(step);
            optimizer.zero_grad();
            new Categorical().Loss(model.call(x), y).backward();
            optimizer.step();
        }
    }

    /// <summary>Every method that may take the matrices.</summary>
    public static TheoryData<OptimizerOptions> Methods =>
        [
            .. typeof(OptimizerOptions)
                .Assembly.GetTypes()
                .Where(t => t.IsSubclassOf(typeof(OptimizerOptions)) && !t.IsAbstract)
                .Select(t => (OptimizerOptions)Activator.CreateInstance(t)!)
                .Where(IsTaken),
        ];

    private static bool IsTaken(OptimizerOptions matrices)
    {
        try
        {
            _ = new PartitionedOptimizer.Options { MatrixOptimizer = matrices };
            return true;
        }
        catch (ArgumentException)
        {
            return false;
        }
    }
}
