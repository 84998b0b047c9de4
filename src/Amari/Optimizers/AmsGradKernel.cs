using System.Runtime.CompilerServices;
using Amari.Kernels;

namespace Amari.Optimizers;

/// <summary><see cref="Adam"/> and <see cref="AdamW"/> with AMSGrad: the moments, u ← max(u, v), then
/// w ← (1 - η λ) w - η m̂ / (√û + ε), or with λ w in the gradient instead.</summary>
internal readonly struct AmsGradKernel : IKernel
{
    private readonly float _scale,
        _decay,
        _keep,
        _epsilon,
        _beta1,
        _rest1,
        _beta2,
        _rest2,
        _rate,
        _unbias;

    /// <summary>Of Adam.</summary>
    public AmsGradKernel(Adam.Options o, long step, double gradientScale)
        : this(o.LearningRate, o.Beta1, o.Beta2, o.Epsilon, step, gradientScale) => (_decay, _keep) = ((float)o.WeightDecay, 1);

    /// <summary>Of AdamW.</summary>
    public AmsGradKernel(AdamW.Options o, long step, double gradientScale)
        : this(o.LearningRate, o.Beta1, o.Beta2, o.Epsilon, step, gradientScale) => _keep = (float)(1 - o.LearningRate * o.WeightDecay);

    private AmsGradKernel(double rate, double beta1, double beta2, double epsilon, long step, double gradientScale)
    {
        (_scale, _epsilon) = ((float)gradientScale, (float)epsilon);
        (_beta1, _rest1, _beta2, _rest2) = ((float)beta1, (float)(1 - beta1), (float)beta2, (float)(1 - beta2));
        _rate = (float)(-rate / (1 - Math.Pow(beta1, step)));
        _unbias = (float)(1 / Math.Sqrt(1 - Math.Pow(beta2, step))); // of √u
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Chunk<L, T> x)
        where L : struct, ILanes<L>
        where T : unmanaged
    {
        L scale = _scale,
            decay = _decay,
            keep = _keep,
            epsilon = _epsilon,
            rate = _rate,
            unbias = _unbias;
        L beta1 = _beta1,
            rest1 = _rest1,
            beta2 = _beta2,
            rest2 = _rest2;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L w = x.W[i],
                g = L.Fma(decay, w, x.G[i] * scale);
            L m = L.Fma(beta1, x.M[i], rest1 * g),
                v = L.Fma(beta2, x.V[i], rest2 * g * g),
                u = L.Max(x.U[i], v);
            x.M[i] = m;
            x.V[i] = v;
            x.U[i] = u;
            x.W[i] = L.Fma(rate, m / L.Fma(L.Sqrt(u), unbias, epsilon), keep * w);
        }
    }
}
