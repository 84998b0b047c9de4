using System.Runtime.CompilerServices;

namespace Amari.Kernels;

/// <summary><see cref="Lion"/>: w ← (1 - η λ) w - η sign(β₁ m + (1 - β₁) g), then m ← β₂ m + (1 - β₂) g.</summary>
internal readonly struct LionKernel(Lion.Options o, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale, _keep = (float)(1 - o.LearningRate * o.WeightDecay), _rate = -(float)o.LearningRate;
    private readonly float _beta1 = (float)o.Beta1, _rest1 = (float)(1 - o.Beta1), _beta2 = (float)o.Beta2, _rest2 = (float)(1 - o.Beta2);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Run<L, T>(Piece<L, T> x) where L : struct, ILanes<L> where T : unmanaged
    {
        L scale = _scale, keep = _keep, rate = _rate, beta1 = _beta1, rest1 = _rest1, beta2 = _beta2, rest2 = _rest2;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L g = x.G[i] * scale, m = x.M[i];
            x.W[i] = L.Fma(rate, L.Sign(L.Fma(beta1, m, rest1 * g)), keep * x.W[i]);
            x.M[i] = L.Fma(beta2, m, rest2 * g);
        }
    }
}
