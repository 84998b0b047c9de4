using Amari.Native;

namespace Amari.Distributed;

/// <summary>A single process. Collectives do what they do for one rank, and no library is loaded.</summary>
public sealed class SingleProcess : Communicator
{
    private SingleProcess() { }

    /// <summary>The only instance. Disposing it does nothing.</summary>
    public static SingleProcess Instance { get; } = new();

    /// <inheritdoc/>
    public override int Rank => 0;

    /// <inheritdoc/>
    public override int Size => 1;

    /// <inheritdoc/>
    public override string Description => "one process";

    /// <inheritdoc/>
    public override void Barrier() { }

    /// <inheritdoc/>
    public override Communicator Split(int color)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(color);
        return this;
    }

    /// <inheritdoc/>
    public override void Abort(string reason, int exitCode = 1) => HardExit.With(reason, exitCode);

    private protected override PendingReduction Begin(Tensor tensor, Reduction reduction) => PendingReduction.Done;

    private protected override void BroadcastBytes(nint data, long bytes, int root) { }

    private protected override void GatherBytes(nint source, nint destination, long bytes) => throw new InvalidOperationException();

    private protected override void Scatter(Tensor source, Tensor destination) => throw new InvalidOperationException();
}
