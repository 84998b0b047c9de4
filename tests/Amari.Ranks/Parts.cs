using Amari.Distributed;
using Amari.Training;
using Amari.Verification;
using TorchSharp;
using static Amari.Ranks.Agreement;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>The parts of a batch: examples, and gradients that only some ranks have.</summary>
internal static class Parts
{
    public static void Run(Communicator world)
    {
        Unused(world);
        Shards(world);
        Rounding(world);
    }

    /// <summary>A parameter that only some ranks use, one that none uses, a rank without an example, a bfloat16 parameter among float32
    /// ones.</summary>
    private static void Unused(Communicator world)
    {
        using var scope = NewDisposeScope();
        using var some = nn.Linear(3, 2);
        using var none = nn.Linear(3, 2);
        using var half = nn.Linear(3, 2);
        half.to(ScalarType.BFloat16);
        using var all = nn.Sequential(("some", some), ("none", none), ("half", half));
        using var parallel = new DataParallel(all, world);
        if (world.Rank == 0)
            (some.call(ones(1, 3)).sum() * 2).backward();
        if (world.Rank > 0)
            half.call(ones(1, 3).to_type(ScalarType.BFloat16)).sum().backward();
        parallel.AverageGradients(world.Rank == 0 ? 3 : 1); // g = Σ n g / Σ n
        double total = 3 + world.Size - 1;
        Check("partly used", Math.Abs(some.weight!.grad![0, 0].ToDouble() - 3 * 2 / total) < 1e-6);
        Check("unused", none.weight!.grad is null);
        Check(
            "bfloat16 gradient",
            Math.Abs(half.weight!.grad![0, 0].ToDouble() - (world.Size - 1) / total) < 4e-3 && half.weight.grad.dtype == ScalarType.BFloat16
        );
        all.zero_grad();
        if (world.Rank == 0)
            some.call(ones(1, 3)).sum().backward();
        parallel.AverageGradients(world.Rank == 0 ? 1 : 0);
        Check("ranks without examples", some.weight.grad[0, 0].ToDouble() == 1);
    }

    /// <summary>Every epoch has each example once.</summary>
    private static void Shards(Communicator world)
    {
        var mine = new ShardedBatches(101, 10, 7, world.Rank, world.Size);
        using var counts = zeros(101, dtype: ScalarType.Float64);
        for (long step = 0; step < 2 * mine.StepsPerEpoch; step++)
            foreach (int row in mine.Rows(step))
                counts[row] = counts[row] + 1;
        world.AllReduce(counts);
        Check("each example once an epoch", counts.eq(2).all().ToBoolean());
    }

    /// <summary>bfloat16 training stays the same on all ranks.</summary>
    private static void Rounding(Communicator world)
    {
        using var model = nn.Linear(5, 3);
        model.to(ScalarType.BFloat16);
        using var optimizer = new AdamW(model);
        using var parallel = new DataParallel(model, world);
        for (int i = 0; i < 3; i++)
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            model.call(randn(4, 5).to_type(ScalarType.BFloat16)).square().sum().backward();
            parallel.AverageGradients();
            optimizer.step();
        }
        Same(world, "bfloat16", Training.Values(model));
    }
}
