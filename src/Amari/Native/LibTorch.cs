using System.Collections.Concurrent;
using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>What a step needs of libtorch at nanoseconds a call, without allocating. Every handle is that of a TorchSharp tensor.</summary>
/// <remarks>
/// A handle is an <c>at::Tensor*</c>, and an <c>at::Tensor</c> is one word, its <c>TensorImpl*</c>. No call here takes or gives ownership:
/// the caller keeps the tensor alive, and disposes nothing that is returned. Handles must be valid; none is checked.
/// </remarks>
internal static unsafe partial class LibTorch
{
    private const string Library = "LibTorchSharp";

    // const at::Tensor& c10::TensorImpl::grad() const, and the one implementation that all undefined tensors share.
    private static readonly delegate* unmanaged[SuppressGCTransition]<nint, nint*> Grad = (delegate* unmanaged[SuppressGCTransition]<
        nint,
        nint*>)Export("_ZNK3c1010TensorImpl4gradEv");
    private static readonly nint Undefined = Export("_ZN3c1019UndefinedTensorImpl10_singletonE");

    // bool torch::autograd::get_current_graph_task_keep_graph(), as GCC and Clang, and as MSVC call it
    private static readonly delegate* unmanaged[SuppressGCTransition]<byte> KeepGraph = (delegate* unmanaged[SuppressGCTransition]<byte>)(
        Export("_ZN5torch8autograd33get_current_graph_task_keep_graphEv", "torch_cpu") is var found and not 0
            ? found
            : Export("?get_current_graph_task_keep_graph@autograd@torch@@YA_NXZ", "torch_cpu")
    );

    // One word a parameter, at a fixed address, for the systems whose compiler mangles those names otherwise (Windows).
    private static readonly ConcurrentDictionary<nint, nint> Cells = new();

    /// <summary>Whether the backward pass that calls keeps its graph, so that another may go through it; true where that is not known, and
    /// outside of one.</summary>
    public static bool KeepsGraph => KeepGraph == null || KeepGraph() != 0;

    /// <summary>The address of the first element (the storage offset included); 0 if the tensor has no storage, as a sparse one.</summary>
    public static nint DataPointer(nint tensor) => THSTensor_data(tensor);

    /// <summary>A handle of the tensor's gradient; 0 if there is none.</summary>
    /// <remarks>Borrowed from the tensor: valid until its gradient is replaced or released; never to be disposed.</remarks>
    public static nint Gradient(nint tensor)
    {
        if (Grad == null || Undefined == 0)
            return GradientByCopy(tensor);
        var gradient = Grad(*(nint*)tensor);
        return *gradient == Undefined ? 0 : (nint)gradient;
    }

    /// <summary>The same through TorchSharp's own export, which makes a tensor that we release, keeping the borrowed word.</summary>
    internal static nint GradientByCopy(nint tensor)
    {
        var owned = THSTensor_grad(tensor);
        if (owned == 0)
            return 0;
        var cell = (nint*)Cells.GetOrAdd(tensor, static _ => (nint)NativeMemory.AllocZeroed((nuint)sizeof(nint)));
        *cell = *(nint*)owned;
        THSTensor_dispose(owned);
        return (nint)cell;
    }

    /// <summary>Leaves the tensor without a gradient, as one that no backward pass has reached.</summary>
    public static void ReleaseGradient(nint tensor)
    {
        if (Gradient(tensor) != 0)
            THSTensor_set_grad(tensor, 0);
    }

    /// <summary>Whether backward passes give the tensor a gradient: not if it is frozen.</summary>
    public static bool RequiresGradient(nint tensor) => THSTensor_requires_grad(tensor) != 0;

    /// <summary>The element type.</summary>
    public static ScalarType Type(nint tensor) => (ScalarType)THSTensor_type(tensor);

    /// <summary>The kind of device that holds the elements.</summary>
    public static DeviceType Device(nint tensor) => (DeviceType)THSTensor_device_type(tensor);

    /// <summary>The number of elements.</summary>
    public static long Count(nint tensor) => THSTensor_numel(tensor);

    /// <summary>Whether the elements lie in row-major order without gaps; not to be asked of a sparse tensor.</summary>
    public static bool IsContiguous(nint tensor) => THSTensor_is_contiguous(tensor) != 0;

    /// <summary>Whether the tensor has the sparse coordinate layout.</summary>
    public static bool IsSparse(nint tensor) => THSTensor_is_sparse(tensor) != 0;

    /// <summary>The number of dimensions.</summary>
    public static long Dimensions(nint tensor) => THSTensor_ndimension(tensor);

    /// <summary>The size of a dimension, which may be counted from the last, -1.</summary>
    public static long Size(nint tensor, long dimension) => THSTensor_size(tensor, dimension);

    /// <summary>The number of the device among those of its kind.</summary>
    public static int DeviceIndex(nint tensor) => THSTensor_device_index(tensor);

    /// <summary>Another handle of the same tensor, which the caller owns; 0 if libtorch cannot give one.</summary>
    public static nint Share(nint tensor) => THSTensor_to_type(tensor, THSTensor_type(tensor), 0, 0);

    /// <summary>The same tensor, as one of TorchSharp's with a handle of its own.</summary>
    public static Tensor Shared(nint tensor) => Tensor.UnsafeCreateTensor(Share(tensor));

    private static nint Export(string symbol, string library = "c10") =>
        NativeLibrary.TryLoad(library, typeof(torch).Assembly, null, out var loaded)
        && NativeLibrary.TryGetExport(loaded, symbol, out var address)
            ? address
            : 0;

    [LibraryImport(Library), SuppressGCTransition]
    private static partial nint THSTensor_data(nint tensor);

    [LibraryImport(Library), SuppressGCTransition]
    private static partial sbyte THSTensor_type(nint tensor);

    [LibraryImport(Library), SuppressGCTransition]
    private static partial int THSTensor_device_type(nint tensor);

    [LibraryImport(Library), SuppressGCTransition]
    private static partial long THSTensor_numel(nint tensor);

    [LibraryImport(Library), SuppressGCTransition]
    private static partial byte THSTensor_is_contiguous(nint tensor);

    [LibraryImport(Library), SuppressGCTransition]
    private static partial byte THSTensor_is_sparse(nint tensor);

    [LibraryImport(Library), SuppressGCTransition]
    private static partial int THSTensor_requires_grad(nint tensor);

    [LibraryImport(Library), SuppressGCTransition]
    private static partial long THSTensor_ndimension(nint tensor);

    [LibraryImport(Library), SuppressGCTransition]
    private static partial long THSTensor_size(nint tensor, long dimension);

    [LibraryImport(Library), SuppressGCTransition]
    private static partial int THSTensor_device_index(nint tensor);

    // These allocate and free, so the garbage collector may run meanwhile.
    [LibraryImport(Library)]
    private static partial void THSTensor_set_grad(nint tensor, nint gradient);

    [LibraryImport(Library)]
    private static partial nint THSTensor_grad(nint tensor);

    [LibraryImport(Library)]
    private static partial nint THSTensor_to_type(nint tensor, sbyte type, byte copy, byte nonBlocking);

    [LibraryImport(Library)]
    private static partial void THSTensor_dispose(nint tensor);
}
