using System.Runtime.CompilerServices;

namespace Amari.Kernels;

/// <summary><see cref="Adam"/>: g ← g + λ w, then the moments and w ← w - η m̂ / (√v̂ + ε).</summary>
internal readonly struct AdamKernel(Adam.Options o, long step, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale, _decay = (float)o.WeightDecay, _epsilon = (float)o.Epsilon;
    private readonly float _beta1 = (float)o.Beta1, _rest1 = (float)(1 - o.Beta1), _beta2 = (float)o.Beta2, _rest2 = (float)(1 - o.Beta2);
    private readonly float _rate = (float)(-o.LearningRate / (1 - Math.Pow(o.Beta1, step)));
    private readonly float _unbias2 = (float)(1 / (1 - Math.Pow(o.Beta2, step)));

    public static int States => 2;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Apply<L>(ref L w, L g, ref L m, ref L v) where L : struct, ILanes<L>
    {
        g = L.Fma(_decay, w, g * _scale);
        m = L.Fma(_beta1, m, g * _rest1);
        v = L.Fma(_beta2, v, g * g * _rest2);
        w = L.Fma(_rate, m / (L.Sqrt(v * _unbias2) + _epsilon), w);
    }
}
