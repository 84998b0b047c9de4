using System.Runtime.CompilerServices;

namespace Amari.Kernels;

/// <summary><see cref="Sgd"/> without momentum: w ← w - η (g + λ w).</summary>
internal readonly struct SgdKernel(Sgd.Options o, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale, _decay = (float)o.WeightDecay, _rate = -(float)o.LearningRate;

    public static int States => 0;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Apply<L>(ref L w, L g, ref L s, ref L t) where L : struct, ILanes<L> =>
        w = L.Fma(_rate, L.Fma(_decay, w, g * _scale), w);
}

/// <summary><see cref="Sgd"/> with momentum: b ← μ b + g + λ w, w ← w - η b, or w - η (g + λ w + μ b) after Nesterov.</summary>
internal readonly struct SgdMomentumKernel(Sgd.Options o, double gradientScale) : IKernel
{
    private readonly float _scale = (float)gradientScale, _decay = (float)o.WeightDecay, _rate = -(float)o.LearningRate;
    private readonly float _momentum = (float)o.Momentum;
    private readonly bool _nesterov = o.Nesterov;

    public static int States => 1;

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public void Apply<L>(ref L w, L g, ref L b, ref L t) where L : struct, ILanes<L>
    {
        g = L.Fma(_decay, w, g * _scale);
        b = L.Fma(_momentum, b, g);
        w = L.Fma(_rate, _nesterov ? L.Fma(_momentum, b, g) : b, w);
    }
}
