using System.Runtime.CompilerServices;
using Amari.Kernels;

namespace Amari.Optimizers;

/// <summary>The first half of cautious <see cref="Lion"/>: how many entries of the step agree with the gradient.</summary>
internal readonly struct LionAgreementKernel(Lion.Options o, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale,
        _beta1 = (float)o.Beta1,
        _rest1 = (float)(1 - o.Beta1);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Chunk<L, T> x)
        where L : struct, ILanes<L>
        where T : unmanaged
    {
        L scale = _scale,
            beta1 = _beta1,
            rest1 = _rest1,
            half = 0.5f,
            agreed = 0;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L g = x.G[i] * scale,
                sign = L.Sign(L.Sign(L.Fma(beta1, x.M[i], rest1 * g)) * g);
            agreed += L.Fma(sign, sign, sign) * half; // 1 where the sign is 1, else 0
        }
        x.Count(agreed);
    }
}

/// <summary>The second half: w ← (1 - η λ) w - η φ / mean(φ) sign(c), φ = 1 where c g > 0, else 0; then m ← β₂ m + (1 - β₂) g.</summary>
internal readonly struct CautiousLionKernel(Lion.Options o, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale,
        _keep = (float)(1 - o.LearningRate * o.WeightDecay),
        _rate = -(float)o.LearningRate;
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
            rate = 0.5f * _rate / x.Share,
            beta1 = _beta1,
            rest1 = _rest1,
            beta2 = _beta2,
            rest2 = _rest2;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L g = x.G[i] * scale,
                m = x.M[i],
                c = L.Sign(L.Fma(beta1, m, rest1 * g)),
                sign = L.Sign(c * g);
            x.W[i] = L.Fma(rate * L.Fma(sign, sign, sign), c, keep * x.W[i]);
            x.M[i] = L.Fma(beta2, m, rest2 * g);
        }
    }
}
