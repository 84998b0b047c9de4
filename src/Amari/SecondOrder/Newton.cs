using Amari.Curvature;
using Amari.Native;
using Amari.Solvers;

namespace Amari;

/// <summary>Newton's method with the dense Hessian, damped (Nocedal and Wright, §3.3).</summary>
/// <remarks><code>
/// (H + λ I) D = -g,   w ← w + η D
/// </code>With λ = 0 and η = 1, each step near a minimum doubles the number of correct digits. The method goes to any point with zero
/// gradient: near a saddle, to the saddle (see <see cref="SaddleFreeNewton"/>). A step takes d Hessian-vector products, d² numbers of
/// memory and d³ work. Take large batches, because the Hessian of a small batch is as noisy as its gradient.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new Newton(model, new Categorical(), new() { Damping = 1 });
/// for (int step = 0; step &lt; 5; step++)
///     Console.WriteLine(optimizer.StepOnBatch(x, y).LossAfter);
/// </code></example>
public sealed class Newton : SecondOrderOptimizer<Newton.Options>
{
    private const string Instead = nameof(NewtonCg);

    /// <summary>Hyper-parameters of <see cref="Newton"/>. The learning rate η multiplies the Newton step; 1 is Newton's own.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1)
    {
        /// <summary>λ ≥ 0, added to the Hessian of the mean loss. If it is larger than -λ_min(H), the step descends.</summary>
        public double Damping
        {
            get;
            init => field = Require.NonNegative(value);
        } = 1e-3;

        /// <summary>Whether a step that raised the loss of its batch is halved until it does not, and taken back if no length helps: H + λ
        /// I is then indefinite, and λ too small. Newton's own steps may go up, as to a saddle; an event says so.</summary>
        public bool StepRejection { get; init; }

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
    public Newton(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null)
        : base(model, likelihood, options ?? new()) => RequireDense(Group.Options.MaxDenseBytes, Instead);

    /// <summary>Over the parameters of any function that is passed to <c>step(closure)</c>.</summary>
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
        return Try(objective, loss, d, eta, t => -(t * slope + 0.5 * t * t * curvature), shorten: Group.Options.StepRejection) with
        {
            Damping = lambda,
            NegativeCurvature = !definite,
        };
    }
}
