using System.Runtime.CompilerServices;

namespace Amari.Kernels;

/// <summary><see cref="Lion"/>: w ← (1 - η λ) w - η sign(β₁ m + (1 - β₁) g), then m ← β₂ m + (1 - β₂) g.</summary>
internal readonly struct LionKernel(Lion.Options o, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale, _keep = (float)(1 - o.LearningRate * o.WeightDecay), _rate = -(float)o.LearningRate;
    private readonly float _beta1 = (float)o.Beta1, _rest1 = (float)(1 - o.Beta1), _beta2 = (float)o.Beta2, _rest2 = (float)(1 - o.Beta2);

    public static int States => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Apply<L>(ref L w, L g, ref L m, ref L t) where L : struct, ILanes<L>
    {
        g *= _scale;
        w = L.Fma(_rate, L.Sign(L.Fma(_beta1, m, g * _rest1)), w * _keep);
        m = L.Fma(_beta2, m, g * _rest2);
    }
}
