using System.Runtime.CompilerServices;
using Amari.Kernels;

namespace Amari.Optimizers;

/// <summary>The first half of cautious <see cref="AdamW"/>: the moments, and how many entries agree with the gradient.</summary>
internal readonly struct AdamWMomentsKernel(AdamW.Options o, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale;
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
            beta1 = _beta1,
            rest1 = _rest1,
            beta2 = _beta2,
            rest2 = _rest2,
            half = 0.5f,
            agreed = 0;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L g = x.G[i] * scale,
                m = L.Fma(beta1, x.M[i], rest1 * g),
                v = L.Fma(beta2, x.V[i], rest2 * g * g);
            x.M[i] = m;
            x.V[i] = v;
            L sign = L.Sign(m * g);
            agreed += L.Fma(sign, sign, sign) * half; // 1 where the sign is 1, else 0
        }
        x.Count(agreed);
    }
}

/// <summary>The second half: w ← (1 - η λ) w - η φ / mean(φ) m̂ / (√v̂ + ε), φ = 1 where m g > 0, else 0.</summary>
internal readonly struct CautiousAdamWKernel(AdamW.Options o, long step, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale,
        _keep = (float)(1 - o.LearningRate * o.WeightDecay),
        _epsilon = (float)o.Epsilon;
    private readonly float _rate = (float)(-o.LearningRate / (1 - Math.Pow(o.Beta1, step)));
    private readonly float _unbias = (float)(1 / Math.Sqrt(1 - Math.Pow(o.Beta2, step))); // of √v

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Chunk<L, T> x)
        where L : struct, ILanes<L>
        where T : unmanaged
    {
        L scale = _scale,
            keep = _keep,
            epsilon = _epsilon,
            unbias = _unbias,
            rate = 0.5f * _rate / x.Share;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L m = x.M[i],
                sign = L.Sign(m * (x.G[i] * scale));
            x.W[i] = L.Fma(rate * L.Fma(sign, sign, sign), m / L.Fma(L.Sqrt(x.V[i]), unbias, epsilon), keep * x.W[i]);
        }
    }
}
