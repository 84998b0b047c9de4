using System.Text;
using Amari.Native;
using Amari.Verification;

namespace Amari.Distributed;

/// <summary>A group of processes (ranks) that work on tensors together. Every member of the group makes the same calls in the same
/// order.</summary>
/// <remarks>Tensors lie contiguously on the CPU, and are read and written where they lie. Reductions take float32, float64 and bfloat16; a
/// bfloat16 reduction is defined: all ranks' values are gathered, combined in float32 in the order of ranks and rounded once, the same on
/// every rank. Broadcast and all-gather take any element type. Not thread-safe: one thread communicates.</remarks>
public abstract class Communicator : IDisposable
{
    private protected Communicator() { }

    /// <summary>The ranks of the job that mpirun, mpiexec or srun started; without such a launcher, this process alone. Once per
    /// process.</summary>
    /// <param name="timeout">How long a rank waits in a call for one that does not come before it ends the job; null: see
    /// <see cref="Mpi.DefaultTimeout"/> and, for one whose process is stopped, <see cref="Mpi.SilenceTimeout"/>.</param>
    /// <exception cref="CommunicationException">There is a launcher, but no MPI library that fits it.</exception>
    public static Communicator FromLauncher(TimeSpan? timeout = null) =>
        Launcher.IsPresent && Launcher.Size > 1 ? Mpi.Start(timeout ?? Mpi.DefaultTimeout) : SingleProcess.Instance;

    /// <summary>This process in the group, from 0.</summary>
    public abstract int Rank { get; }

    /// <summary>Processes in the group.</summary>
    public abstract int Size { get; }

    /// <summary>One line: what connects the ranks.</summary>
    public abstract string Description { get; }

    /// <summary>Seconds spent in calls so far, waiting included.</summary>
    public double Seconds { get; private protected set; }

    /// <summary>Combines all ranks' tensors in place, the same result on each.</summary>
    /// <param name="tensor">float32, float64 or bfloat16, of one shape on all ranks.</param>
    /// <param name="reduction">How.</param>
    /// <exception cref="ArgumentException">The tensor is not contiguous, not on the CPU, or of another element type.</exception>
    public void AllReduce(Tensor tensor, Reduction reduction = Reduction.Sum) => BeginAllReduce(tensor, reduction).Wait();

    /// <summary><see cref="AllReduce"/> that goes on while the caller computes; it must be waited for.</summary>
    public PendingReduction BeginAllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        CheckReducible(tensor, nameof(tensor));
        return Size == 1 || tensor.numel() == 0 ? PendingReduction.Done : Begin(tensor, Require.Defined(reduction));
    }

    /// <summary>Every rank's tensor becomes that of <paramref name="root"/>.</summary>
    /// <param name="tensor">Any element type; of one shape on all ranks.</param>
    /// <param name="root">Whose values are sent, in [0, Size).</param>
    public void Broadcast(Tensor tensor, int root = 0)
    {
        Check(tensor, nameof(tensor));
        ArgumentOutOfRangeException.ThrowIfNegative(root);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(root, Size);
        if (Size > 1 && tensor.numel() > 0)
            BroadcastBytes(LibTorch.DataPointer(tensor.Handle), Bytes(tensor), root);
        GC.KeepAlive(tensor);
    }

    /// <summary><see cref="Broadcast(Tensor, int)"/> of a tensor that need not be contiguous.</summary>
    internal void BroadcastAny(Tensor tensor, int root)
    {
        if (tensor.is_contiguous())
            Broadcast(tensor, root);
        else
        {
            using var copy = tensor.contiguous();
            Broadcast(copy, root);
            tensor.copy_(copy);
        }
    }

    /// <summary>Puts all ranks' tensors one after another.</summary>
    /// <param name="source">This rank's part, of one shape on all ranks.</param>
    /// <param name="destination">Size times as many elements of the same type; rank r's come at r times the number of elements of
    /// <paramref name="source"/>.</param>
    public void AllGather(Tensor source, Tensor destination)
    {
        CheckParts(source, destination, nameof(destination));
        if (Size == 1)
            destination.view(-1).copy_(source.view(-1)).Dispose();
        else if (source.numel() > 0)
            GatherBytes(LibTorch.DataPointer(source.Handle), LibTorch.DataPointer(destination.Handle), Bytes(source));
        GC.KeepAlive(source);
        GC.KeepAlive(destination);
    }

    /// <summary>Sums all ranks' tensors and leaves each rank its part of the sum.</summary>
    /// <param name="source">Size equal parts one after another; float32, float64 or bfloat16. Not changed.</param>
    /// <param name="destination">The part at this rank's place.</param>
    public void ReduceScatter(Tensor source, Tensor destination)
    {
        CheckReducible(source, nameof(source));
        CheckParts(destination, source, nameof(source));
        if (Size == 1)
            destination.view(-1).copy_(source.view(-1)).Dispose();
        else if (source.numel() > 0)
            Scatter(source, destination);
    }

    /// <summary>Returns when every rank has called it.</summary>
    public abstract void Barrier();

    /// <summary>The ranks that name the same color as a group of their own, in the order of their ranks here. The caller disposes it, in
    /// the same order on all ranks.</summary>
    /// <param name="color">≥ 0.</param>
    public abstract Communicator Split(int color);

    /// <summary>Ends every process of the job at once, with one line on standard error that names this rank. Does not return.</summary>
    /// <param name="reason">One line.</param>
    /// <param name="exitCode">In 1..255.</param>
    public abstract void Abort(string reason, int exitCode = 1);

    /// <summary>The text of <paramref name="root"/> on every rank.</summary>
    public string Broadcast(string? text, int root)
    {
        if (Size == 1)
            return text ?? "";
        using var scope = NewDisposeScope();
        byte[] bytes = Rank == root ? Encoding.UTF8.GetBytes(text ?? "") : [];
        var length = torch.tensor([bytes.LongLength]);
        Broadcast(length, root);
        long count = length.ToInt64();
        if (count == 0)
            return "";
        var data = Rank == root ? torch.tensor(bytes) : empty(count, dtype: ScalarType.Byte);
        Broadcast(data, root);
        return Encoding.UTF8.GetString(data.Elements<byte>());
    }

    /// <summary>All ranks' texts, in the order of ranks.</summary>
    public IReadOnlyList<string> AllGather(string text) => [.. Enumerable.Range(0, Size).Select(root => Broadcast(text, root))];

    /// <summary>Sums a few numbers over ranks.</summary>
    internal double[] Sum(params ReadOnlySpan<double> values)
    {
        if (Size == 1)
            return values.ToArray();
        using var t = torch.tensor(values.ToArray());
        AllReduce(t);
        return t.Elements<double>();
    }

    private protected abstract PendingReduction Begin(Tensor tensor, Reduction reduction);
    private protected abstract void BroadcastBytes(nint data, long bytes, int root);
    private protected abstract void GatherBytes(nint source, nint destination, long bytes);
    private protected abstract void Scatter(Tensor source, Tensor destination);

    private protected static long Bytes(Tensor tensor) => tensor.numel() * tensor.ElementSize;

    private static void Check(Tensor tensor, string name)
    {
        ArgumentNullException.ThrowIfNull(tensor, name);
        if (tensor.device_type != DeviceType.CPU || tensor.is_sparse || !tensor.is_contiguous())
            throw new ArgumentException(
                "The tensor must be dense and contiguous and on the CPU; it is on "
                    + $"{tensor.device}{(tensor.is_sparse || !tensor.is_contiguous() ? " and not contiguous" : "")}.",
                name
            );
    }

    private static void CheckReducible(Tensor tensor, string name)
    {
        Check(tensor, name);
        if (tensor.dtype is not (ScalarType.Float32 or ScalarType.Float64 or ScalarType.BFloat16))
            throw new ArgumentException($"Reductions take Float32, Float64 and BFloat16, not {tensor.dtype}.", name);
    }

    private void CheckParts(Tensor part, Tensor whole, string name)
    {
        Check(part, name);
        Check(whole, name);
        if (whole.numel() != Size * part.numel() || whole.dtype != part.dtype)
            throw new ArgumentException(
                $"Expected {Size} x {part.numel()} elements of {part.dtype}, got {whole.numel()} of {whole.dtype}.",
                name
            );
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Dispose(true);
        GC.SuppressFinalize(this);
    }

    /// <summary>Leaves the group.</summary>
    /// <param name="disposing">False in a finalizer.</param>
    protected virtual void Dispose(bool disposing) { }
}
