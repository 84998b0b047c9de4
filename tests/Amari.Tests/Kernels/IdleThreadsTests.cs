using System.Diagnostics;
using Amari.Curvature;
using Amari.Kernels;
using Amari.Native;
using Amari.Solvers;

namespace Amari.Tests.Kernels;

/// <summary>Threads of libtorch sleep where others want the cores, whatever of the library is used.</summary>
public sealed class IdleThreadsTests
{
    [Fact]
    public async Task Operators_objectives_and_optimizers_begin_to_watch()
    {
        switch (Processes.Alone)
        {
            case null:
                foreach (string part in (string[])["operator", "objective", "optimizer"])
                    await Processes.RunAlone(typeof(IdleThreadsTests), part);
                break;
            case "operator":
                Uses(() => LinearOperator.FromFunction(2, ScalarType.Float32, v => v));
                break;
            case "objective":
                Uses(() => new Objective(nn.Linear(2, 2), new Gaussian(), [(randn(3, 2), randn(3, 2))]));
                break;
            case "optimizer":
                Uses(() => new AdamW(nn.Linear(2, 2)));
                break;
        }

        static void Uses(Func<object> use)
        {
            Assert.False(IdleThreads.IsWatched);
            use();
            Assert.True(IdleThreads.IsWatched);
        }
    }

    [Fact]
    public void Waiting_for_processors_is_seen_and_idle_threads_sleep_then()
    {
        Assert.SkipUnless(Processes.Alone is null, "another test is run alone");
        Assert.SkipUnless(
            CpuTime.Sum() is not null && Environment.ProcessorCount > 1 && get_num_threads() > 1 && OpenMp.IsGnu,
            "the system does not tell, or there is nobody to wait for"
        );
        Assert.SkipWhen(
            Environment.GetEnvironmentVariable("GOMP_SPINCOUNT") is not null
                || Environment.GetEnvironmentVariable("OMP_WAIT_POLICY") is not null,
            "the user has said how to wait"
        );
        var neighbours = Enumerable
            .Range(0, 2 * Environment.ProcessorCount)
            .Select(_ => Process.Start(new ProcessStartInfo("sh", ["-c", "while :; do :; done"]))!)
            .ToList();
        try
        {
            IdleThreads.Watch();
            using var a = randn(400, 400);
            for (var clock = Stopwatch.StartNew(); !IdleThreads.Sleep; )
            {
                Assert.InRange(clock.Elapsed.TotalSeconds, 0, 30);
                using var product = a.mm(a);
            }
        }
        finally
        {
            neighbours.ForEach(p =>
            {
                p.Kill();
                p.Dispose();
            });
        }
    }
}
