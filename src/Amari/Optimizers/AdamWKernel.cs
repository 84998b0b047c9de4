using System.Runtime.CompilerServices;
using Amari.Kernels;

namespace Amari.Optimizers;

/// <summary><see cref="AdamW"/>: the moments, then w ← (1 - η λ) w - η m̂ / (√v̂ + ε).</summary>
/// <remarks>Guarded, it takes gradients that are not usable (<see cref="GradientBound"/>) as 0 and marks their tensors, so that
/// <see cref="AdamWInverseKernel"/> can undo it.</remarks>
internal readonly struct AdamWKernel(AdamW.Options o, long step, double gradientScale, bool guarded = false) : IKernel
{
    private readonly float _scale = (float)gradientScale,
        _keep = (float)(1 - o.LearningRate * o.WeightDecay),
        _epsilon = (float)o.Epsilon;
    private readonly float _beta1 = (float)o.Beta1,
        _rest1 = (float)(1 - o.Beta1),
        _beta2 = (float)o.Beta2,
        _rest2 = (float)(1 - o.Beta2);
    private readonly float _rate = (float)(-o.LearningRate / (1 - Math.Pow(o.Beta1, step)));
    private readonly float _unbias = (float)(1 / Math.Sqrt(1 - Math.Pow(o.Beta2, step))); // of √v
    private readonly bool _guarded = guarded;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Chunk<L, T> x)
        where L : struct, ILanes<L>
        where T : unmanaged
    {
        L scale = _scale,
            keep = _keep,
            epsilon = _epsilon,
            rate = _rate,
            unbias = _unbias;
        L beta1 = _beta1,
            rest1 = _rest1,
            beta2 = _beta2,
            rest2 = _rest2;
        L bound = GradientBound.Single,
            beyond = 0;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L g = x.G[i] * scale;
            if (_guarded)
                g = L.Within(g, bound, ref beyond);
            L m = L.Fma(beta1, x.M[i], rest1 * g),
                v = L.Fma(beta2, x.V[i], rest2 * g * g);
            x.M[i] = m;
            x.V[i] = v;
            x.W[i] = L.Fma(rate, m / L.Fma(L.Sqrt(v), unbias, epsilon), keep * x.W[i]);
        }
        if (_guarded)
            x.Mark(beyond);
    }
}

/// <summary>Undoes a guarded <see cref="AdamWKernel"/> to rounding: each number comes back to within a unit in the last place of the larger
/// of itself and what the step added to it.</summary>
/// <remarks>The products of the gradient are rounded as in the step, so that what they swamped comes back as 0 and never as their rounding
/// error.</remarks>
internal readonly struct AdamWInverseKernel(AdamW.Options o, long step, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale,
        _keep = (float)(1 - o.LearningRate * o.WeightDecay),
        _epsilon = (float)o.Epsilon;
    private readonly float _beta1 = (float)o.Beta1,
        _rest1 = (float)(1 - o.Beta1),
        _beta2 = (float)o.Beta2,
        _rest2 = (float)(1 - o.Beta2);
    private readonly float _rate = (float)(o.LearningRate / (1 - Math.Pow(o.Beta1, step)));
    private readonly float _unbias = (float)(1 / Math.Sqrt(1 - Math.Pow(o.Beta2, step))); // of √v

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Chunk<L, T> x)
        where L : struct, ILanes<L>
        where T : unmanaged
    {
        L scale = _scale,
            keep = _keep,
            epsilon = _epsilon,
            rate = _rate,
            unbias = _unbias;
        L beta1 = _beta1,
            rest1 = _rest1,
            beta2 = _beta2,
            rest2 = _rest2;
        L bound = GradientBound.Single,
            beyond = 0;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L g = L.Within(x.G[i] * scale, bound, ref beyond),
                m = x.M[i],
                v = x.V[i];
            x.W[i] = L.Fma(rate, m / L.Fma(L.Sqrt(v), unbias, epsilon), x.W[i]) / keep;
            x.M[i] = (m - rest1 * g) / beta1;
            x.V[i] = (v - rest2 * g * g) / beta2;
        }
    }
}
