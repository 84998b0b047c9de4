using Amari.Distributed;

namespace Amari.Tests.Distributed;

/// <summary>Ranks that are threads of this process, for what needs only sums over ranks.</summary>
internal sealed class ThreadRanks : Communicator
{
    private readonly Shared _shared;

    private sealed class Shared(int size) : IDisposable
    {
        public System.Threading.Barrier Barrier { get; } = new(size);
        public Tensor?[] Given { get; } = new Tensor?[size];

        public void Dispose() => Barrier.Dispose();
    }

    private ThreadRanks(Shared shared, int rank) => (_shared, Rank) = (shared, rank);

    public override int Rank { get; }

    public override int Size => _shared.Given.Length;

    public override string Description => $"{Size} threads";

    /// <summary>Runs an action on every rank, and throws what one threw.</summary>
    public static void Run(int size, Action<Communicator> action)
    {
        using var shared = new Shared(size);
        Task.WaitAll([
            .. Enumerable
                .Range(0, size)
                .Select(rank =>
                    Task.Factory.StartNew(
                        () => action(new ThreadRanks(shared, rank)),
                        CancellationToken.None,
                        TaskCreationOptions.LongRunning,
                        TaskScheduler.Default
                    )
                ),
        ]);
    }

    private protected override PendingReduction Begin(Tensor tensor, Reduction reduction)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        Assert.Equal(Reduction.Sum, reduction);
        _shared.Given[Rank] = tensor;
        Barrier();
        var sum = _shared.Given.Aggregate(zeros_like(tensor), (a, b) => a + b!);
        Barrier();
        tensor.copy_(sum);
        Barrier();
        return PendingReduction.Done;
    }

    public override void Barrier() => Assert.True(_shared.Barrier.SignalAndWait(TimeSpan.FromSeconds(60)));

    private protected override void BroadcastBytes(nint data, long bytes, int root) => throw new NotSupportedException();

    private protected override void GatherBytes(nint source, nint destination, long bytes) => throw new NotSupportedException();

    private protected override void Scatter(Tensor source, Tensor destination) => throw new NotSupportedException();

    public override Communicator Split(int color) => throw new NotSupportedException();

    public override void Abort(string reason, int exitCode = 1) => throw new NotSupportedException();
}
