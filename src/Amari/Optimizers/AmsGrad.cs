using System.Runtime.CompilerServices;
using Amari.Kernels;

namespace Amari.Optimizers;

/// <summary>AMSGrad of <see cref="Adam"/> and <see cref="AdamW"/>: the step is divided by the largest second moment so far (Reddi, Kale and
/// Kumar 2018, arXiv:1904.09237, as PyTorch has it).</summary>
internal static class AmsGrad
{
    /// <summary>u ← max(u, v), or v where there was no u yet.</summary>
    /// <param name="v">The second moment.</param>
    /// <param name="largest">u of the state, called <c>LargestMoment</c> there.</param>
    /// <param name="state">Takes the first u.</param>
    public static Tensor Largest(Tensor v, Tensor? largest, ParameterState state)
    {
        if (largest is not null)
            return largest.copy_(largest.maximum(v));
        state.Replace(nameof(Adam.State.LargestMoment), v.clone());
        return v;
    }

    /// <summary>Whether the kernel takes a state: with a u, and moments in full, as u is.</summary>
    public static bool HasKernel(Tensor firstMoment, Tensor? largest) => largest is not null && !SmallState.IsSmall(firstMoment.dtype);

    /// <summary>The moments, u ← max(u, v), then w ← (1 - η λ) w - η m̂ / (√û + ε), or with λ w in the gradient instead.</summary>
    internal readonly struct Rule : IElementwise
    {
        public static Rule Of(Adam.Options o, long step) => new(o, o.Beta1, o.Beta2, o.Epsilon, step);

        public static Rule Of(AdamW.Options o, long step) => new(o, o.Beta1, o.Beta2, o.Epsilon, step);

        private Rule(GroupedOptions o, double beta1, double beta2, double epsilon, long step)
        {
            (float decay, Keep) = o.IsDecayDecoupled ? (0f, (float)(1 - o.LearningRate * o.WeightDecay)) : ((float)o.WeightDecay, 1f);
            Coefficients = Coefficients.Of(beta1, beta2, epsilon, step) with { Decay = decay };
            Rate = (float)(-o.LearningRate / (1 - Math.Pow(beta1, step)));
        }

        public static int Moments => 3;

        public Coefficients Coefficients { get; }

        public float Rate { get; }

        public float Keep { get; }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public L Direction<L>(L w, L g, ref L m, ref L v, ref L largest, L decay, L epsilon, L unbias, L beta1, L rest1, L beta2, L rest2)
            where L : struct, ILanes<L>
        {
            g = L.Fma(decay, w, g);
            m = L.Fma(beta1, m, rest1 * g);
            v = L.Fma(beta2, v, rest2 * g * g);
            largest = L.Max(largest, v);
            return m / L.Fma(L.Sqrt(largest), unbias, epsilon);
        }
    }
}
