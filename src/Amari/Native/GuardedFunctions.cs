using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>TorchSharp's <c>autograd.grad</c>, <c>cummax</c>, <c>cummin</c> and <c>set_rng_state</c> with errors that are exceptions: its
/// native functions have no catch.</summary>
/// <remarks>Where they could fail, as a derivative always can, the same functions of libtorch are called through TorchScript, which throws
/// (<see cref="ReverseMode"/>); a random state is checked first.</remarks>
internal static unsafe class GuardedFunctions
{
    // An error in this text would end the process, and so would a missing end of line.
    private static readonly Lazy<jit.CompilationUnit> Unit = new(() =>
        jit.compile(
            """
            def cummax(x, dimension: int):
                return torch.cummax(x, dimension)

            def cummin(x, dimension: int):
                return torch.cummin(x, dimension)

            """
        )
    );

    private const long Small = 1 << 20; // elements
    private static nint _setState,
        _cummax,
        _cummin;

    /// <summary>Whether derivatives that users take by <c>autograd.grad</c> come here.</summary>
    public static bool SeesDerivatives { get; private set; }

    /// <summary>Puts them in the place of the native functions; once.</summary>
    /// <returns>Why one cannot be, in words that follow "because"; null where all are.</returns>
    public static string? TryInstall()
    {
        string? reason = Install();
        SeesDerivatives = reason is null;
        return reason;
    }

    private static string? Install()
    {
        using var generator = new Generator(0);
        using var state = generator.get_state();
        return Diversion.TryPut(
                "Void THSGenerator_set_rng_state(IntPtr, IntPtr)",
                (nint)(delegate* unmanaged<nint, nint, void>)&SetState,
                () => generator.set_state(state),
                out _setState
            )
            ?? Diversion.TryPut(
                "Void THSTensor_cummax(IntPtr, TorchSharp.AllocatePinnedArray, Int64)",
                (nint)(delegate* unmanaged<nint, delegate* unmanaged<nint, nint*>, long, void>)&Cummax,
                null,
                out _cummax
            )
            ?? Diversion.TryPut(
                "Void THSTensor_cummin(IntPtr, TorchSharp.AllocatePinnedArray, Int64)",
                (nint)(delegate* unmanaged<nint, delegate* unmanaged<nint, nint*>, long, void>)&Cummin,
                null,
                out _cummin
            )
            ?? Diversion.TryPut(
                "Void THSAutograd_grad(IntPtr, Int64, IntPtr, Int64, IntPtr, Int64, Boolean, Boolean, Boolean, "
                    + "TorchSharp.AllocatePinnedArray)",
                (nint)
                    (delegate* unmanaged<nint*, long, nint*, long, nint*, long, byte, byte, byte, delegate* unmanaged<nint, nint*>, void>)
                        &Gradient,
                null,
                out _
            );
    }

    [UnmanagedCallersOnly]
    private static void SetState(nint generator, nint state)
    {
        Diversion.Calls++;
        try
        {
            using var scope = NewDisposeScope();
            if (state == 0)
                throw new ArgumentNullException(nameof(state), "There is no random state.");
            RandomState.Require(nameof(state), LibTorch.Shared(state));
            ((delegate* unmanaged<nint, nint, void>)_setState)(generator, state);
        }
        catch (Exception e)
        {
            NativeError.Set(e.Message);
        }
    }

    [UnmanagedCallersOnly]
    private static void Cummax(nint x, delegate* unmanaged<nint, nint*> allocate, long dimension) =>
        Extremes("cummax", _cummax, x, allocate, dimension);

    [UnmanagedCallersOnly]
    private static void Cummin(nint x, delegate* unmanaged<nint, nint*> allocate, long dimension) =>
        Extremes("cummin", _cummin, x, allocate, dimension);

    [UnmanagedCallersOnly]
    private static void Gradient(
        nint* outputs,
        long outputCount,
        nint* inputs,
        long inputCount,
        nint* cotangents,
        long cotangentCount,
        byte keep,
        byte create,
        byte unused,
        delegate* unmanaged<nint, nint*> allocate
    ) =>
        Run(
            allocate,
            () =>
                ReverseMode.Invoke(
                    Shared(outputs, outputCount),
                    Shared(inputs, inputCount),
                    Shared(cotangents, cotangentCount),
                    keep != 0,
                    create != 0,
                    unused != 0
                )
        );

    private static void Extremes(string function, nint original, nint x, delegate* unmanaged<nint, nint*> allocate, long dimension)
    {
        long dimensions = Math.Max(1, LibTorch.Dimensions(x));
        if (
            dimension >= -dimensions
            && dimension < dimensions
            && LibTorch.Type(x) is ScalarType.Float32 or ScalarType.Float64
            && LibTorch.DataPointer(x) != 0
            && LibTorch.Count(x) <= Small
        )
        {
            ((delegate* unmanaged<nint, delegate* unmanaged<nint, nint*>, long, void>)original)(x, allocate, dimension);
            return;
        }
        Run(
            allocate,
            () =>
            {
                var (values, indices) = ((Tensor, Tensor))Unit.Value.invoke(function, LibTorch.Shared(x), dimension);
                return [values, indices];
            }
        );
    }

    private static Tensor[] Shared(nint* tensors, long count) =>
        [.. new ReadOnlySpan<nint>(tensors, (int)count).ToArray().Select(LibTorch.Shared)];

    /// <summary>Writes what a function returns where TorchSharp wants it.</summary>
    private static void Run(delegate* unmanaged<nint, nint*> allocate, Func<IReadOnlyList<Tensor?>> function)
    {
        try
        {
            using var scope = NewDisposeScope();
            var results = function();
            nint* handles = allocate(results.Count);
            for (int i = 0; i < results.Count; i++)
                handles[i] = results[i] is { } result ? LibTorch.Share(result.Handle) : 0;
        }
        catch (Exception e)
        {
            NativeError.Set(DerivativeFailure.Reason((e.InnerException ?? e).Message));
        }
    }
}
