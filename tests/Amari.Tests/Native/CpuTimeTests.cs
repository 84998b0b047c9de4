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
}
