using Amari.Distributed;
using Amari.LeastSquares;
using Amari.Native;
using Amari.Optimizers;
using Amari.SecondOrder;
using Amari.Solvers;

namespace Amari;

/// <summary>Gauss-Newton steps of fixed damping with a search for their length: the energy natural gradient where the residuals are those
/// of an equation (Müller and Zeinhofer 2023, arXiv:2302.13163), with the momentum of SPRING if asked for (Goldshlager, Abrahamsen and Lin
/// 2024, arXiv:2401.10190).</summary>
/// <remarks><code>
/// δ = -(J'J + λ I)⁻¹ J'r
///   = -J' (J J' + λ I)⁻¹ r                          where there are fewer residuals than parameters
/// δ = μ δ_last - J' (J J' + λ I)⁻¹ (r + μ J δ_last)   SPRING: the solution nearest to μ δ_last
/// w ← w + s δ,   s from η, η/2, η/4, ...              so that L falls on the residuals of the step
/// </code>
/// Nothing is adapted from step to step, so each step may have residuals at other points. Steps on the same residuals are better made by
/// <see cref="LevenbergMarquardt"/>. λ is in the units of J'J: with the defaults r is of the order of 1 and float64 is assumed.</remarks>
public sealed class DampedGaussNewton : LeastSquaresOptimizer<DampedGaussNewton.Options>
{
    private const int Halvings = 30;
    private const double Raise = 100;

    /// <summary>Hyper-parameters of <see cref="DampedGaussNewton"/>. The learning rate η is the first step length that is tried.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1)
    {
        /// <summary>λ > 0, added to J'J of the loss ½ |r|².</summary>
        public double Damping
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-8;

        /// <summary>How the step length is chosen.</summary>
        public StepSearch Search
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>μ in (0, 1) of SPRING; null for none.</summary>
        public double? Momentum
        {
            get;
            init => field = Require.ShareOrNull(value);
        }

        /// <summary>How the systems are solved.</summary>
        public LinearSolver Solver
        {
            get;
            init => field = value ?? throw new ArgumentNullException(nameof(value));
        } = new LinearSolver.Automatic();
    }

    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output, with a loss that is a sum of squares.</param>
    /// <param name="options">Null takes the defaults.</param>
    public DampedGaussNewton(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null)
        : base(model, likelihood, options ?? new()) { }

    /// <summary>Over the parameters of residuals.</summary>
    /// <param name="residuals">Not owned.</param>
    /// <param name="options">Null takes the defaults.</param>
    public DampedGaussNewton(Residuals residuals, Options? options = null)
        : base(residuals, options ?? new()) { }

    private protected override LinearSolver Solver => Group.Options.Solver;

    private protected override DampedSystem System(Linearization at, Communicator ranks) =>
        DampedSystem.Of(at, ranks, Solver, scaled: false);

    private protected override StepReport Update(Residuals residuals, Linearization at, DampedSystem system, double loss, double clip)
    {
        var o = Group.Options;
        if (!IsFinite(system.ColumnNorms))
            return Skipped(loss, curvature: true);
        system.Scale(null);
        double lambda = o.Damping;
        while (!system.Factorise(lambda))
        {
            Log("the damped matrix was not positive definite to rounding; the damping of the step was raised");
            if (!double.IsFinite(lambda *= Raise))
                return Skipped(loss, curvature: true);
        }
        var direction = Propose(system, at);
        var change = system.Apply(direction);
        double slope = Dot(system.Gradient, direction),
            curvature = 2 * HalfSquare(change, residuals.Ranks);
        if (!double.IsFinite(slope + curvature))
            return Skipped(loss, curvature: true);
        using var trial = new TrialStep(residuals.Parameters, () => Loss(residuals, at), loss);
        var (size, after, evaluations, finite) = Search(trial, direction, o.LearningRate * clip, loss);
        bool accepted = size > 0;
        if (accepted)
        {
            trial.Move(direction, size);
            trial.Keep();
        }
        Direction = accepted && o.Momentum is not null ? direction : null;
        double predicted = -(size * slope + 0.5 * size * size * curvature);
        return Made(accepted, loss, after, direction, size, predicted, trial.ReductionRatio(after, predicted)) with
        {
            Damping = lambda,
            Solver = system.Solver,
            LeastSquaresStatus =
                GradientNorm == 0 ? Amari.LeastSquaresStatus.Gradient
                : accepted || o.Momentum is not null ? null
                : !finite ? Amari.LeastSquaresStatus.NotFinite
                : Amari.LeastSquaresStatus.Stuck,
            GradientCosine = GradientCosine(at, system, loss),
            RelativeStep = Ratio(size * WeightedNorm(system, direction), ResidualScale(residuals, system, trial.Start, loss)),
            Evaluations = evaluations,
            Trials = evaluations,
            CgIterations = system.Iterations,
            CgStatus = system.Status,
        };
    }

    private Tensor Propose(DampedSystem system, Linearization at)
    {
        if (Group.Options.Momentum is not { } mu || Direction is not { } last)
            return system.Solve(at.R);
        var carried = last.mul(mu);
        return system.Solve(at.R.add(system.Apply(carried))).add_(carried);
    }

    /// <summary>The length of the step, 0 if none is good, and the loss there.</summary>
    /// <returns>Also the number of evaluations, and whether any loss was finite.</returns>
    private (double Size, double After, int Evaluations, bool Finite) Search(TrialStep trial, Tensor direction, double first, double loss)
    {
        var search = Group.Options.Search;
        (double Size, double After) best = (0, loss);
        double size = first;
        bool finite = false;
        for (int i = 0; ; i++, size /= 2)
        {
            double after = trial.LossAt(direction, size);
            finite |= double.IsFinite(after);
            if (search == StepSearch.None)
                return finite ? (size, after, 1, true) : (0, loss, 1, false);
            if (after < best.After || (best.Size == 0 && !trial.Rises(after)))
                best = (size, after);
            if (i == Halvings || (search == StepSearch.Halving && best.Size > 0))
                return (best.Size, best.After, i + 1, finite);
        }
    }
}
