using System.Runtime.InteropServices;
using Amari.Native;
using TorchSharp;

namespace Amari.Tests.Native;

public sealed class LibTorchTests
{
    [Fact]
    public void Data_pointer_is_the_address_of_a_view_s_first_element()
    {
        using var x = torch.arange(12, dtype: torch.ScalarType.Float32);
        using var view = x.narrow(0, 5, 3);
        Assert.Equal([5, 6, 7], Elements(view.Handle));
    }

    [Fact]
    public void Gradient_is_absent_then_accumulates_then_is_replaced_or_absent_again()
    {
        using var w = torch.nn.Parameter(torch.arange(3, dtype: torch.ScalarType.Float32));
        AssertGradient(null, w);
        for (var round = 1; round <= 2; round++)
        {
            using (var loss = w.square().sum())
                loss.backward();
            AssertGradient([0, 2 * round, 4 * round], w);
        }
        w.grad = torch.ones(3);
        AssertGradient([1, 1, 1], w);
        w.grad = null;
        AssertGradient(null, w);
    }

    [Fact]
    public void A_tensor_that_needs_no_gradient_has_none()
    {
        using var x = torch.ones(3);
        AssertGradient(null, x);
    }

    [Fact]
    public void Describes_type_device_size_and_layout()
    {
        using var x = torch.ones([3, 4], dtype: torch.ScalarType.BFloat16);
        using var turned = x.t();
        using var sparse = x.to_sparse();
        Assert.Equal(
            (torch.ScalarType.BFloat16, DeviceType.CPU, 12L),
            (LibTorch.Type(x.Handle), LibTorch.Device(x.Handle), LibTorch.Count(x.Handle))
        );
        Assert.Equal((true, false), (LibTorch.IsContiguous(x.Handle), LibTorch.IsContiguous(turned.Handle)));
        Assert.Equal((false, true), (LibTorch.IsSparse(x.Handle), LibTorch.IsSparse(sparse.Handle)));
        Assert.Equal(0, LibTorch.DataPointer(sparse.Handle));
    }

    [Fact]
    public void Allocates_nothing()
    {
        using var w = torch.nn.Parameter(torch.ones(3));
        using (var loss = w.sum())
            loss.backward();
        long Allocated()
        {
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 1000; i++)
                Assert.True(LibTorch.DataPointer(LibTorch.Gradient(w.Handle)) != 0 && LibTorch.GradientByCopy(w.Handle) != 0);
            return GC.GetAllocatedBytesForCurrentThread() - before;
        }
        Allocated(); // compiles
        Assert.Equal(0, Allocated());
    }

    // Both ways must agree: the second is the one for systems without the C++ symbols.
    private static void AssertGradient(float[]? expected, torch.Tensor w)
    {
        foreach (var gradient in new[] { LibTorch.Gradient(w.Handle), LibTorch.GradientByCopy(w.Handle) })
            Assert.Equal(expected, gradient == 0 ? null : Elements(gradient));
    }

    private static float[] Elements(nint tensor)
    {
        var elements = new float[LibTorch.Count(tensor)];
        Marshal.Copy(LibTorch.DataPointer(tensor), elements, 0, elements.Length);
        return elements;
    }
}
