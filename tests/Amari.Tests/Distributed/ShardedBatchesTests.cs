using Amari.Distributed;
using Amari.Native;

namespace Amari.Tests.Distributed;

/// <summary>What needs no MPI: parts of batches, one process as a communicator, data parallelism of one.</summary>
public sealed class ShardedBatchesTests
{
    [Theory]
    [InlineData(100, 10, 3, false)]
    [InlineData(101, 10, 4, false)]
    [InlineData(101, 10, 4, true)]
    [InlineData(7, 100, 5, false)]
    [InlineData(1, 1, 2, false)]
    public void Each_example_comes_once_an_epoch(int examples, int batch, int ranks, bool dropLast)
    {
        var whole = new ShardedBatches(examples, batch, 3, dropLast: dropLast);
        var parts = Enumerable.Range(0, ranks).Select(r => new ShardedBatches(examples, batch, 3, r, ranks, dropLast)).ToArray();
        for (long epoch = 0; epoch < 2; epoch++)
        {
            var seen = new List<int>();
            for (long i = 0; i < whole.StepsPerEpoch; i++)
            {
                long step = epoch * whole.StepsPerEpoch + i;
                int[][] each = [.. parts.Select(p => p.Rows(step).ToArray())];
                int[] together = [.. each.SelectMany(p => p)];
                Assert.Equal(whole.Rows(step).ToArray(), together); // the batch of one process, in its order
                Assert.True(each.Max(p => p.Length) - each.Min(p => p.Length) <= 1);
                seen.AddRange(together);
            }
            Assert.Equal(dropLast ? examples / batch * batch : examples, seen.Distinct().Count());
            Assert.Equal(seen.Count, seen.Distinct().Count());
        }
    }

    [Fact]
    public void Epochs_and_seeds_have_orders_of_their_own()
    {
        var batches = new ShardedBatches(50, 50, 1);
        int[] first = batches.Rows(0).ToArray(),
            second = batches.Rows(1).ToArray();
        Assert.NotEqual(first, second);
        Assert.Equal(first, batches.Rows(0).ToArray());
        Assert.NotEqual(first, new ShardedBatches(50, 50, 2).Rows(0).ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => new ShardedBatches(50, 10, 1, 2, 2));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ShardedBatches(50, 0, 1));
    }

    [Fact]
    public void One_process_is_a_communicator_of_one()
    {
        using var world = Communicator.FromLauncher();
        Assert.Equal((0, 1), (world.Rank, world.Size));
        using var t = tensor(new[] { 1f, 2f });
        world.AllReduce(t);
        world.BeginAllReduce(t, Reduction.Max).Wait();
        world.Broadcast(t);
        world.Barrier();
        using var other = zeros(2);
        world.AllGather(t, other);
        Assert.Equal(new[] { 1f, 2f }, other.Elements<float>());
        other.zero_();
        world.ReduceScatter(t, other);
        Assert.Equal(new[] { 1f, 2f }, other.Elements<float>());
        Assert.Equal("text", world.Broadcast("text", 0));
        Assert.Equal(0, world.Split(3).Rank);
        using var bad = arange(3);
        Assert.Throws<ArgumentException>(() => world.AllReduce(bad));
        using var strided = zeros(3, 4).t();
        Assert.Throws<ArgumentException>(() => world.Broadcast(strided));
        Assert.Throws<ArgumentOutOfRangeException>(() => world.Broadcast(t, 1));
        Assert.Throws<ArgumentException>(() => world.AllGather(t, strided));
    }

    [Fact]
    public void Data_parallelism_of_one_process_changes_nothing()
    {
        using var scope = NewDisposeScope();
        var layer = nn.Linear(3, 2);
        using var parallel = new DataParallel(layer, SingleProcess.Instance);
        layer.call(ones(1, 3)).sum().backward();
        var before = layer.weight!.grad!.clone();
        parallel.AverageGradients(5);
        Assert.True(before.eq(layer.weight.grad).all().ToBoolean());
        Assert.Throws<ArgumentOutOfRangeException>(() => new DataParallel.Options { BucketBytes = 0 });
        Assert.Throws<ArgumentOutOfRangeException>(() =>
            new Kfac.Options { Curvature = new() { Distribution = new() { GradWorkerFraction = 1.1 } } }
        );
    }
}
