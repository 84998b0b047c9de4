using System.Diagnostics;
using System.Runtime.InteropServices;
using Amari.Native;
using Amari.Verification;

namespace Amari.Distributed;

/// <summary>Ends the job if a rank's process is stopped. Each rank signals the next one twice a second from its own thread.</summary>
/// <remarks>A rank that computes, evaluates, compiles or writes for a long time keeps signalling, and the others wait for it (see
/// <see cref="MpiWatch"/>). A rank with a debugger attached says so and may then be silent for any time. Time in which this process itself
/// was stopped does not count. The thread ends once both neighbours have announced that they leave, so that no message is left over. It
/// needs an MPI library that supports calls from several threads.</remarks>
internal sealed unsafe class MpiHeartbeat : IDisposable
{
    private const int Tag = 11;
    private static readonly TimeSpan Beat = TimeSpan.FromSeconds(0.5),
        MaxAbortTime = TimeSpan.FromSeconds(3);
    private readonly MpiLibrary _mpi;
    private readonly int _rank,
        _size;
    private readonly TimeSpan _limit;
    private readonly Thread _thread;

    // Sent and received; never freed, because a message may be in transit when the process ends.
    private readonly long* _words = (long*)NativeMemory.AllocZeroed(2, sizeof(long));
    private readonly ManualResetEventSlim _leaving = new();
    private nint _comm;
    private volatile bool _exiting;

    private enum Word : long
    {
        Alive = 1,
        Debugged,
        Leaving,
    }

    /// <param name="mpi">The library, initialised for several threads.</param>
    /// <param name="comm">A communicator over all ranks, for this class only; owned.</param>
    /// <param name="rank">This rank.</param>
    /// <param name="size">Number of ranks, ≥ 2.</param>
    /// <param name="limit">How long a rank may be silent.</param>
    public MpiHeartbeat(MpiLibrary mpi, nint comm, int rank, int size, TimeSpan limit)
    {
        (_mpi, _comm, _rank, _size, _limit) = (mpi, comm, rank, size, limit);
        AppDomain.CurrentDomain.ProcessExit += Exit;
        _thread = new(Run) { IsBackground = true, Name = "Amari: ranks' heartbeat" };
        _thread.Start();
    }

    private int Next => (_rank + 1) % _size;

    private int Previous => (_rank + _size - 1) % _size;

    /// <summary>Announces that this rank leaves, and returns when the previous rank has too.</summary>
    public void Dispose()
    {
        AppDomain.CurrentDomain.ProcessExit -= Exit;
        _leaving.Set();
        _thread.Join();
        _leaving.Dispose();
        fixed (nint* comm = &_comm)
            _mpi.Check(_mpi.FreeComm(comm), "MPI_Comm_free");
    }

    /// <summary>Stops calling MPI when the process ends without leaving.</summary>
    private void Exit(object? sender, EventArgs e)
    {
        _exiting = true;
        _leaving.Set();
        _thread.Join(4 * Beat);
    }

    private void Run()
    {
        nint sending = 0,
            receiving = 0;
        bool sends = false,
            hasLeft = false,
            expects = Receive(ref receiving);
        var heard = Word.Alive;
        var silence = TimeSpan.Zero;
        for (long last = Stopwatch.GetTimestamp(); !_exiting && (sends || expects || !hasLeft); )
        {
            if (sends && IsDone(ref sending))
                sends = false;
            if (!sends && !hasLeft)
            {
                hasLeft = _leaving.IsSet;
                _words[0] = (long)(
                    hasLeft ? Word.Leaving
                    : Debugger.IsAttached ? Word.Debugged
                    : Word.Alive
                );
                sends = Ok(_mpi.ISend((nint)_words, sizeof(long), _mpi.Abi.Byte, Next, Tag, _comm, &sending));
            }
            while (expects && IsDone(ref receiving))
            {
                (heard, silence) = ((Word)_words[1], TimeSpan.Zero);
                expects = heard != Word.Leaving && Receive(ref receiving);
            }
            if (hasLeft)
                Thread.Sleep(5);
            else
                _leaving.Wait(Beat);
            long now = Stopwatch.GetTimestamp();
            silence += TimeSpan.FromTicks(Math.Min(Stopwatch.GetElapsedTime(last, now).Ticks, 2 * Beat.Ticks));
            last = now;
            if (expects && heard == Word.Alive && silence > _limit)
                End();
        }
    }

    private bool Receive(ref nint request)
    {
        fixed (nint* r = &request)
            return Ok(_mpi.IReceive((nint)(_words + 1), sizeof(long), _mpi.Abi.Byte, Previous, Tag, _comm, r));
    }

    private bool IsDone(ref nint request)
    {
        int done = 0;
        fixed (nint* r = &request)
            return Ok(_mpi.Test(r, &done, _mpi.Abi.StatusIgnore)) && done != 0;
    }

    // A failure here also occurs in the collectives, which report it.
    private static bool Ok(int code) => code == 0;

    private void End()
    {
        Console.Error.WriteLine(
            string.Create(
                System.Globalization.CultureInfo.InvariantCulture,
                $"Rank {_rank} of {_size} has heard nothing from rank {Previous} for {_limit.TotalSeconds:0.#} s: its process or "
                    + $"the network has stopped; the job ends."
            )
        );
        Console.Error.Flush();
        var end = new Thread(() => _mpi.AbortJob(_mpi.Abi.World, 1)) { IsBackground = true }; // may wait for the stopped rank
        end.Start();
        end.Join(MaxAbortTime);
        HardExit.Now(1);
    }
}
