using Amari.Native;

namespace Amari.Tests.Native;

public sealed class ScalarReleaseTests
{
    [Fact]
    public void Numbers_outlive_the_calls_that_read_them_while_another_thread_collects()
    {
        bool done = false;
        var collector = new Thread(() =>
        {
            while (!Volatile.Read(ref done))
            {
                GC.Collect(0);
                GC.WaitForPendingFinalizers();
            }
        });
        collector.Start();
        try
        {
            using var x = ones(64, 64);
            for (int i = 0; i < 20_000; i++) // within a second one of these throws where numbers are freed at once
            {
                x.mul_(1.5);
                x.add_(x, alpha: -1.0 / 3);
            }
            using var sum = x.sum();
            Assert.Equal(4096, sum.ToDouble(), 1.0);
        }
        finally
        {
            Volatile.Write(ref done, true);
            collector.Join();
        }
    }

    [Fact]
    public void They_are_freed_a_second_later()
    {
        Assert.True(ScalarRelease.IsDelayed);
        GC.Collect(); // the numbers of earlier tests
        GC.WaitForPendingFinalizers();
        for (int i = 0; i < 1000; i++)
            ((Scalar)i).Dispose();
        Assert.InRange(ScalarRelease.Count, 1000, int.MaxValue);
        Thread.Sleep(1100);
        ((Scalar)0).Dispose();
        Assert.InRange(ScalarRelease.Count, 1, 100);
    }
}
