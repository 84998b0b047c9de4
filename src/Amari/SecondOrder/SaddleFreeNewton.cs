using Amari.Curvature;
using Amari.Native;
using Amari.Optimizers;
using Amari.Solvers;

namespace Amari;

/// <summary>Saddle-free Newton (Dauphin et al. 2014, arXiv:1406.2572): Newton's step with the absolute values of the Hessian's eigenvalues,
/// with the whole eigen-decomposition instead of a Krylov subspace.</summary>
/// <remarks><code>
/// H = Q diag(h) Q',   D = -Q (|h| + λ)⁻¹ Q'g,   w ← w + η D
/// </code>Always a direction of descent: it rolls off a saddle along negative curvature, as fast as Newton approaches it. d Hessian-vector
/// products, d² numbers and about 10 d³ work a step.</remarks>
public sealed class SaddleFreeNewton : SecondOrderOptimizer<SaddleFreeNewton.Options>
{
    private const string Instead = nameof(NewtonCg);

    /// <summary>Hyper-parameters of <see cref="SaddleFreeNewton"/>. The learning rate η multiplies the step; 1 is Newton's where H is
    /// positive definite.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1)
    {
        /// <summary>λ ≥ 0, added to the absolute eigenvalues of the Hessian of the mean loss.</summary>
        public double Damping
        {
            get;
            init => field = Require.NonNegative(value);
        } = 1e-3;

        /// <summary>Whether a step that raised the loss of its batch is halved until it does not.</summary>
        [BeforeAdded(false)]
        public bool StepRejection { get; init; } = true;

        /// <summary>Upper bound of the bytes of a step's dense matrices, > 0.</summary>
        public long MaxDenseBytes
        {
            get;
            init => field = Require.AtLeast(1L, value);
        } = 1L << 30;
    }

    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output: the loss is its mean negative logarithm.</param>
    /// <param name="options">Null takes the defaults.</param>
    /// <exception cref="ArgumentException">The model is too large for <see cref="Options.MaxDenseBytes"/>.</exception>
    public SaddleFreeNewton(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null)
        : base(model, likelihood, options ?? new()) => RequireDense(Group.Options.MaxDenseBytes, Instead);

    /// <summary>Over the parameters of any function that is passed to <c>step(closure)</c>.</summary>
    /// <exception cref="ArgumentException">There are too many for <see cref="Options.MaxDenseBytes"/>.</exception>
    public SaddleFreeNewton(IEnumerable<Parameter> parameters, Options? options = null)
        : base(parameters, options ?? new()) => RequireDense(Group.Options.MaxDenseBytes, Instead);

    private protected override StepReport Update(Objective objective, double loss, Tensor gradient)
    {
        RequireDense(Group.Options.MaxDenseBytes, Instead); // of the parameters that are trained now
        var (eta, lambda) = (Group.Options.LearningRate, Group.Options.Damping);
        var hessian = new Hessian(objective).ToDense();
        if (!IsFinite(hessian))
            return Skipped(loss, curvature: true) with { Damping = lambda };
        var (eigen, outcome) = SymmetricSolve.Eigh(hessian);
        if (eigen is not var (q, h))
            return NoStep(loss, "the eigen-decomposition of the Hessian failed") with { Damping = lambda };
        if (outcome != FactorisationOutcome.Clean)
            Log("the eigen-decomposition of H failed at first; a little was added to its diagonal");
        var c = q.T.mv(gradient);
        var scaled = c.div(h.abs().add_(lambda)).neg_();
        scaled.masked_fill_(c.eq(0), 0); // a flat direction without a gradient, at λ = 0
        double slope = Dot(c, scaled),
            curvature = Dot(scaled.square(), h);
        return Try(
            objective,
            loss,
            q.mv(scaled),
            eta,
            t => -(t * slope + 0.5 * t * t * curvature),
            shorten: Group.Options.StepRejection
        ) with
        {
            Damping = lambda,
            NegativeCurvature = h[0].ToDouble() < -finfo(h.dtype).eps * h.numel() * h.abs().max().ToDouble(),
        };
    }
}
