using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>Gives a tensor other data, of another element type if need be, under the same identity: whoever holds it, a native module too,
/// sees the new data. TorchSharp has no call for <c>tensor.data = other</c>; this goes through libtorch's stable C interface.</summary>
internal static unsafe class TensorData
{
    private static readonly nint Torch = NativeLibrary.Load("torch_cpu", typeof(torch).Assembly, null);
    private static readonly delegate* unmanaged<nint, nint*, int> NewHandle = (delegate* unmanaged<nint, nint*, int>)
        NativeLibrary.GetExport(Torch, "aoti_torch_new_tensor_handle");
    private static readonly delegate* unmanaged<byte*, byte*, ulong*, int> Call = (delegate* unmanaged<byte*, byte*, ulong*, int>)
        NativeLibrary.GetExport(Torch, "aoti_torch_call_dispatcher");

    /// <summary>tensor ← the data of <paramref name="data"/>, shared with it; shapes may differ, devices may not.</summary>
    /// <exception cref="InvalidOperationException">libtorch refused.</exception>
    public static void Set(Tensor tensor, Tensor data)
    {
        nint self,
            other;
        if (NewHandle(tensor.Handle, &self) != 0 || NewHandle(data.Handle, &other) != 0)
            throw new InvalidOperationException("libtorch gave no handle of a tensor.");
        ulong* stack = stackalloc ulong[2] { (ulong)self, (ulong)other }; // the call takes ownership of both
        fixed (
            byte* name = "aten::set_data\0"u8,
                overload = "\0"u8
        )
            if (Call(name, overload, stack) != 0)
                throw new InvalidOperationException("libtorch could not replace the data of a tensor.");
        GC.KeepAlive(tensor);
        GC.KeepAlive(data);
    }
}
