using Amari.Kernels;
using Amari.Native;

namespace Amari.Optimizers;

/// <summary>Whether a gradient is finite, read by the kernels where they can, else by torch.</summary>
internal sealed class GradientCheck
{
    private readonly Sweep _sweep = new();

    /// <summary>Whether every entry of a parameter's gradient is at most <paramref name="bound"/> in magnitude; NaN is not. True without a
    /// gradient.</summary>
    /// <param name="parameter">Its gradient is only read.</param>
    /// <param name="bound">≥ 0.</param>
    /// <param name="row">What a sweep knows of the parameter.</param>
    public bool IsWithin(Parameter parameter, double bound, in SweepRow row = default)
    {
        nint handle = LibTorch.Gradient(parameter.Handle);
        if (handle == 0 || LibTorch.Count(handle) == 0)
            return true;
        _sweep.Clear();
        if (_sweep.TryAddGradient(row, handle))
            return _sweep.IsWithin(bound);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var gradient = parameter.grad!;
        return LargestMagnitude(gradient.is_sparse ? gradient.to_dense() : gradient) <= bound;
    }

    /// <summary>max |x|, NaN if there is one.</summary>
    /// <param name="x">Dense, with at least one element.</param>
    public static double LargestMagnitude(Tensor x)
    {
        using var scope = NewDisposeScope();
        return linalg.vector_norm(x, double.PositiveInfinity).to_type(ScalarType.Float64).ToDouble();
    }
}
