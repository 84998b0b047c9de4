using Amari.Distributed;
using Amari.Training;
using Amari.Verification;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>Every collective against what plain arithmetic says it gives.</summary>
internal static class Collectives
{
    public static void Run(Communicator world)
    {
        int n = world.Size;
        double all = n * (n + 1) / 2.0; // Σ (r + 1)
        foreach (var type in (ScalarType[])[ScalarType.Float32, ScalarType.Float64, ScalarType.BFloat16])
        foreach (long count in (long[])[1, 7, 1_300_000]) // the last one in several chunks
        {
            using var scope = NewDisposeScope();
            var index = arange(count, dtype: ScalarType.Float64).remainder(4);
            Tensor Of(int rank) => ((index + 1) * (rank + 1)).to_type(type);
            var sum = Of(world.Rank);
            world.AllReduce(sum);
            Check($"all-reduce sum {type} {count}", Equal(sum, ((index + 1) * all).to_type(type)));
            var max = Of(world.Rank);
            world.AllReduce(max, Reduction.Max);
            Check($"all-reduce max {type} {count}", Equal(max, Of(n - 1)));
            var sent = Of(world.Rank);
            world.Broadcast(sent, n - 1);
            Check($"broadcast {type} {count}", Equal(sent, Of(n - 1)));
            if (count > 100)
                continue;
            var gathered = empty(n * count, dtype: type);
            world.AllGather(Of(world.Rank), gathered);
            Check($"all-gather {type} {count}", Equal(gathered, cat([.. Enumerable.Range(0, n).Select(Of)])));
            var part = empty(count, dtype: type);
            world.ReduceScatter(cat([.. Enumerable.Range(0, n).Select(r => Of(world.Rank) * (r + 1))]), part);
            Check($"reduce-scatter {type} {count}", Equal(part, ((index + 1) * all * (world.Rank + 1)).to_type(type)));
        }
        DefinedBFloat16(world);
        using (var bytes = torch.tensor(new byte[] { 1, 2, (byte)world.Rank }))
        {
            world.Broadcast(bytes, n - 1);
            Check("broadcast of bytes", bytes[2].item<byte>() == n - 1);
        }
        Check(
            "texts",
            world.AllGather($"rank {world.Rank} é").SequenceEqual(Enumerable.Range(0, n).Select(r => $"rank {r} é"))
                && world.Broadcast("", 0).Length == 0
        );
        using (var half = world.Split(world.Rank % 2))
        {
            using var t = ones(3) * (world.Rank + 1);
            half.AllReduce(t);
            double expected = Enumerable.Range(0, n).Where(r => r % 2 == world.Rank % 2).Sum(r => r + 1.0);
            Check("split", half.Rank == world.Rank / 2 && t[0].ToDouble() == expected);
        }
        using (var a = ones(100_000) * world.Rank)
        using (var b = ones(10) * world.Rank)
        {
            var (first, second) = (world.BeginAllReduce(a), world.BeginAllReduce(b));
            second.Wait();
            while (!first.Test())
                Thread.Yield();
            first.Wait();
            Check("non-blocking", a.sum().ToDouble() == 100_000 * all - 100_000 * n && b[0].ToDouble() == all - n);
        }
        foreach (var bad in (Tensor[])[ones(4, 4).t(), arange(3), ones(2, 2).to_sparse()])
            try
            {
                world.AllReduce(bad);
                Check("bad tensors are refused", false);
            }
            catch (ArgumentException) { }
        world.Barrier();
        for (int i = 0; i < 200; i++) // the collector meanwhile
        {
            using var t = ones(1000);
            world.AllReduce(t);
            if (i % 20 == 0)
                GC.Collect();
            Check("after a collection", t[999].ToDouble() == n);
        }
    }

    /// <summary>bfloat16: in float32, in rank order, rounded once; rounding each partial sum would lose the small ones.</summary>
    private static void DefinedBFloat16(Communicator world)
    {
        using var scope = NewDisposeScope();
        var t = ones(5, dtype: ScalarType.BFloat16) * (world.Rank == 0 ? 256 : 1);
        world.AllReduce(t);
        var expected = (ones(5) * (256 + world.Size - 1)).to_type(ScalarType.BFloat16);
        Check("bfloat16 rounds once", Equal(t, expected));
    }

    private static bool Equal(Tensor a, Tensor b) => a.to_type(ScalarType.Float64).eq(b.to_type(ScalarType.Float64)).all().ToBoolean();

    private static void Check(string what, bool holds)
    {
        if (!holds)
            throw new InvalidOperationException($"{what}: wrong result");
    }
}
