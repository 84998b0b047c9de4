using Amari.Distributed;
using Amari.LeastSquares;
using Amari.Native;
using Amari.Optimizers;
using Amari.SecondOrder;
using Amari.Solvers;

namespace Amari;

/// <summary>The method of Levenberg (1944) and Marquardt (1963) for nonlinear least squares, L(w) = ½ |r(w)|², with geodesic
/// acceleration.</summary>
/// <remarks><code>
/// (J'J + λ D²) v = -J'r                 velocity; J = ∂r/∂w
/// (J'J + λ D²) a = -J'r''               acceleration; r'' = d²/dt² r(w + t v)      Transtrum and Sethna 2012, arXiv:1201.5885
/// δ = η v + ½ η² a                      tried if |D a| ≤ α |D v|; without a where it is not finite
/// ρ = (L(w) - L(w + δ)) / predicted     of the linear model r + J v
/// ρ > 0:   w ← w + δ,  λ ← λ max(1/γ, 1 - (2ρ - 1)³),  ν ← 2                       Nielsen 1999, IMM-REP-1999-05; γ = 5
/// else:    λ ← λ ν,  ν ← 2ν,  and again with the same J
/// D ← max(0.9 D, column norms of J)     in its first form max(D, column norms): Moré 1978
/// </code>
/// λ begins at τ times the largest entry of diag(D⁻¹J'J D⁻¹), which is 1 with a scaling. A step has one Jacobian and as many evaluations as
/// trials, twice that with acceleration, which costs no factorisation of its own. λ adapts from step to step: give it all of the data, or
/// large batches. For fresh batches take <see cref="DampedGaussNewton"/>.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(1, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 1))).to(float64);
/// Tensor x = linspace(-2, 2, 50, dtype: float64).unsqueeze(1), y = x.sin();
/// using var optimizer = new LevenbergMarquardt(model, new SquaredError());
/// for (int step = 0; step &lt; 10; step++)
///     Console.WriteLine(optimizer.StepOnBatch(x, y).LossAfter);
/// // a formula of a few parameters: LevenbergMarquardt.Fit, see CurveFit
/// </code></example>
public sealed partial class LevenbergMarquardt : LeastSquaresOptimizer<LevenbergMarquardt.Options>
{
    private const double Decay = 0.9,
        LeastShrink = 0.2, // 1/γ
        FirstGrowth = 2,
        Singular = 1e3, // in units of eps: where less damping than this fails, rounding does
        MaxDamping = 1e16,
        MinDamping = 1e-30; // relative to the largest entry of diag(D⁻¹J'J D⁻¹)

    private const int MaxUnseen = 40; // 1/γ to this power is far below the square of eps: by then λ damps nothing

    private double _growth = FirstGrowth; // ν
    private int _unseen; // the last steps that changed the loss by no more than rounding

    /// <summary>Hyper-parameters of <see cref="LevenbergMarquardt"/>. The learning rate η multiplies the step; 1 is the method's
    /// own.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1)
    {
        /// <summary>τ > 0: λ of the first step, relative to the largest entry of diag(D⁻¹J'J D⁻¹). Less where the start is good.</summary>
        public double InitialDamping
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-3;

        /// <summary>D.</summary>
        public LeastSquaresScaling Scaling
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>α > 0: the largest ratio of acceleration to velocity with which a step is tried; above it, λ is raised. Null for steps
        /// without acceleration.</summary>
        public double? MaxAcceleration
        {
            get;
            init => field = Require.PositiveOrNull(value);
        } = 0.75;

        /// <summary>Maximum number of λ tried in a step, ≥ 1.</summary>
        public int MaxTrials
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 20;

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
    public LevenbergMarquardt(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null)
        : base(model, likelihood, options ?? new()) { }

    /// <summary>Over the parameters of residuals.</summary>
    /// <param name="residuals">Not owned.</param>
    /// <param name="options">Null takes the defaults.</param>
    public LevenbergMarquardt(Residuals residuals, Options? options = null)
        : base(residuals, options ?? new()) { }

    /// <summary>λ of the next step; null before the first.</summary>
    public double? Damping => Adapted;

    private protected override LinearSolver Solver => Group.Options.Solver;

    private protected override DampedSystem System(Linearization at, Communicator ranks) =>
        DampedSystem.Of(at, ranks, Solver, Group.Options.Scaling != LeastSquaresScaling.None);

    private protected override StepReport Update(Residuals residuals, Linearization at, DampedSystem system, double loss, double clip)
    {
        double largest = system.ColumnNorms.max().ToDouble();
        if (!double.IsFinite(largest))
            return Skipped(loss, curvature: true);
        var scale = Scale(system.ColumnNorms);
        system.Scale(scale);
        double unit = scale is null ? largest * largest : Math.Pow(system.ColumnNorms.div(scale).max().ToDouble(), 2);
        if (unit == 0)
            unit = 1;
        Adapted = Math.Clamp(Adapted ?? Group.Options.InitialDamping * unit, MinDamping * unit, MaxDamping * unit);
        double size = WeightedNorm(system, residuals.Parameters.Read());
        using var trial = new TrialStep(
            residuals.Parameters,
            () => Loss(residuals, at),
            loss,
            rounding: double.IsFinite(size) ? residuals.RoundingOfNorm(size) * Math.Sqrt(2 * loss) : 0
        );
        return Search(new(residuals, at, system, scale, trial, loss, Group.Options.LearningRate * clip), unit) with
        {
            Solver = system.Solver,
            CgIterations = system.Iterations,
            CgStatus = system.Status,
        };
    }

    /// <summary>What the trials of a step have in common.</summary>
    private readonly record struct Problem(
        Residuals Residuals,
        Linearization At,
        DampedSystem System,
        Tensor? Scale,
        TrialStep Trial,
        double Loss,
        double Size
    );

    /// <summary>The work of a step's trials.</summary>
    private sealed class Tally
    {
        public int Evaluations;
        public bool HasTried,
            HasFinite; // whether a trial had a finite loss
    }

    /// <summary>Raises λ until a step reduces the loss.</summary>
    private StepReport Search(in Problem problem, double unit)
    {
        var (_, at, system, _, trial, loss, _) = problem;
        double epsilon = finfo(at.R.dtype).eps,
            cosine = GradientCosine(at, system, loss),
            size = WeightedNorm(system, trial.Start),
            least = epsilon * epsilon * unit, // which damps nothing that is left of J beyond rounding
            noise = trial.Rounding + epsilon * size * Math.Sqrt(2 * loss), // w itself is known to its last place
            scale = ResidualScale(problem.Residuals, system, trial.Start, loss);
        // cos² is the share of the loss that one parameter alone can remove
        bool promising = cosine * cosine * loss > noise && cosine > Math.Cbrt(epsilon);
        var tally = new Tally();
        bool singular = false;
        for (int trials = 1; ; trials++)
        {
            using var scope = NewDisposeScope();
            double lambda = Adapted!.Value;
            bool definite = system.Factorise(lambda);
            var (report, change) = definite
                ? Try(problem, tally, epsilon * size, Math.Sqrt(epsilon) * scale)
                : (Untried(loss), double.PositiveInfinity);
            report = report with
            {
                Damping = lambda,
                Trials = trials,
                Evaluations = tally.Evaluations,
                GradientCosine = cosine,
                RelativeStep = !definite ? null : Ratio(change, scale),
                IsDamped = promising && lambda > unit,
                IsSingular = singular |= !definite || (trials > 1 && lambda < Singular * epsilon * unit),
            };
            bool accepted = report.Outcome == StepOutcome.Accepted,
                isLast = accepted ? trials > 1 || lambda > unit || lambda <= least : true;
            if (isLast && change <= epsilon * size)
                report = report with { LeastSquaresStatus = End(report, tally) };
            if (accepted)
            {
                double shrink = Math.Max(LeastShrink, 1 - Math.Pow(2 * report.ReductionRatio!.Value - 1, 3));
                (Adapted, _growth) = (Math.Max(lambda * shrink, MinDamping * unit), FirstGrowth);
                bool hidden = report.IsDamped && report.LossAfter >= loss && report.PredictedReduction <= trial.Rounding;
                _unseen = Math.Abs(loss - report.LossAfter) <= trial.Rounding ? _unseen + 1 : 0;
                bool ended = _unseen >= MaxUnseen;
                LeastSquaresStatus? status =
                    GradientNorm == 0 ? Amari.LeastSquaresStatus.Gradient
                    : hidden ? End(report, tally)
                    : ended && promising ? Amari.LeastSquaresStatus.Stuck
                    : ended ? Amari.LeastSquaresStatus.Reduction
                    : report.LeastSquaresStatus;
                var outcome = status == Amari.LeastSquaresStatus.NotFinite ? StepOutcome.Rejected : report.Outcome;
                return report with { LeastSquaresStatus = status, Outcome = outcome };
            }
            if (report.LeastSquaresStatus is not null)
                return report;
            if (lambda >= MaxDamping * unit)
                return report with { LeastSquaresStatus = End(report with { IsDamped = true }, tally) };
            double raised = lambda * _growth;
            if (!definite)
            {
                Log("the damped matrix was not positive definite to rounding; the damping was raised");
                raised = Math.Max(raised, epsilon * unit);
            }
            (Adapted, _growth) = (Math.Min(raised, MaxDamping * unit), 2 * _growth);
            if (trials == Group.Options.MaxTrials)
                return report;
        }
    }

    /// <summary>What it means that a trial changes the parameters no more than rounding does.</summary>
    private static LeastSquaresStatus End(StepReport report, Tally tally) =>
        tally is { HasTried: true, HasFinite: false } ? Amari.LeastSquaresStatus.NotFinite
        : report.IsDamped ? Amari.LeastSquaresStatus.Stuck
        : Amari.LeastSquaresStatus.Step;

    /// <summary>Tries the step of the damping in force; the parameters stay there if it is accepted.</summary>
    /// <param name="problem">The step.</param>
    /// <param name="tally">Counts the work.</param>
    /// <param name="unchanged">|D δ| that rounding hides.</param>
    /// <param name="straight">|D v| up to which a large acceleration is rounding: it is left out.</param>
    /// <returns>Its report, and |D δ| with the column norms D.</returns>
    private (StepReport Report, double Change) Try(in Problem problem, Tally tally, double unchanged, double straight)
    {
        var (residuals, at, system, scale, trial, loss, size) = problem;
        var v = system.Solve(at.R);
        var change = system.Apply(v); // J v
        double predicted = -(size * Dot(system.Gradient, v) + size * size * HalfSquare(change, residuals.Ranks)),
            after = double.NaN;
        bool tried = double.IsFinite(predicted);
        double? acceleration = null;
        var step = v.mul(size);
        if (tried && Group.Options.MaxAcceleration is { } most && GradientNorm > 0)
        {
            var a = system.Solve(residuals.SecondDerivative(at, v));
            tally.Evaluations++;
            double ratio = Norm(a, scale) / Norm(v, scale);
            bool isStraight = ratio > most && WeightedNorm(system, v) <= straight;
            if (double.IsFinite(ratio) && !isStraight)
            {
                (acceleration, tried) = (ratio, ratio <= most);
                step.add_(a, alpha: 0.5 * size * size);
            }
            else if (!isStraight)
                WithoutAcceleration();
        }
        double length = WeightedNorm(system, step);
        if (tried)
        {
            after = trial.LossAt(step, 1);
            tally.Evaluations++;
            tally.HasTried |= length > unchanged;
            tally.HasFinite |= length > unchanged && double.IsFinite(after);
        }
        double gain = trial.ReductionRatio(after, predicted);
        bool accepted = gain > 0;
        if (accepted)
            trial.Keep();
        else if (tried)
            trial.TakeBack();
        var report = Made(accepted, loss, after, step, 1, predicted, gain) with { StepSize = size, Acceleration = acceleration };
        return (report, length);
    }

    private void WithoutAcceleration()
    {
        const string message = "the acceleration was not finite; the step was tried without it";
        Log(message);
        Warnings.Once($"{nameof(LevenbergMarquardt)}: {message}.");
    }

    private StepReport Untried(double loss) =>
        new()
        {
            Step = Steps,
            Outcome = StepOutcome.Rejected,
            LossBefore = loss,
            LossAfter = loss,
            GradientNorm = GradientNorm,
        };

    /// <summary>D : [d] of this step, null for the identity; a column of zeros counts as one of norm 1.</summary>
    private Tensor? Scale(Tensor norms)
    {
        var scaling = Group.Options.Scaling;
        if (scaling == LeastSquaresScaling.None)
        {
            Direction = null;
            return null;
        }
        Direction = Direction is { } last ? last.mul(scaling == LeastSquaresScaling.Decaying ? Decay : 1).maximum(norms) : norms.clone();
        return WithoutZeros(Direction);
    }
}
