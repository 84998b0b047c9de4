using System.Runtime.CompilerServices;

namespace Amari.Kernels;

/// <summary>A step of an elementwise algorithm: w ← keep w + rate u.</summary>
/// <remarks>Guarded, it takes gradients that are not usable (<see cref="GradientBound"/>) as 0 and marks their tensors, so that
/// <see cref="UndoKernel{TRule}"/> can take the step back.</remarks>
internal readonly struct StepKernel<TRule, TGuard>(TRule rule, double gradientScale) : IKernel
    where TRule : unmanaged, IElementwise
    where TGuard : unmanaged, IGuard
{
    private readonly TRule _rule = rule;
    private readonly float _scale = (float)gradientScale;

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
            rate = rule.Rate,
            keep = rule.Keep,
            bound = GradientBound.Single,
            beyond = 0;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L w = x.W[i],
                g = x.G[i] * scale,
                m = default,
                v = default,
                largest = default;
            if (TGuard.IsOn)
                g = L.Within(g, bound, ref beyond);
            if (TRule.Moments > 0)
                m = x.M[i];
            if (TRule.Moments > 1)
                v = x.V[i];
            if (TRule.Moments > 2)
                largest = x.U[i];
            L u = rule.Direction(w, g, ref m, ref v, ref largest, decay, epsilon, unbias, beta1, rest1, beta2, rest2);
            if (TRule.Moments > 0)
                x.M[i] = m;
            if (TRule.Moments > 1)
                x.V[i] = v;
            if (TRule.Moments > 2)
                x.U[i] = largest;
            x.W[i] = L.Fma(rate, u, keep * w);
        }
        if (TGuard.IsOn)
            x.Mark(beyond);
    }
}

/// <summary>Whether a kernel is guarded: a type, so that the loop of each has no branch.</summary>
internal interface IGuard
{
    static abstract bool IsOn { get; }
}

internal readonly struct Guarded : IGuard
{
    public static bool IsOn => true;
}

internal readonly struct Unguarded : IGuard
{
    public static bool IsOn => false;
}

/// <summary>Undoes a guarded <see cref="StepKernel{TRule, TGuard}"/> to rounding: each number comes back to within a unit in the last
/// place of the larger of itself and what the step added to it.</summary>
internal readonly struct UndoKernel<TRule>(TRule rule, double gradientScale) : IKernel
    where TRule : unmanaged, IUndoable
{
    private readonly TRule _rule = rule;
    private readonly float _scale = (float)gradientScale;

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
            back = -rule.Rate,
            keep = rule.Keep,
            bound = GradientBound.Single,
            beyond = 0;
        for (long i = x.From; i < x.To; i += L.Width)
        {
            L g = L.Within(x.G[i] * scale, bound, ref beyond),
                m = x.M[i],
                v = TRule.Moments > 1 ? x.V[i] : default;
            x.W[i] = L.Fma(back, rule.Undo(g, ref m, ref v, decay, epsilon, unbias, beta1, rest1, beta2, rest2), x.W[i]) / keep;
            x.M[i] = m;
            if (TRule.Moments > 1)
                x.V[i] = v;
        }
    }
}
