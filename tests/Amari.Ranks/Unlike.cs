using Amari.Distributed;
using Amari.Training;
using Amari.Verification;
using Amari.Workloads;
using TorchSharp;
using static Amari.Ranks.Agreement;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>Ranks that were started with different things are refused, all with the same sentence, before the first step.</summary>
internal static class Unlike
{
    public static void Run(Communicator world)
    {
        bool odd = world.Rank == 1;
        Refused(
            world,
            "LearningRate is 0.01 on rank 0",
            "0.1 on rank 1",
            () => Distribute(new AdamW(nn.Linear(3, 2), new() { LearningRate = odd ? 0.1 : 0.01 }))
        );
        Refused(
            world,
            "Damping is 0.0003 on rank 0",
            "0.5 on rank 1",
            () => Distribute(new Kfac(Net(), new() { Damping = odd ? 0.5 : 3e-4 }, new Categorical()))
        );
        Refused(
            world,
            "Seed is 0 on rank 0",
            "7 on rank 1",
            () => Distribute(new Kfac(Net(), new() { Seed = odd ? 7 : 0 }, new Categorical()))
        );
        Refused(
            world,
            "MatrixOptimizer.Momentum is 0.95 on rank 0",
            "0.5 on rank 1",
            () =>
                Distribute(
                    new PartitionedOptimizer(
                        Net(),
                        new PartitionedOptimizer.Options { MatrixOptimizer = new Muon.Options { Momentum = odd ? 0.5 : 0.95 } }
                    )
                )
        );
        Refused(
            world,
            "the optimizer is AdamW on rank 0",
            "Lion on rank 1",
            () => Distribute(odd ? new Lion(nn.Linear(3, 2)) : new AdamW(nn.Linear(3, 2)))
        );
        Refused(
            world,
            "trained tensor 0 is Float32[2, 3] on rank 0",
            "Float32[2, 4] on rank 1",
            () => Distribute(new Sgd(nn.Linear(odd ? 4 : 3, 2)))
        );
        Refused(
            world,
            "LearningRate is",
            "0.5 on rank 1",
            () => Distribute(new NewtonCg(Net(), new Categorical(), new() { LearningRate = odd ? 0.5 : 1 }))
        );
        Refused(
            world,
            "shardState is False on rank 0",
            "True on rank 1",
            () => new AdamW(nn.Linear(3, 2)).Distribute(world, shardState: odd)
        );
        Refused(world, "weight is Float32[2, 3] on rank 0", "Float32[2, 4] on rank 1", () => Parallel(nn.Linear(odd ? 4 : 3, 2)));
        Refused(world, "bias is Float32[2] on rank 0", "missing on rank 1", () => Parallel(nn.Linear(3, 2, hasBias: !odd)));
        Refused(world, "Overlap is False on rank 0", "True on rank 1", () => Parallel(Net(), new() { Overlap = odd }));
        Refused(world, "the seed is 1 on rank 0", "2 on rank 1", () => Train(new Images(0), seed: odd ? 2 : 1));
        Refused(world, "the data is ", "on rank 1", () => Train(new Images(odd ? 1 : 0), seed: 1));
        Refused(world, "the budget is 1 epoch on rank 0", "2 epochs on rank 1", () => Train(new Images(0), 1, epochs: odd ? 2 : 1));
        Distribute(new AdamW(nn.Linear(3, 2))); // those that are alike go on
        Train(new Images(0), seed: 1);

        void Distribute(Amari.Optimizer optimizer) => optimizer.Distribute(world);

        void Parallel(nn.Module model, DataParallel.Options? options = null)
        {
            using var parallel = new DataParallel(model, world, options);
        }

        void Train(Workload workload, int seed, int epochs = 1)
        {
            using var trainer = new Trainer(workload, null, world);
            trainer.Train(new("sgd", new Dictionary<string, string>()), seed, Budget.OfEpochs(epochs));
        }
    }

    private static nn.Module<Tensor, Tensor> Net() => nn.Sequential(("a", nn.Linear(5, 4)), ("b", nn.Linear(4, 3)));

    private static void Refused(Communicator world, string start, string end, Action action)
    {
        string message = "nothing was refused";
        try
        {
            action();
        }
        catch (ArgumentException e)
        {
            message = e.Message.Replace("ranks 0, 2", "rank 0", StringComparison.Ordinal);
        }
        Check(
            $"refused: {start} .. {end}, with '{message}'",
            message.StartsWith("The ranks were started differently: ", StringComparison.Ordinal)
                && message.Contains(start, StringComparison.Ordinal)
                && message.Contains(end, StringComparison.Ordinal)
        );
        Check("one message", world.AllGather(message).Distinct().Count() == 1);
    }

    private sealed class Images(int seed) : Workload
    {
        public override string Name => "images";
        public override string Description => "random";
        public override int BatchSize => 30;
        public override Likelihood Likelihood { get; } = new Categorical();
        public override Metric Metric => Metric.Accuracy;
        public override Target Target => new("loss", 0);
        public override Budget DefaultBudget => Budget.OfEpochs(1);

        public override nn.Module<Tensor, Tensor> CreateModel() => Net();

        public override WorkloadData Load(string? directory)
        {
            using var generator = new Generator((ulong)seed);
            return new(new(randn([60, 5], generator: generator), randint(0, 3, [60], dtype: ScalarType.Int64, generator: generator)), null);
        }
    }
}
