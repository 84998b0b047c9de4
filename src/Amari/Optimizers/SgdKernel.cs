using System.Runtime.CompilerServices;
using Amari.Kernels;

namespace Amari.Optimizers;

/// <summary><see cref="Sgd"/> without momentum: w ← w - η (g + λ w), also where the decay is decoupled.</summary>
internal readonly struct SgdKernel(Sgd.Options o, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale,
        _decay = (float)o.WeightDecay,
        _rate = -(float)o.LearningRate;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Chunk<L, T> x)
        where L : struct, ILanes<L>
        where T : unmanaged
    {
        L scale = _scale,
            decay = _decay,
            rate = _rate;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            var w = x.W[i];
            x.W[i] = L.Fma(rate, L.Fma(decay, w, x.G[i] * scale), w);
        }
    }
}

/// <summary><see cref="Sgd"/> with momentum: b ← μ b + (1 - τ) (g + λ w), then w ← w - η b, or w - η (g + λ w + μ b) after Nesterov; with a
/// decoupled decay w ← (1 - η λ) w - ..., without λ in the rest.</summary>
internal readonly struct SgdMomentumKernel(Sgd.Options o, long step, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale,
        _decay = o.DecoupledDecay ? 0 : (float)o.WeightDecay,
        _rate = -(float)o.LearningRate;
    private readonly float _keep = o.DecoupledDecay ? (float)(1 - o.LearningRate * o.WeightDecay) : 1;
    private readonly float _momentum = (float)o.Momentum,
        _rest = (float)(1 - Sgd.Dampening(step, o));
    private readonly bool _nesterov = o.Nesterov;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Chunk<L, T> x)
        where L : struct, ILanes<L>
        where T : unmanaged
    {
        L scale = _scale,
            decay = _decay,
            rate = _rate,
            keep = _keep,
            momentum = _momentum,
            rest = _rest;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L w = x.W[i],
                g = L.Fma(decay, w, x.G[i] * scale),
                b = L.Fma(momentum, x.M[i], rest * g);
            x.M[i] = b;
            x.W[i] = L.Fma(rate, _nesterov ? L.Fma(momentum, b, g) : b, keep * w);
        }
    }
}
