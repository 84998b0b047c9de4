using System.Text;
using Amari.Native;
using Amari.Verification;

namespace Amari.Distributed;

/// <summary>A group of processes (ranks) that communicate tensors. Every member of the group makes the same calls in the same
/// order.</summary>
/// <remarks>Tensors must be contiguous and on the CPU; they are read and written in place. Reductions accept float32, float64 and bfloat16.
/// A bfloat16 reduction is deterministic: it gathers the values of all ranks, combines them in float32 in rank order and rounds once, with
/// the same result on every rank. Broadcast and all-gather accept any element type. Not thread-safe: only one thread may
/// communicate.</remarks>
public abstract class Communicator : IDisposable
{
    private protected Communicator() { }

    /// <summary>The ranks of the job that mpirun, mpiexec or srun started; without a launcher, this process alone. Call it once per
    /// process.</summary>
    /// <param name="timeout">How long a rank waits in a call for another before it ends the job. Null for <see cref="Mpi.DefaultTimeout"/>
    /// and, if the other process is stopped, <see cref="Mpi.SilenceTimeout"/>.</param>
    /// <exception cref="CommunicationException">There is a launcher, but no matching MPI library.</exception>
    public static Communicator FromLauncher(TimeSpan? timeout = null) =>
        Launcher.IsPresent && Launcher.Size > 1 ? Mpi.Start(timeout ?? Mpi.DefaultTimeout) : SingleProcess.Instance;

    /// <summary>The index of this process in the group, from 0.</summary>
    public abstract int Rank { get; }

    /// <summary>Number of processes in the group.</summary>
    public abstract int Size { get; }

    /// <summary>One line that describes the connection of the ranks.</summary>
    public abstract string Description { get; }

    /// <summary>Seconds spent in calls so far, including waiting.</summary>
    public double Seconds { get; private protected set; }

    /// <summary>Combines the tensors of all ranks in place, with the same result on each.</summary>
    /// <param name="tensor">float32, float64 or bfloat16, of the same shape on all ranks.</param>
    /// <param name="reduction">The operation.</param>
    /// <exception cref="ArgumentException">The tensor is not contiguous, not on the CPU, or of another element type.</exception>
    public void AllReduce(Tensor tensor, Reduction reduction = Reduction.Sum) => BeginAllReduce(tensor, reduction).Wait();

    /// <summary>An <see cref="AllReduce"/> that continues while the caller computes. Wait for it before using the tensor.</summary>
    public PendingReduction BeginAllReduce(Tensor tensor, Reduction reduction = Reduction.Sum)
    {
        CheckReducible(tensor, nameof(tensor));
        return Size == 1 || tensor.numel() == 0 ? PendingReduction.Done : Begin(tensor, Require.Defined(reduction));
    }

    /// <summary>Every rank's tensor becomes that of <paramref name="root"/>.</summary>
    /// <param name="tensor">Any element type; the same shape on all ranks.</param>
    /// <param name="root">The rank that sends, in [0, Size).</param>
    public void Broadcast(Tensor tensor, int root = 0)
    {
        Check(tensor, nameof(tensor));
        ArgumentOutOfRangeException.ThrowIfNegative(root);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(root, Size);
        if (Size > 1 && tensor.numel() > 0)
            BroadcastBytes(LibTorch.DataPointer(tensor.Handle), Bytes(tensor), root);
        GC.KeepAlive(tensor);
    }

    /// <summary><see cref="Broadcast(Tensor, int)"/> for a tensor that may not be contiguous.</summary>
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

    /// <summary>Concatenates the tensors of all ranks.</summary>
    /// <param name="source">This rank's part; the same shape on all ranks.</param>
    /// <param name="destination">Size times as many elements of the same type. The part of rank r starts at r times the number of elements
    /// of <paramref name="source"/>.</param>
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

    /// <summary>Sums the tensors of all ranks and gives each rank its part of the sum.</summary>
    /// <param name="source">Size equal parts, concatenated; float32, float64 or bfloat16. Not changed.</param>
    /// <param name="destination">This rank's part of the sum.</param>
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

    /// <summary>A group of the ranks with the same color, in the order of their ranks here. The caller disposes it, in the same order on
    /// all ranks.</summary>
    /// <param name="color">≥ 0.</param>
    public abstract Communicator Split(int color);

    /// <summary>Ends all processes of the job immediately, with one line on standard error that names this rank. Does not return.</summary>
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

    /// <summary>The position of this rank's examples in the batch of all ranks, which lies in the order of the ranks. All ranks must call
    /// it.</summary>
    /// <param name="examples">Of this rank, ≥ 0.</param>
    internal BatchPart PartOf(long examples)
    {
        double[] counts = new double[Size];
        counts[Rank] = examples;
        counts = Sum(counts);
        return new((long)counts.Take(Rank).Sum(), examples, (long)counts.Sum());
    }

    private protected abstract void Scatter(Tensor source, Tensor destination);

    private protected static long Bytes(Tensor tensor) => tensor.numel() * tensor.ElementSize;

    private static void Check(Tensor tensor, string name)
    {
        ArgumentNullException.ThrowIfNull(tensor, name);
        if (tensor.device_type != DeviceType.CPU || tensor.is_sparse || !tensor.is_contiguous())
            throw new ArgumentException(
                "The tensor must be dense, contiguous and on the CPU; it is on "
                    + $"{tensor.device}{(tensor.is_sparse || !tensor.is_contiguous() ? " and not contiguous" : "")}.",
                name
            );
    }

    private static void CheckReducible(Tensor tensor, string name)
    {
        Check(tensor, name);
        if (tensor.dtype is not (ScalarType.Float32 or ScalarType.Float64 or ScalarType.BFloat16))
            throw new ArgumentException($"The tensor is {tensor.dtype}; reductions accept Float32, Float64 and BFloat16.", name);
    }

    private void CheckParts(Tensor part, Tensor whole, string name)
    {
        Check(part, name);
        Check(whole, name);
        if (whole.numel() != Size * part.numel() || whole.dtype != part.dtype)
            throw new ArgumentException(
                $"The tensor has {whole.numel()} elements of {whole.dtype}; it must have {Size} x {part.numel()} of {part.dtype}.",
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
