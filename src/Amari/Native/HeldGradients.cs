namespace Amari.Native;

/// <summary>What a backward pass of ours returned, alive until libtorch has taken it.</summary>
/// <remarks>TorchSharp hands the handles over and lets go of the tensors: with no dispose scope around, a garbage collection that another
/// thread starts frees them before they are read. A thread's next backward pass comes after.</remarks>
internal static class HeldGradients
{
    [ThreadStatic]
    private static List<Tensor>? _last;

    /// <summary>The same list.</summary>
    public static List<Tensor> Hold(List<Tensor> gradients) => _last = gradients;
}
