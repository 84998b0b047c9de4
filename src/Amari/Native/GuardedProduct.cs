using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>TorchSharp's <c>matmul</c> with errors that are exceptions.</summary>
/// <remarks>The native function of TorchSharp 0.107 has no catch: types or widths that do not fit, or a result beyond memory, end the
/// process. Here (<see cref="Diversion"/>) vectors and matrices go to the functions that libtorch takes for them itself, and which have
/// one: <c>dot</c>, <c>mv</c>, <c>mm</c>. Others go to the native function if it cannot fail. If it might, as for a large result, they go
/// to libtorch's own <c>matmul</c> through TorchScript, which throws. The numbers are the same, bit for bit. A call takes 0.1 µs more, and
/// through TorchScript some microseconds.</remarks>
internal static unsafe partial class GuardedProduct
{
    private const string Library = "LibTorchSharp";
    private const double Small = 1 << 20; // elements, of the result and of the copies that broadcasting takes

    private static nint _original;

    /// <summary>Puts it in the place of the native function; once.</summary>
    /// <returns>Why it cannot be, in words that follow "because"; null where it is.</returns>
    public static string? TryInstall()
    {
        using var x = zeros(1, device: CPU).DetachFromDisposeScope();
        if (typeof(Tensor).GetMethod("matmul", [typeof(Tensor)]) is not { } method)
            return "its tensors have no such matmul"; // by its name: Amari calls it nowhere else
        var product = method.CreateDelegate<Func<Tensor, Tensor, Tensor>>();
        return Diversion.TryPut(
            "IntPtr THSTensor_matmul(IntPtr, IntPtr)",
            (nint)(delegate* unmanaged<nint, nint, nint>)&Product,
            () => product(x, x).Dispose(),
            out _original
        );
    }

    [UnmanagedCallersOnly]
    private static nint Product(nint a, nint b)
    {
        Diversion.Calls++;
        var (left, right) = (LibTorch.Dimensions(a), LibTorch.Dimensions(b));
        return (left, right) switch
        {
            (2, 2) => THSTensor_mm(a, b),
            (2, 1) => THSTensor_mv(a, b),
            (1, 1) => THSTensor_dot(a, b),
            _ => IsSafe(a, left, b, right) ? ((delegate* unmanaged<nint, nint, nint>)_original)(a, b) : Guarded(a, b),
        };
    }

    /// <summary>Whether the native function cannot fail: the types, devices and shapes fit, and little memory is taken.</summary>
    private static bool IsSafe(nint a, long left, nint b, long right)
    {
        if (
            left == 0
            || right == 0
            || LibTorch.Type(a) is not (ScalarType.Float32 or ScalarType.Float64 or ScalarType.BFloat16 or ScalarType.Float16)
        )
            return false;
        if (
            LibTorch.Type(b) != LibTorch.Type(a)
            || LibTorch.Device(b) != LibTorch.Device(a)
            || LibTorch.DeviceIndex(b) != LibTorch.DeviceIndex(a)
        )
            return false;
        if (!TensorHeader.IsKnown || !TensorHeader.AreAlike(a, b))
            return false;
        if (LibTorch.DataPointer(a) == 0 || LibTorch.DataPointer(b) == 0)
            return false; // sparse, or empty
        long inner = LibTorch.Size(a, -1),
            rows = left == 1 ? 1 : LibTorch.Size(a, -2),
            columns = right == 1 ? 1 : LibTorch.Size(b, -1);
        if (inner != LibTorch.Size(b, right == 1 ? -1 : -2))
            return false;
        double products = 1;
        for (long i = 3; i <= Math.Max(left, right); i++)
        {
            long m = i <= left ? LibTorch.Size(a, -i) : 1,
                n = i <= right ? LibTorch.Size(b, -i) : 1;
            if (m != n && m != 1 && n != 1)
                return false;
            products *= Math.Max(m, n);
        }
        return products * ((double)rows * inner + (double)inner * columns + (double)rows * columns) <= Small;
    }

    private static nint Guarded(nint a, nint b)
    {
        try
        {
            using var scope = NewDisposeScope();
            return LibTorch.Share(TensorProducts.Scripted(LibTorch.Shared(a), LibTorch.Shared(b)).Handle);
        }
        catch (Exception e)
        {
            NativeError.Set(DerivativeFailure.Reason(e.Message));
            return 0;
        }
    }

    [LibraryImport(Library)]
    private static partial nint THSTensor_mm(nint a, nint b);

    [LibraryImport(Library)]
    private static partial nint THSTensor_mv(nint a, nint b);

    [LibraryImport(Library)]
    private static partial nint THSTensor_dot(nint a, nint b);
}
