using System.Diagnostics;
using Amari.Native;

namespace Amari.Kernels;

/// <summary>Has libtorch's threads sleep when they have nothing to do, instead of spinning, while other processes want the cores.</summary>
/// <remarks>GNU's OpenMP spins for some milliseconds at each barrier, which is fastest on a machine of one's own. Where others want the
/// cores, the spinning threads use up their share before there is work for them, and a step takes a hundred times as long. The library
/// spins briefly by itself when it has more threads than there are processors. So a thread watches how long this process's threads wait to
/// run, five times a second, and while that is much, holds a few idle OpenMP threads. Results do not depend on it. Nothing is done where
/// <c>GOMP_SPINCOUNT</c> or <c>OMP_WAIT_POLICY</c> says how to wait, or where the system does not tell.</remarks>
internal static unsafe class IdleThreads
{
    private const double Much = 0.2,
        Little = 0.08; // shares of the time that threads were ready to run
    private const double Own = 0.85; // share of the processors; with more, threads wait for those of this process
    private const double LeastSeconds = 2e-3; // of waiting between two looks
    private const int Busy = 2,
        Quiet = 3; // looks, one after another, until threads sleep, and until they spin again
    private static readonly TimeSpan Interval = TimeSpan.FromMilliseconds(200);
    private static int _started;

    /// <summary>Whether threads sleep now.</summary>
    public static bool Sleep { get; private set; }

    /// <summary>Whether <see cref="Watch"/> was called.</summary>
    public static bool IsWatched => _started == 1;

    /// <summary>Begins to watch, once: what computes calls it in its type's constructor.</summary>
    public static void Watch()
    {
        if (
            TorchLibrary.Status.State == TorchLibraryState.Failed
            || Interlocked.Exchange(ref _started, 1) == 1
            || Environment.ProcessorCount == 1
            || !OpenMp.IsGnu
            || CpuTime.Sum() is null
            || Environment.GetEnvironmentVariable("GOMP_SPINCOUNT") is not null
            || Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is not null
        )
            return;
        new Thread(Run) { IsBackground = true, Name = "Amari: idle threads" }.Start();
    }

    private static void Run()
    {
        var last = CpuTime.Sum();
        long looked = Stopwatch.GetTimestamp();
        using var end = new ManualResetEventSlim();
        for (int busy = 0, quiet = 0; ; Thread.Sleep(Interval))
        {
            if (CpuTime.Sum() is not { } now)
                return;
            double ran = Math.Max(0, now.Ran - last!.Value.Ran),
                waited = Math.Max(0, now.Waited - last.Value.Waited);
            last = now;
            bool others = ran < Own * Environment.ProcessorCount * Stopwatch.GetElapsedTime(looked).TotalSeconds;
            looked = Stopwatch.GetTimestamp();
            double share = waited / Math.Max(ran + waited, LeastSeconds);
            quiet = share < Little ? quiet + 1 : 0;
            busy = others && share > Much && waited > LeastSeconds ? busy + 1 : 0;
            if (!Sleep && busy >= Busy && get_num_threads() > 1)
            {
                Sleep = true;
                end.Reset();
                new Thread(() => Hold(end)) { IsBackground = true, Name = "Amari: idle threads' holder" }.Start();
            }
            else if (Sleep && quiet >= Quiet)
            {
                Sleep = false;
                end.Set();
            }
        }
    }

    /// <summary>A pool of OpenMP threads belongs to the thread that made it, and ends with it.</summary>
    private static void Hold(ManualResetEventSlim end)
    {
        OpenMp.Run(Math.Max(2, OpenMp.Processors - get_num_threads() + 2), &Nothing, 0);
        end.Wait();
    }

    private static void Nothing(int thread, nint data) { }
}
