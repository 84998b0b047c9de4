using System.Runtime.CompilerServices;
using Amari.Kernels;

namespace Amari.Optimizers;

/// <summary><see cref="Lion"/>: w ← (1 - η λ) w - η sign(β₁ m + (1 - β₁) g), then m ← β₂ m + (1 - β₂) g.</summary>
/// <remarks>Guarded, it takes gradients that are not usable (<see cref="GradientBound"/>) as 0 and marks their tensors, so that
/// <see cref="LionInverseKernel"/> can undo it.</remarks>
internal readonly struct LionKernel(Lion.Options o, double gradientScale, bool guarded = false) : IKernel
{
    private readonly float _scale = (float)gradientScale,
        _keep = (float)(1 - o.LearningRate * o.WeightDecay),
        _rate = -(float)o.LearningRate;
    private readonly float _beta1 = (float)o.Beta1,
        _rest1 = (float)(1 - o.Beta1),
        _beta2 = (float)o.Beta2,
        _rest2 = (float)(1 - o.Beta2);
    private readonly bool _guarded = guarded;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Chunk<L, T> x)
        where L : struct, ILanes<L>
        where T : unmanaged
    {
        L scale = _scale,
            keep = _keep,
            rate = _rate,
            beta1 = _beta1,
            rest1 = _rest1,
            beta2 = _beta2,
            rest2 = _rest2;
        L bound = GradientBound.Single,
            beyond = 0;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L g = x.G[i] * scale,
                m = x.M[i];
            if (_guarded)
                g = L.Within(g, bound, ref beyond);
            x.W[i] = L.Fma(rate, L.Sign(L.Fma(beta1, m, rest1 * g)), keep * x.W[i]);
            x.M[i] = L.Fma(beta2, m, rest2 * g);
        }
        if (_guarded)
            x.Mark(beyond);
    }
}

/// <summary>Undoes a guarded <see cref="LionKernel"/> to rounding, as <see cref="AdamWInverseKernel"/> does; where the step's direction was
/// 0 to rounding, its sign, and so η, may come back wrong.</summary>
internal readonly struct LionInverseKernel(Lion.Options o, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale,
        _rate = (float)o.LearningRate;
    private readonly float _keep = (float)(1 - o.LearningRate * o.WeightDecay);
    private readonly float _beta1 = (float)o.Beta1,
        _rest1 = (float)(1 - o.Beta1),
        _beta2 = (float)o.Beta2,
        _rest2 = (float)(1 - o.Beta2);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Chunk<L, T> x)
        where L : struct, ILanes<L>
        where T : unmanaged
    {
        L scale = _scale,
            keep = _keep,
            rate = _rate,
            beta1 = _beta1,
            rest1 = _rest1,
            beta2 = _beta2,
            rest2 = _rest2;
        L bound = GradientBound.Single,
            beyond = 0;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L g = L.Within(x.G[i] * scale, bound, ref beyond),
                m = (x.M[i] - rest2 * g) / beta2;
            x.M[i] = m;
            x.W[i] = L.Fma(rate, L.Sign(L.Fma(beta1, m, rest1 * g)), x.W[i]) / keep;
        }
    }
}
