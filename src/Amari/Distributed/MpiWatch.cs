using System.Diagnostics;
using Amari.Native;
using Amari.Verification;

namespace Amari.Distributed;

/// <summary>Detects ranks that do not join a collective, and ends the job with a line that names them.</summary>
/// <remarks>A rank that has waited for half of the timeout reports the call in which it waits to the others, on a separate communicator.
/// After the whole timeout the ranks that did not report are missing. The first waiting rank prints the line, and each ends its own
/// process, because MPI's own abort may also wait for the lost rank.</remarks>
internal sealed unsafe class MpiWatch(MpiLibrary mpi, nint comm, int rank, int[] worldRanks, TimeSpan timeout, int worldSize)
{
    private const int Tag = 7;
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(0.5);
    private nint _comm = comm;
    private long _call,
        _reported;
    private long* _mine; // the number that is sent: in native memory, because it may be in transit when the process ends

    public TimeSpan Timeout => timeout;
    public int WorldSize => worldSize;

    /// <summary>A new call starts.</summary>
    public void Enter() => _call++;

    /// <summary>Called between two polls: yields to other threads and checks the time.</summary>
    public void Idle(int polls, long start, string call)
    {
        if (polls < 100)
            return;
        if (polls < 20_000)
            Thread.Yield();
        else
            Thread.Sleep(1);
        if (polls % 64 != 0 || worldRanks.Length == 1)
            return;
        var waited = Stopwatch.GetElapsedTime(start);
        if (waited > timeout / 2 && _reported < _call)
            Log();
        if (waited > timeout)
            End(call);
    }

    private void Log()
    {
        _reported = _call;
        // Never freed: sent at most once per call, only if the call is nearly lost.
        _mine = (long*)System.Runtime.InteropServices.NativeMemory.Alloc(sizeof(long));
        *_mine = _call;
        for (int r = 0; r < worldRanks.Length; r++)
        {
            nint request = 0;
            if (r != rank)
                mpi.Check(mpi.ISend((nint)_mine, sizeof(long), mpi.Abi.Byte, r, Tag, _comm, &request), "MPI_Isend");
        }
    }

    private void End(string call)
    {
        int size = worldRanks.Length;
        var waiting = new bool[size];
        var requests = stackalloc nint[size];
        var numbers = (long*)System.Runtime.InteropServices.NativeMemory.AllocZeroed((nuint)(size * sizeof(long)));
        for (int r = 0; r < size; r++)
            if (r != rank)
                mpi.Check(mpi.IReceive((nint)(numbers + r), sizeof(long), mpi.Abi.Byte, r, Tag, _comm, requests + r), "MPI_Irecv");
        waiting[rank] = true;
        for (long start = Stopwatch.GetTimestamp(); Stopwatch.GetElapsedTime(start) < Grace; Thread.Sleep(1))
        for (int r = 0; r < size; r++)
        {
            int done = 0;
            if (waiting[r] || mpi.Test(requests + r, &done, mpi.Abi.StatusIgnore) != 0 || done == 0)
                continue;
            if (numbers[r] >= _call)
                waiting[r] = true;
            else
                _ = mpi.IReceive((nint)(numbers + r), sizeof(long), mpi.Abi.Byte, r, Tag, _comm, requests + r); // an earlier call
        }
        int[] missing = [.. Enumerable.Range(0, size).Where(r => !waiting[r]).Select(r => worldRanks[r])];
        string lost =
            missing.Length == 0 ? "the network: every rank waits" : (missing.Length == 1 ? "rank " : "ranks ") + string.Join(", ", missing);
        if (Array.IndexOf(waiting, true) != rank)
        {
            Thread.Sleep(2 * Grace); // an exit ends the job: the first waiting rank reports before
            HardExit.Now(1);
        }
        HardExit.With(
            FormattableString.Invariant(
                $"Rank {worldRanks[rank]} of {worldSize} waited {timeout.TotalSeconds:0.#} s in {call} for {lost}; the job ends."
            ),
            1
        );
    }

    public void Free()
    {
        fixed (nint* c = &_comm)
            if (_comm != 0)
                mpi.Check(mpi.FreeComm(c), "MPI_Comm_free");
        _comm = 0;
    }
}
