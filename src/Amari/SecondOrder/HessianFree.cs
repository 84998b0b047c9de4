using Amari.Curvature;
using Amari.Kronecker;
using Amari.Native;
using Amari.Optimizers;
using Amari.Solvers;

namespace Amari;

/// <summary>Hessian-free optimization (Martens 2010): Gauss-Newton steps by preconditioned conjugate gradient, Levenberg-Marquardt
/// damping.</summary>
/// <remarks><code>
/// (G + λ I) x ≈ -g       by CG from x₀ = ζ x_last, until the model improves by less than k ε over k iterations
/// p                      the last of the iterates kept, or an earlier one as long as L falls going back (CG backtracking)
/// ρ = (L(w) - L(w + p)) / -(g'p + ½ p'Gp);   λ ← c λ if ρ &lt; 1/4,   λ / c if ρ > 3/4
/// w ← w + α p            the first α = η βʲ with L(w + α p) ≤ L(w) + 10⁻² α g'p; none: the step is rejected
/// </code>
/// λ is at least 8 units in the last place of 1 (or its first value, if that is less). Where neither the loss nor the prediction changes by
/// more than rounding, λ stays, or falls to its first value if it is larger.
/// Loss, gradient and curvature are of one batch: take large ones (thousands) where the data is noisy. A product costs about two
/// gradients, less where its graph is kept.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new HessianFree(model, new Categorical(), new() { Preconditioner = HessianFreePreconditioner.Kfac });
/// for (int step = 0; step &lt; 5; step++)
///     Console.WriteLine(optimizer.StepOnBatch(x, y).LossAfter);
/// </code></example>
public sealed class HessianFree : SecondOrderOptimizer<HessianFree.Options>
{
    private const double Residual = 1e-10,
        Sufficient = 1e-2,
        Shrink = 0.8,
        Spacing = 1.3;
    private const int LineSearch = 60;

    /// <summary>Hyper-parameters of <see cref="HessianFree"/>. The learning rate η is the first step size of the line search; 1 tries CG's
    /// step as it is.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1)
    {
        /// <summary>λ > 0 of the first step, added to the Gauss-Newton matrix of the mean loss.</summary>
        public double Damping
        {
            get;
            init => field = Require.Positive(value);
        } = 1;

        /// <summary>c ≥ 1: factor by which λ rises or falls; 1 keeps it.</summary>
        public double DampingFactor
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 1.5;

        /// <summary>Maximum number of Gauss-Newton products per step, ≥ 1.</summary>
        public int MaxIterations
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 250;

        /// <summary>ε > 0: CG stops if the relative progress per iteration is smaller.</summary>
        public double ProgressTolerance
        {
            get;
            init => field = Require.Positive(value);
        } = 5e-4;

        /// <summary>ζ in [0, 1): CG starts from this multiple of the last solution.</summary>
        public double WarmStart
        {
            get;
            init => field = Require.UnitInterval(value);
        } = 0.95;

        /// <summary>Whether earlier iterates of CG are also tried as the step.</summary>
        public bool CgBacktracking { get; init; } = true;

        /// <summary>The preconditioner of CG.</summary>
        public HessianFreePreconditioner Preconditioner
        {
            get;
            init => field = Require.Defined(value);
        } = HessianFreePreconditioner.Diagonal;

        /// <summary>ξ > 0: exponent of the diagonal preconditioner.</summary>
        public double PreconditionerExponent
        {
            get;
            init => field = Require.Positive(value);
        } = 0.75;

        /// <summary>Random draws of targets from which the preconditioner is estimated, ≥ 1.</summary>
        public int PreconditionerSamples
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 4;

        /// <summary>Seed of those draws; each step makes its own.</summary>
        public long Seed { get; init; }
    }

    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output: the loss is its mean negative logarithm.</param>
    /// <param name="options">Null takes the defaults.</param>
    public HessianFree(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null)
        : base(model, likelihood, options ?? new()) { }

    /// <summary>λ of the next step.</summary>
    public double Damping => Adapted ?? Group.Options.Damping;

    private protected override bool NeedsOutputs => true;

    private protected override StepReport Update(Objective objective, double loss, Tensor gradient)
    {
        using var scope = NewDisposeScope();
        var (o, lambda) = (Group.Options, Damping);
        var gaussNewton = new GaussNewton(objective);
        using var run = gaussNewton.BeginRun();
        var (cg, iterates) = Solve(objective, gaussNewton.Damped(lambda), gradient, lambda, scope);
        LogFallback(gaussNewton);
        if (cg.Status == CgStatus.NotFinite)
            return Skipped(loss, curvature: true) with { Damping = lambda, CgIterations = cg.Iterations, CgStatus = cg.Status };
        if (cg.Status == CgStatus.NegativeCurvature)
            Log($"conjugate gradient stopped early: {cg.Status}");
        using var trial = new TrialStep(objective, loss);
        var (p, whole) = BestIterate(trial, iterates);
        trial.TakeBack(); // the curvature is that at w
        double slope = Dot(gradient, p),
            predicted = -(slope + 0.5 * Dot(p, gaussNewton.Apply(p))),
            ratio = trial.ReductionRatio(whole, predicted);
        Adapted = NextDamping(lambda, ratio, objective.Parameters.Type, trial.Hides(whole, predicted, gradient));

        double size = o.LearningRate,
            after = size == 1 ? whole : trial.LossAt(p, size);
        for (int j = 0; j < LineSearch && !Falls(); j++)
            after = trial.LossAt(p, size *= Shrink);
        bool accepted = Falls();
        if (accepted)
        {
            trial.Move(p, size);
            trial.Keep();
        }
        Direction = accepted ? cg.Solution : null;
        return Made(accepted, loss, after, p, size, predicted, ratio) with
        {
            Damping = lambda,
            CgIterations = cg.Iterations,
            CgStatus = cg.Status,
            NegativeCurvature = cg.Status == CgStatus.NegativeCurvature,
        };

        bool Falls() => slope <= 0 && after <= loss + Sufficient * size * slope + trial.Rounding;
    }

    private double NextDamping(double lambda, double ratio, ScalarType type, bool hidden) =>
        TrustRule.Damping(lambda, ratio, Group.Options.DampingFactor, Group.Options.Damping, DampingSettings.Least(type), type, hidden);

    private protected override double Within(double adapted, ScalarType type) =>
        TrustRule.Within(adapted, Group.Options.Damping, DampingSettings.Least(type), type);

    /// <summary>CG backtracking: the last of the iterates, or an earlier one as long as the loss falls going back; and the loss
    /// there.</summary>
    private static (Tensor Step, double Loss) BestIterate(TrialStep trial, List<Tensor> iterates)
    {
        var best = iterates[^1];
        double least = trial.LossAt(best, 1);
        for (int i = iterates.Count - 2; i >= 0; i--)
        {
            double earlier = trial.LossAt(iterates[i], 1);
            if (double.IsFinite(least) && !(earlier < least))
                break;
            (best, least) = (iterates[i], earlier);
        }
        return (best, least);
    }

    /// <summary>The inner solve, and its iterates 1, 2, 3, 4, 6, 8, ... (each 1.3 times the last) with the solution.</summary>
    private (CgResult Result, List<Tensor> Iterates) Solve(
        Objective objective,
        LinearOperator damped,
        Tensor gradient,
        double lambda,
        DisposeScope scope
    )
    {
        var o = Group.Options;
        using var kfac =
            o.Preconditioner == HessianFreePreconditioner.Kfac
                ? new KroneckerEstimate(
                    objective.Model!,
                    objective.Likelihood,
                    new()
                    {
                        Fisher = new FisherOptions.MonteCarlo { Samples = o.PreconditionerSamples },
                        Inverse = new InverseOptions.Eigenbasis(),
                        MinDamping = 0,
                    },
                    objective.Parameters,
                    seed: o.Seed + Steps
                )
                {
                    Damping = lambda,
                }
                : null;
        kfac?.Measure(objective);
        foreach (var (layer, message) in kfac?.Reports ?? [])
            Log(message, layer);
        foreach (var row in kfac?.Coverage.Rows.Where(r => r.Block == KroneckerEstimate.NoBlock) ?? [])
            Log($"not preconditioned by K-FAC: {row.Reason}", row.Parameter);
        var iterates = new List<Tensor>();
        int next = 1;
        var result = ConjugateGradient.Solve(
            damped,
            gradient.neg(),
            new()
            {
                MaxIterations = o.MaxIterations,
                Tolerance = Residual,
                ProgressTolerance = o.ProgressTolerance,
            },
            o.Preconditioner == HessianFreePreconditioner.Diagonal ? Diagonal(objective, lambda)
                : kfac is null ? null
                : Preconditioner(objective.Parameters, kfac.Precondition),
            Direction?.mul(o.WarmStart),
            (i, x) =>
            {
                if (i < next || !o.CgBacktracking)
                    return;
                var kept = x.clone().DetachFromDisposeScope();
                scope.Attach(kept);
                iterates.Add(kept);
                next = (int)Math.Ceiling(next * Spacing);
            }
        );
        iterates.Add(result.Solution);
        return (result, iterates);
    }

    private LinearOperator Diagonal(Objective objective, double lambda)
    {
        var o = Group.Options;
        var inverse = FisherDiagonal
            .Of(objective, o.PreconditionerSamples, o.Seed + Steps)
            .add_(Math.Max(lambda, finfo(objective.Parameters.Type).tiny)) // less is 0, and its power infinite
            .pow_(-o.PreconditionerExponent)
            .unsqueeze(1);
        return Preconditioner(objective.Parameters, v => v * inverse);
    }

    private static LinearOperator Preconditioner(ParameterLayout layout, Func<Tensor, Tensor> product) =>
        LinearOperator.FromFunction(layout.Dimension, layout.Type, product);
}
