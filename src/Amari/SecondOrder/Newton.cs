using Amari.Curvature;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>Newton's method with the dense Hessian, damped (Nocedal and Wright, §3.3).</summary>
/// <remarks><code>
/// (H + λ I) D = -g,   w ← w + η D
/// </code>
/// Near a minimum the number of right digits doubles each step when λ = 0 and η = 1. It goes to whatever point has no gradient: from a
/// saddle's neighbourhood to the saddle (see <see cref="SaddleFreeNewton"/>). d Hessian-vector products, d² numbers and d³ work a step; the
/// matrix of a mini-batch is as noisy as its gradient: take large batches.</remarks>
public sealed class Newton : SecondOrderOptimizer<Newton.Options>
{
    private const string Instead = nameof(NewtonCg);

    /// <summary>Hyper-parameters of <see cref="Newton"/>. The learning rate η multiplies the Newton step; 1 is Newton's own.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1)
    {
        /// <summary>λ ≥ 0, added to the Hessian of the mean loss; larger than -λ_min(H) makes the step one of descent.</summary>
        public double Damping
        {
            get;
            init => field = Require.NonNegative(value);
        } = 1e-3;

        /// <summary>Largest memory of a step's dense matrices, > 0.</summary>
        public long MaxDenseBytes
        {
            get;
            init => field = Require.AtLeast(1L, value);
        } = 1L << 30;
    }

    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output: the loss is its mean negative logarithm.</param>
    /// <param name="options">Defaults if null.</param>
    /// <exception cref="ArgumentException">The model is too large for <see cref="Options.MaxDenseBytes"/>.</exception>
    public Newton(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null)
        : base(model, likelihood, options ?? new()) => RequireDense(Group.Options.MaxDenseBytes, Instead);

    /// <summary>Over parameters of any function, which <c>step(closure)</c> is given.</summary>
    /// <exception cref="ArgumentException">There are too many for <see cref="Options.MaxDenseBytes"/>.</exception>
    public Newton(IEnumerable<Parameter> parameters, Options? options = null)
        : base(parameters, options ?? new()) => RequireDense(Group.Options.MaxDenseBytes, Instead);

    private protected override StepReport Update(Objective objective, double loss, Tensor gradient)
    {
        RequireDense(Group.Options.MaxDenseBytes, Instead); // of the parameters that are trained now
        var (eta, lambda) = (Group.Options.LearningRate, Group.Options.Damping);
        var damped = new Hessian(objective).ToDense();
        if (!IsFinite(damped))
            return Skipped(loss, curvature: true) with { Damping = lambda };
        damped.diagonal().add_(lambda);
        var (solution, definite, outcome) = SymmetricSolve.Solve(damped, gradient);
        if (solution is null)
            return NoStep(loss, "H + λ I is singular: set Damping") with { Damping = lambda };
        if (outcome != FactorisationOutcome.Clean)
            Log("H + λ I is singular; a little was added to its diagonal");
        var d = solution.neg_();
        double slope = Dot(gradient, d),
            curvature = Dot(d, damped.mv(d)) - lambda * Dot(d, d);
        return Try(objective, loss, d, eta, -(eta * slope + 0.5 * eta * eta * curvature)) with
        {
            Damping = lambda,
            NegativeCurvature = !definite,
        };
    }
}
