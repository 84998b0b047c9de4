#pragma warning disable CA1822, CS9113 // placeholder, replaced by the kernels
namespace Amari.Kernels;

/// <summary>Placeholder for the interface; the kernel engineer owns this folder.</summary>
internal sealed class Sweep : IDisposable
{
    public int Count => 0;
    public int StateCount => 0;
    public void Clear() { }
    public bool TryAdd(ref SweepRow row, nint parameter, nint gradient, nint[] states) => false;
    public bool TryAddGradient(nint gradient) => false;
    public double SumOfSquares() => 0;
    public void Run<TKernel>(TKernel kernel) where TKernel : struct { }
    public void Dispose() { }
}
internal struct SweepRow;
internal readonly struct SgdKernel(Sgd.Options o, double scale);
internal readonly struct SgdMomentumKernel(Sgd.Options o, double scale);
internal readonly struct AdamKernel(Adam.Options o, long step, double scale);
internal readonly struct AdamWKernel(AdamW.Options o, long step, double scale);
internal readonly struct LionKernel(Lion.Options o, double scale);
