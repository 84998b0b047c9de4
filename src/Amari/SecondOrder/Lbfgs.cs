using Amari.Curvature;
using Amari.Native;

namespace Amari;

/// <summary>Limited-memory BFGS, that of TorchSharp (Nocedal and Wright, Algorithm 7.5), begun anew on each batch.</summary>
/// <remarks>A step is up to <see cref="Options.Iterations"/> iterations on one batch; pairs of different batches would not make one
/// curvature. There is no line search. To keep the history over steps on all of the data, use <c>torch.optim.LBFGS</c> itself.
/// The parameters' <c>grad</c> is overwritten.</remarks>
public sealed class Lbfgs : SecondOrderOptimizer<Lbfgs.Options>
{
    /// <summary>Hyper-parameters of <see cref="Lbfgs"/>. The learning rate η multiplies each quasi-Newton step.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1)
    {
        /// <summary>Most iterations on a batch, ≥ 1.</summary>
        public int Iterations { get; init => field = Require.AtLeast(1, value); } = 20;
        /// <summary>Pairs kept, ≥ 1.</summary>
        public int History { get; init => field = Require.AtLeast(1, value); } = 10;
        /// <summary>Largest gradient entry at which it stops, > 0.</summary>
        public double GradientTolerance { get; init => field = Require.Positive(value); } = 1e-7;
    }

    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output: the loss is its mean negative logarithm.</param>
    /// <param name="options">Defaults if null.</param>
    public Lbfgs(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null) : base(model, likelihood, options ?? new()) { }

    /// <summary>Over parameters of any function, which <c>step(closure)</c> is given.</summary>
    public Lbfgs(IEnumerable<Parameter> parameters, Options? options = null) : base(parameters, options ?? new()) { }

    private protected override StepReport Update(Objective objective, double loss, Tensor gradient)
    {
        if (MaxGradientNorm is not null)
            throw new InvalidOperationException("L-BFGS cannot clip, for differences of clipped gradients are no curvature: leave MaxGradientNorm null and lower the learning rate.");
        var (o, layout) = (Group.Options, objective.Parameters);
        var w = layout.Read();
        NativeLbfgs.Run([.. layout.Parameters.Select(p => p.Parameter)], o.LearningRate, o.Iterations, o.GradientTolerance, o.History, () =>
        {
            using var scope = NewDisposeScope();
            var (l, g) = objective.Gradient();
            foreach (var ((_, p), part) in layout.Parameters.Zip(layout.Split(g)))
            {
                using var old = p.grad;
                p.grad = part.clone();
            }
            return tensor(l, dtype: layout.Type, device: layout.Device).MoveToOuterDisposeScope();
        });
        var d = layout.Read().sub_(w);
        double after = objective.Loss();
        bool accepted = double.IsFinite(after);
        if (!accepted) layout.Write(w);
        return Made(accepted, loss, after, d, 1, null, null);
    }
}
