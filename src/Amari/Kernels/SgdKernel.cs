using System.Runtime.CompilerServices;

namespace Amari.Kernels;

/// <summary><see cref="Sgd"/> without momentum: w ← w - η (g + λ w).</summary>
internal readonly struct SgdKernel(Sgd.Options o, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale, _decay = (float)o.WeightDecay, _rate = -(float)o.LearningRate;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Piece<L, T> x) where L : struct, ILanes<L> where T : unmanaged
    {
        L scale = _scale, decay = _decay, rate = _rate;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            var w = x.W[i];
            x.W[i] = L.Fma(rate, L.Fma(decay, w, x.G[i] * scale), w);
        }
    }
}

/// <summary><see cref="Sgd"/> with momentum: b ← μ b + g + λ w, then w ← w - η b, or w - η (g + λ w + μ b) after Nesterov.</summary>
internal readonly struct SgdMomentumKernel(Sgd.Options o, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale, _decay = (float)o.WeightDecay, _rate = -(float)o.LearningRate;
    private readonly float _momentum = (float)o.Momentum;
    private readonly bool _nesterov = o.Nesterov;

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Piece<L, T> x) where L : struct, ILanes<L> where T : unmanaged
    {
        L scale = _scale, decay = _decay, rate = _rate, momentum = _momentum;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L w = x.W[i], g = L.Fma(decay, w, x.G[i] * scale), b = L.Fma(momentum, x.M[i], g);
            x.M[i] = b;
            x.W[i] = L.Fma(rate, _nesterov ? L.Fma(momentum, b, g) : b, w);
        }
    }
}
