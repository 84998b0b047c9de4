using System.Runtime.CompilerServices;

namespace Amari.Kernels;

/// <summary>The first half of a cautious step: how many entries of the direction agree with the gradient. It writes nothing.</summary>
internal readonly struct AgreementKernel<TRule>(TRule rule, double gradientScale) : IKernel
    where TRule : unmanaged, IElementwise
{
    private readonly TRule _rule = rule;
    private readonly float _scale = (float)gradientScale;

    public static bool TakesStates => TRule.Moments > 0;

    public static bool WritesStates => false;

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public void Run<L, T, S>(Chunk<L, T, S> x)
        where L : struct, ILanes<L>
        where T : unmanaged
        where S : unmanaged
    {
        var rule = _rule;
        var c = rule.Coefficients;
        L scale = _scale,
            decay = c.Decay,
            epsilon = c.Epsilon,
            unbias = c.Unbias,
            beta1 = c.Beta1,
            rest1 = c.Rest1,
            beta2 = c.Beta2,
            rest2 = c.Rest2,
            half = 0.5f,
            agreed = 0;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L g = x.G[i] * scale,
                m = TRule.Moments > 0 ? x.M[i] : default,
                v = TRule.Moments > 1 ? x.V[i] : default,
                largest = TRule.Moments > 2 ? x.U[i] : default,
                sign = L.Sign(
                    rule.Direction(x.W[i], g, ref m, ref v, ref largest, decay, epsilon, unbias, beta1, rest1, beta2, rest2) * L.Sign(g)
                );
            agreed += L.Fma(sign, sign, sign) * half; // 1 where the sign is 1, else 0
        }
        x.Count(agreed);
    }
}

/// <summary>The second half, or the whole of a step with a cautious decay: w ← keep w + rate φ u / mean(φ), φ = 1 where u g > 0, else 0;
/// with a cautious decay w ← w + ... where what is left of u points against w.</summary>
internal readonly struct CautiousKernel<TRule>(TRule rule, double gradientScale, bool step, bool decay) : IKernel
    where TRule : unmanaged, IElementwise
{
    private readonly TRule _rule = rule;
    private readonly float _scale = (float)gradientScale;
    private readonly bool _step = step,
        _decay = decay;

    public static bool TakesStates => TRule.Moments > 0;

    [MethodImpl(MethodImplOptions.AggressiveOptimization | MethodImplOptions.NoInlining)]
    public void Run<L, T, S>(Chunk<L, T, S> x)
        where L : struct, ILanes<L>
        where T : unmanaged
        where S : unmanaged
    {
        var rule = _rule;
        var c = rule.Coefficients;
        L scale = _scale,
            decay = c.Decay,
            epsilon = c.Epsilon,
            unbias = c.Unbias,
            beta1 = c.Beta1,
            rest1 = c.Rest1,
            beta2 = c.Beta2,
            rest2 = c.Rest2,
            rate = _step ? 0.5f * rule.Rate / x.Share : rule.Rate,
            keep = rule.Keep,
            half = 0.5f,
            one = 1;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L w = x.W[i],
                g = x.G[i] * scale,
                m = TRule.Moments > 0 ? x.M[i] : default,
                v = TRule.Moments > 1 ? x.V[i] : default,
                largest = TRule.Moments > 2 ? x.U[i] : default,
                u = rule.Direction(w, g, ref m, ref v, ref largest, decay, epsilon, unbias, beta1, rest1, beta2, rest2),
                kept = keep * w;
            if (_step)
            {
                L sign = L.Sign(u * L.Sign(g));
                u *= L.Fma(sign, sign, sign); // 2 u where the sign is 1, else 0
            }
            if (_decay)
            {
                L sign = L.Sign(u * L.Sign(w)),
                    against = (sign * sign - sign) * half; // 1 where the sign is -1, else 0
                kept = L.Fma(against, w, (one - against) * kept);
            }
            if (TRule.Moments > 0)
                x.M[i] = m;
            if (TRule.Moments > 1)
                x.V[i] = v;
            if (TRule.Moments > 2)
                x.U[i] = largest;
            x.W[i] = L.Fma(rate, u, kept);
        }
    }
}
