using Amari.Native;

namespace Amari.Tests.Native;

public sealed class TensorElementsTests
{
    [Fact]
    public void Are_a_copy_in_row_major_order_of_any_layout_and_type()
    {
        using var scope = NewDisposeScope();
        var t = arange(6, dtype: ScalarType.Float32).reshape(2, 3);
        Assert.Equal([0, 1, 2, 3, 4, 5], t.Elements<float>());
        Assert.Equal([0, 3, 1, 4, 2, 5], t.t().Elements<double>());
        Assert.Equal([0, 2, 3, 5], t.index(TensorIndex.Colon, TensorIndex.Slice(step: 2)).Elements<long>());
        Assert.Equal([1.5], tensor(1.5).to_type(ScalarType.BFloat16).requires_grad_().Elements<double>());
        Assert.Empty(zeros(0, 3).Elements<float>());
        Assert.Contains("not Int32", Assert.Throws<ArgumentException>(() => t.Elements<int>()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Are_right_for_a_tensor_that_nothing_holds_while_garbage_is_collected()
    {
        using var t = ones(100_003);
        using var stop = new CancellationTokenSource();
        var collector = new Thread(() =>
        {
            while (!stop.IsCancellationRequested)
            {
                GC.Collect(0);
                GC.WaitForPendingFinalizers();
            }
        });
        collector.Start();
        try
        {
            for (int i = 0; i < 200; i++)
                Assert.True(t.add(1).Elements<double>().All(x => x == 2));
        }
        finally
        {
            stop.Cancel();
            collector.Join();
        }
    }
}
