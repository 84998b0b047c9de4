using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>libtorch's L-BFGS by the exports that <c>torch.optim.LBFGS</c> uses, without that class: it warns on standard error whenever it is
/// made, loses a tensor every evaluation, and lets an exception of the closure cross native frames, which ends the process.</summary>
internal static partial class NativeLbfgs
{
    private const string Library = "LibTorchSharp";
    private const double ChangeTolerance = 1e-9;                 // TorchSharp's default

    private delegate nint Closure();

    /// <summary>Iterates from an empty history until the limit or a tolerance; the parameters end where it got.</summary>
    /// <param name="parameters">Not owned.</param>
    /// <param name="rate">Factor of each step.</param>
    /// <param name="iterations">Most iterations; evaluations are at most a quarter more.</param>
    /// <param name="gradientTolerance">Largest gradient entry at which it stops.</param>
    /// <param name="history">Pairs kept.</param>
    /// <param name="evaluate">The loss, a scalar that the caller of this method need not dispose; leaves the parameters' <c>grad</c>. What it throws is thrown on.</param>
    public static unsafe void Run(IReadOnlyList<Parameter> parameters, double rate, int iterations, double gradientTolerance, int history, Func<Tensor> evaluate)
    {
        Tensor? loss = null;
        ExceptionDispatchInfo? failure = null;
        Closure closure = () =>
        {
            loss?.Dispose();
            try
            {
                loss = evaluate();
            }
            catch (Exception e)                                  // it must not cross native frames; without a gradient the iteration ends
            {
                failure ??= ExceptionDispatchInfo.Capture(e);
                foreach (var p in parameters)
                {
                    using var old = p.grad;
                    p.grad = zeros_like(p);
                }
                loss = zeros(1, dtype: parameters[0].dtype, device: parameters[0].device);
            }
            return loss.Handle;
        };
        nint[] handles = [.. parameters.Select(p => p.Handle)];
        nint optimizer, result;
        fixed (nint* first = handles) optimizer = THSNN_LBFGS_ctor((nint)first, handles.Length, rate, iterations, 5L * iterations / 4, gradientTolerance, ChangeTolerance, history);
        if (optimizer == 0) CheckForErrors();
        try
        {
            result = THSNN_Optimizer_step(optimizer, Marshal.GetFunctionPointerForDelegate(closure));
            GC.KeepAlive(closure);
            GC.KeepAlive(parameters);
        }
        finally
        {
            THSNN_Optimizer_dispose(optimizer);
            loss?.Dispose();
        }
        failure?.Throw();
        if (result == 0) CheckForErrors();
        else THSTensor_dispose(result);
    }

    [LibraryImport(Library)]
    private static partial nint THSNN_LBFGS_ctor(nint parameters, int length, double rate, long iterations, long evaluations, double gradientTolerance, double changeTolerance, long history);

    [LibraryImport(Library)]
    private static partial nint THSNN_Optimizer_step(nint optimizer, nint closure);

    [LibraryImport(Library)]
    private static partial void THSNN_Optimizer_dispose(nint optimizer);

    [LibraryImport(Library)]
    private static partial void THSTensor_dispose(nint tensor);
}
