using System.Diagnostics;
using Amari.Native;
using Amari.Verification;

namespace Amari.Distributed;

/// <summary>Ranks connected by the installed MPI library: Open MPI, MPICH or a derivative, or any library with the standard binary
/// interface, chosen at run time.</summary>
/// <remarks>Collectives are started non-blocking and polled, so that missing ranks are detected: after the timeout the job ends with one
/// line that names them. A stopped process is detected by its silence. Return codes of all calls are checked. The launcher detects a dead
/// rank immediately.</remarks>
public sealed unsafe class Mpi : Communicator
{
    private const int ChunkBytes = 4 << 20; // larger messages allocate a temporary buffer of their size
    private static readonly Lock Gate = new();
    private static Mpi? _world;
    private static bool _finished;
    private readonly MpiLibrary _mpi;
    private readonly MpiWatch _watch;
    private readonly int[] _worldRanks;
    private readonly bool _isWorld;
    private MpiHeartbeat? _heartbeat;
    private nint _comm;

    private Mpi(MpiLibrary mpi, nint comm, TimeSpan timeout, Mpi? parent)
    {
        (_mpi, _comm, _isWorld) = (mpi, comm, parent is null);
        mpi.Check(mpi.SetErrorHandler(comm, mpi.Abi.ErrorsReturn), "MPI_Comm_set_errhandler");
        int rank = 0,
            size = 0;
        mpi.Check(mpi.CommRank(comm, &rank), "MPI_Comm_rank");
        mpi.Check(mpi.CommSize(comm, &size), "MPI_Comm_size");
        (Rank, Size) = (rank, size);
        nint side = 0;
        mpi.Check(mpi.Duplicate(comm, &side), "MPI_Comm_dup");
        _worldRanks = new int[size];
        _watch = new(mpi, side, rank, _worldRanks, timeout, parent?.WorldSize ?? size);
        int[] mine = [parent?._worldRanks[parent.Rank] ?? rank];
        fixed (
            int* from = mine,
                to = _worldRanks
        )
            GatherBytes((nint)from, (nint)to, sizeof(int));
    }

    /// <summary>How long a rank waits in a call for a running process that does not join the call, before it ends the job. It exceeds any
    /// work that one rank does while the others wait.</summary>
    public static TimeSpan DefaultTimeout { get; } = TimeSpan.FromMinutes(30);

    /// <summary>How long a rank's process may be silent, because it is stopped, before the job ends; less if the timeout is less. Computing
    /// does not make it silent, and with a debugger attached it may be silent for any time. Detection and the end of the other ranks add
    /// less than 5 s.</summary>
    public static TimeSpan SilenceTimeout { get; } = TimeSpan.FromSeconds(10);

    /// <inheritdoc/>
    public override int Rank { get; }

    /// <inheritdoc/>
    public override int Size { get; }

    /// <inheritdoc/>
    public override string Description => FormattableString.Invariant($"{Size} ranks over {_mpi.Version}");

    private int WorldSize => _watch.WorldSize;

    /// <summary>All ranks of the job. MPI is initialised at the first call and cannot be initialised again after disposal.</summary>
    /// <param name="timeout">> 0.</param>
    /// <exception cref="CommunicationException">There is no usable MPI library, or it was finalised before.</exception>
    public static Mpi Start(TimeSpan timeout)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(timeout, TimeSpan.Zero);
        lock (Gate)
        {
            if (_world is not null)
                return _world;
            if (_finished)
                throw new CommunicationException("MPI was finalised in this process and cannot start again.");
            var mpi =
                MpiLibrary.Find()
                ?? throw new CommunicationException(
                    "No MPI library was found: install Open MPI (apt-get install openmpi-bin) or MPICH, or set AMARI_MPI_LIBRARY to "
                        + "its path."
                );
            int provided;
            mpi.Check(mpi.InitThread(null, 0, mpi.Abi.ThreadMultiple, &provided), "MPI_Init_thread");
            var world = new Mpi(mpi, mpi.Abi.World, timeout, null);
            if (world.Size == 1 && Launcher.Size > 1)
                throw new CommunicationException(
                    $"The launcher started {Launcher.Size} processes, but each is alone under {mpi.Version}: launcher and library "
                        + $"belong to different MPI implementations. Set {MpiLibrary.Variable} to the launcher's library."
                );
            if (world.Size > 1)
                world.Watch(provided);
            return _world = world;
        }
    }

    private void Watch(int provided)
    {
        if (provided != _mpi.Abi.ThreadMultiple)
        {
            if (Rank == 0)
                Warnings.Once(
                    $"{_mpi.Version} does not support calls from several threads: a stopped rank is detected only after "
                        + $"{_watch.Timeout.TotalSeconds:0} s in a call."
                );
            return;
        }
        nint own = 0;
        _mpi.Check(_mpi.Duplicate(_comm, &own), "MPI_Comm_dup");
        _mpi.Check(_mpi.SetErrorHandler(own, _mpi.Abi.ErrorsReturn), "MPI_Comm_set_errhandler");
        _heartbeat = new(_mpi, own, Rank, Size, SilenceTimeout < _watch.Timeout ? SilenceTimeout : _watch.Timeout);
    }

    /// <summary>The name and version of the installed library, for reports; null without one. Does not initialise MPI.</summary>
    public static string? InstalledVersion =>
        MpiLibrary.Find() is { } mpi ? $"{mpi.Version} ({mpi.Name}, " + $"{InterfaceOf(mpi.Abi.Kind)})" : null;

    private static string InterfaceOf(MpiAbiKind kind) =>
        kind switch
        {
            MpiAbiKind.Standard => "standard interface",
            MpiAbiKind.OpenMpi => "Open MPI's interface",
            _ => "MPICH's interface",
        };

    /// <inheritdoc/>
    public override void Barrier()
    {
        nint request = 0;
        _mpi.Check(_mpi.IBarrier(_comm, &request), "MPI_Ibarrier");
        Wait(ref request, "a barrier");
    }

    /// <inheritdoc/>
    public override Communicator Split(int color)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(color);
        Barrier(); // splitting cannot be polled: the barrier keeps the wait in it short
        nint part = 0;
        _mpi.Check(_mpi.CommSplit(_comm, color, Rank, &part), "MPI_Comm_split");
        return new Mpi(_mpi, part, _watch.Timeout, this);
    }

    /// <inheritdoc/>
    public override void Abort(string reason, int exitCode = 1)
    {
        if (_worldRanks[Rank] > 0)
            Thread.Sleep(500); // a failure on all ranks is reported once, by rank 0, which ends the others
        Console.Error.WriteLine($"Rank {_worldRanks[Rank]} of {WorldSize} failed, the job ends: {reason.ReplaceLineEndings(" ")}");
        Console.Error.Flush();
        var end = new Thread(() => _mpi.AbortJob(_mpi.Abi.World, exitCode)) { IsBackground = true }; // hangs if the network does
        end.Start();
        end.Join(TimeSpan.FromSeconds(3));
        HardExit.Now(exitCode);
    }

    private protected override PendingReduction Begin(Tensor tensor, Reduction reduction)
    {
        if (tensor.dtype == ScalarType.BFloat16)
            return new GatheredReduction(this, tensor, reduction);
        var (type, size) = (tensor.dtype == ScalarType.Float32 ? _mpi.Abi.Float : _mpi.Abi.Double, (int)tensor.ElementSize);
        nint data = LibTorch.DataPointer(tensor.Handle),
            op = reduction == Reduction.Sum ? _mpi.Abi.Sum : _mpi.Abi.Max;
        long count = tensor.numel(),
            chunk = ChunkBytes / size;
        var requests = new nint[(count + chunk - 1) / chunk];
        for (int i = 0; i < requests.Length; i++)
            fixed (nint* request = &requests[i])
                _mpi.Check(
                    _mpi.IAllReduce(
                        _mpi.Abi.InPlace,
                        data + (nint)(i * chunk * size),
                        (int)Math.Min(chunk, count - i * chunk),
                        type,
                        op,
                        _comm,
                        request
                    ),
                    "MPI_Iallreduce"
                );
        return new DirectReduction(this, tensor, requests);
    }

    private protected override void BroadcastBytes(nint data, long bytes, int root)
    {
        for (long start = 0; start < bytes; start += ChunkBytes)
        {
            nint request = 0;
            _mpi.Check(
                _mpi.IBroadcast(data + (nint)start, (int)Math.Min(ChunkBytes, bytes - start), _mpi.Abi.Byte, root, _comm, &request),
                "MPI_Ibcast"
            );
            Wait(ref request, "a broadcast");
        }
    }

    private protected override void GatherBytes(nint source, nint destination, long bytes)
    {
        nint request = BeginGather(source, destination, bytes);
        Wait(ref request, "an all-gather");
    }

    private nint BeginGather(nint source, nint destination, long bytes)
    {
        nint request = 0;
        _mpi.Check(
            _mpi.IAllGather(source, Count(bytes), _mpi.Abi.Byte, destination, Count(bytes), _mpi.Abi.Byte, _comm, &request),
            "MPI_Iallgather"
        );
        return request;
    }

    private protected override void Scatter(Tensor source, Tensor destination)
    {
        nint from = LibTorch.DataPointer(source.Handle),
            to = LibTorch.DataPointer(destination.Handle),
            request = 0;
        if (source.dtype != ScalarType.BFloat16)
        {
            nint type = source.dtype == ScalarType.Float32 ? _mpi.Abi.Float : _mpi.Abi.Double;
            _mpi.Check(
                _mpi.IReduceScatter(from, to, Count(destination.numel()), type, _mpi.Abi.Sum, _comm, &request),
                "MPI_Ireduce_scatter_block"
            );
            Wait(ref request, "a reduce-scatter");
        }
        else
        {
            using var scope = NewDisposeScope();
            var parts = empty([Size, destination.numel()], dtype: ScalarType.BFloat16);
            int bytes = Count(Bytes(destination));
            _mpi.Check(
                _mpi.IAllToAll(from, bytes, _mpi.Abi.Byte, LibTorch.DataPointer(parts.Handle), bytes, _mpi.Abi.Byte, _comm, &request),
                "MPI_Ialltoall"
            );
            Wait(ref request, "a reduce-scatter");
            Combine(parts, destination, Reduction.Sum);
        }
        GC.KeepAlive(source);
        GC.KeepAlive(destination);
    }

    /// <summary>The deterministic reduction: rows in order, in float32, rounded once.</summary>
    private static void Combine(Tensor parts, Tensor result, Reduction reduction)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var total = parts[0].to_type(ScalarType.Float32);
        for (long r = 1; r < parts.shape[0]; r++)
            total = reduction == Reduction.Sum ? total.add_(parts[r]) : maximum(total, parts[r].to_type(ScalarType.Float32));
        result.view(-1).copy_(total);
    }

    private static int Count(long n) =>
        n <= int.MaxValue
            ? (int)n
            : throw new ArgumentException($"The message has {n:N0} elements or bytes; the maximum is {int.MaxValue:N0}.");

    private bool Poll(ref nint request)
    {
        int done = 0;
        fixed (nint* r = &request)
            _mpi.Check(_mpi.Test(r, &done, _mpi.Abi.StatusIgnore), "MPI_Test");
        return done != 0;
    }

    private void Wait(ref nint request, string call)
    {
        long start = Stopwatch.GetTimestamp();
        _watch.Enter();
        for (int polls = 0; !Poll(ref request); polls++)
            _watch.Idle(polls, start, call);
        Seconds += Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        lock (Gate)
        {
            if (disposing && _comm != 0)
                Leave();
        }
        base.Dispose(disposing);
    }

    private void Leave()
    {
        _heartbeat?.Dispose();
        _watch.Free();
        if (!_isWorld)
            fixed (nint* comm = &_comm)
                _mpi.Check(_mpi.FreeComm(comm), "MPI_Comm_free");
        else
        {
            (_world, _finished) = (null, true);
            _mpi.Check(_mpi.Finish(), "MPI_Finalize");
        }
        _comm = 0;
    }

    private sealed class DirectReduction(Mpi owner, Tensor tensor, nint[] requests) : PendingReduction
    {
        private int _done;

        public override bool Test()
        {
            while (_done < requests.Length && owner.Poll(ref requests[_done]))
                _done++;
            return _done == requests.Length;
        }

        public override void Wait()
        {
            for (; _done < requests.Length; _done++)
                owner.Wait(ref requests[_done], "an all-reduce");
            GC.KeepAlive(tensor);
        }
    }

    private sealed class GatheredReduction : PendingReduction
    {
        private readonly Mpi _owner;
        private readonly Tensor _tensor;
        private readonly Reduction _reduction;
        private readonly Tensor?[] _parts;
        private readonly nint[] _requests;
        private readonly long _chunk;
        private int _done;

        public GatheredReduction(Mpi owner, Tensor tensor, Reduction reduction)
        {
            (_owner, _tensor, _reduction, _chunk) = (owner, tensor, reduction, Math.Max(1, ChunkBytes / 2 / owner.Size));
            long count = tensor.numel();
            (_requests, _parts) = (new nint[(count + _chunk - 1) / _chunk], new Tensor?[(count + _chunk - 1) / _chunk]);
            for (int i = 0; i < _requests.Length; i++)
            {
                long size = Math.Min(_chunk, count - i * _chunk);
                var parts = _parts[i] = empty([owner.Size, size], dtype: tensor.dtype).DetachFromDisposeScope();
                _requests[i] = owner.BeginGather(
                    LibTorch.DataPointer(tensor.Handle) + (nint)(2 * i * _chunk),
                    LibTorch.DataPointer(parts.Handle),
                    2 * size
                );
            }
        }

        public override bool Test()
        {
            while (_done < _requests.Length && _owner.Poll(ref _requests[_done]))
                Finish();
            return _done == _requests.Length;
        }

        public override void Wait()
        {
            while (_done < _requests.Length)
            {
                _owner.Wait(ref _requests[_done], "an all-reduce");
                Finish();
            }
        }

        private void Finish()
        {
            using var parts = _parts[_done]!;
            using var flat = _tensor.view(-1);
            using var part = flat.narrow(0, _done * _chunk, parts.shape[1]);
            Combine(parts, part, _reduction);
            _parts[_done++] = null;
        }
    }
}
