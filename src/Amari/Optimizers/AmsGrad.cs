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
        private readonly float _decay,
            _epsilon,
            _beta1,
            _rest1,
            _beta2,
            _rest2,
            _unbias;

        public static Rule Of(Adam.Options o, long step) => new(o, o.Beta1, o.Beta2, o.Epsilon, step);

        public static Rule Of(AdamW.Options o, long step) => new(o, o.Beta1, o.Beta2, o.Epsilon, step);

        private Rule(GroupedOptions o, double beta1, double beta2, double epsilon, long step)
        {
            (_decay, Keep) = o.IsDecayDecoupled ? (0f, (float)(1 - o.LearningRate * o.WeightDecay)) : ((float)o.WeightDecay, 1f);
            _epsilon = (float)epsilon;
            (_beta1, _rest1, _beta2, _rest2) = ((float)beta1, (float)(1 - beta1), (float)beta2, (float)(1 - beta2));
            _unbias = (float)(1 / Math.Sqrt(1 - Math.Pow(beta2, step))); // of √u
            Rate = (float)(-o.LearningRate / (1 - Math.Pow(beta1, step)));
        }

        public static int Moments => 3;

        public float Rate { get; }

        public float Keep { get; }

        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public L Direction<L>(L w, L g, ref L m, ref L v, ref L largest)
            where L : struct, ILanes<L>
        {
            L decay = _decay,
                epsilon = _epsilon,
                unbias = _unbias,
                beta1 = _beta1,
                rest1 = _rest1,
                beta2 = _beta2,
                rest2 = _rest2;
            g = L.Fma(decay, w, g);
            m = L.Fma(beta1, m, rest1 * g);
            v = L.Fma(beta2, v, rest2 * g * g);
            largest = L.Max(largest, v);
            return m / L.Fma(L.Sqrt(largest), unbias, epsilon);
        }
    }
}
