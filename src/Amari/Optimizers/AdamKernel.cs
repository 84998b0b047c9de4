using System.Runtime.CompilerServices;
using Amari.Kernels;

namespace Amari.Optimizers;

/// <summary><see cref="Adam"/>: g ← g + λ w, then the moments and w ← w - η m̂ / (√v̂ + ε).</summary>
internal readonly struct AdamKernel(Adam.Options o, long step, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale,
        _decay = (float)(o.WeightDecay),
        _epsilon = (float)o.Epsilon;
    private readonly float _beta1 = (float)o.Beta1,
        _rest1 = (float)(1 - o.Beta1),
        _beta2 = (float)o.Beta2,
        _rest2 = (float)(1 - o.Beta2);
    private readonly float _rate = (float)(-o.LearningRate / (1 - Math.Pow(o.Beta1, step)));
    private readonly float _unbias = (float)(1 / Math.Sqrt(1 - Math.Pow(o.Beta2, step))); // of √v

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Chunk<L, T> x)
        where L : struct, ILanes<L>
        where T : unmanaged
    {
        L scale = _scale,
            decay = _decay,
            epsilon = _epsilon,
            rate = _rate,
            unbias = _unbias,
            beta1 = _beta1,
            rest1 = _rest1,
            beta2 = _beta2,
            rest2 = _rest2;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L w = x.W[i],
                g = L.Fma(decay, w, x.G[i] * scale);
            L m = L.Fma(beta1, x.M[i], rest1 * g),
                v = L.Fma(beta2, x.V[i], rest2 * g * g);
            x.M[i] = m;
            x.V[i] = v;
            x.W[i] = L.Fma(rate, m / L.Fma(L.Sqrt(v), unbias, epsilon), w);
        }
    }
}
