using Amari.Native;

namespace Amari.Tests.Native;

/// <summary>Large pages are asked for under large tensors only, and change nothing in them.</summary>
public sealed class NativeHeapTests
{
    [Fact]
    public void Large_tensors_get_large_pages_and_keep_their_numbers()
    {
        using var scope = NewDisposeScope();
        Tensor large = empty(20_000_000),
            small = empty(1000);
        Assert.Equal(Directory.Exists("/sys/kernel/mm/transparent_hugepage"), NativeHeap.UseLargePages(large));
        Assert.False(NativeHeap.UseLargePages(small));
        Assert.Equal(20_000_000, large.fill_(1).sum().ToDouble());
    }
}
