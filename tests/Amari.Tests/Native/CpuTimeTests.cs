using System.Diagnostics;
using Amari.Kernels;
using Amari.Native;

namespace Amari.Tests.Native;

public sealed class CpuTimeTests
{
    [Fact]
    public void What_a_thread_computes_is_counted()
    {
        var before = CpuTime.Now;
        var clock = Stopwatch.StartNew();
        while ((CpuTime.Now.Ran - before.Ran) < 0.2)
            Assert.InRange(clock.Elapsed.TotalSeconds, 0, 60);
        Assert.InRange(CpuTime.Now.Ran - before.Ran, 0.2, Environment.ProcessorCount * clock.Elapsed.TotalSeconds + 0.1);
    }

    [Fact]
    public void Waiting_for_processors_is_seen_and_idle_threads_sleep_then()
    {
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
