using System.Runtime.CompilerServices;

namespace Amari.Kernels;

/// <summary>Which entries of a gradient a step can take: those whose square is a number of the dtype that the state is computed in. NaN is
/// none of them.</summary>
internal static class GradientBound
{
    /// <summary>A little below the root of the largest float32: sums with decay stay finite too.</summary>
    public const float Single = 1.8e19f;

    /// <summary>The same of float64.</summary>
    public const double Double = 1.3e154;

    /// <summary>For a state of this dtype.</summary>
    public static double Of(ScalarType stateType) => stateType == ScalarType.Float64 ? Double : Single;
}

/// <summary>Marks the tensors whose gradient has an entry beyond a bound; writes nothing else.</summary>
internal readonly struct BoundKernel(double bound) : IKernel
{
    private readonly float _bound = (float)bound;

    public static bool TakesStates => false;

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public void Run<L, T, S>(Chunk<L, T, S> x)
        where L : struct, ILanes<L>
        where T : unmanaged
        where S : unmanaged
    {
        L bound = _bound,
            beyond = 0;
        for (long i = x.From; i < x.To; i += L.Width)
            L.Within(x.G[i], bound, ref beyond);
        x.Mark(beyond);
    }
}
