using System.Diagnostics;
using Amari.Curvature;
using Amari.Distributed;
using Amari.LeastSquares;
using Amari.SecondOrder;
using Amari.Solvers;

namespace Amari;

/// <summary>The base of methods for nonlinear least squares, L(w) = ½ |r(w)|²: they linearize the residuals, r(w + v) ≈ r + J v.</summary>
/// <remarks>They are made of <see cref="Residuals"/>, for <see cref="StepOnResiduals()"/> and <see cref="Solve"/>, or of a model and a
/// likelihood, for <see cref="StepOnBatch"/>.</remarks>
/// <typeparam name="TOptions">The method's options.</typeparam>
public abstract class LeastSquaresOptimizer<TOptions> : SecondOrderOptimizer<TOptions>
    where TOptions : OptimizerOptions
{
    private const int FirstCheck = 20; // of the Jacobian, after as many steps that it did not predict; then twice as many
    private const double Unpredicted = 0.25; // |ρ - 1|
    private readonly Residuals? _residuals;

    private protected LeastSquaresOptimizer(nn.Module<Tensor, Tensor> model, Likelihood likelihood, TOptions options)
        : base(model, likelihood, options) => ModelResiduals.PrecisionOf(likelihood);

    private protected LeastSquaresOptimizer(Residuals residuals, TOptions options)
        : base((residuals ?? throw new ArgumentNullException(nameof(residuals))).Parameters, options) => _residuals = residuals;

    /// <summary>One step on the residuals that the optimizer was made of.</summary>
    /// <exception cref="InvalidOperationException">It was made of a model and a likelihood; or the number of residuals changed in the
    /// step. The parameters are then as before.</exception>
    public StepReport StepOnResiduals() =>
        StepOnResiduals(
            _residuals
                ?? throw new InvalidOperationException(
                    $"This {GetType().Name} was made of a model and a likelihood, without residuals: call StepOnBatch(inputs, targets), or "
                        + "StepOnResiduals(residuals)."
                )
        );

    /// <summary>One step on these residuals of the same parameters: for new points in each step.</summary>
    /// <param name="residuals">r. Not owned.</param>
    /// <exception cref="ArgumentException">They are of other parameters than the optimizer's.</exception>
    /// <exception cref="InvalidOperationException">The number of residuals changed in the step. The parameters are then as
    /// before.</exception>
    public StepReport StepOnResiduals(Residuals residuals)
    {
        ArgumentNullException.ThrowIfNull(residuals);
        RequireOwn(residuals.Parameters);
        Linearization? at = null;
        DampedSystem? system = null;
        try
        {
            var report = Advance(
                residuals.Parameters,
                () =>
                {
                    at = residuals.Linearize();
                    if (at.Fallback is { } reason)
                        Log($"the Jacobian was computed row by row because {reason}");
                    using var off = no_grad();
                    system = System(at, residuals.Ranks);
                    return (HalfSquare(at.R, residuals.Ranks), system.Gradient);
                },
                (loss, _, scale) =>
                    IsFlat(at!, system!, loss)
                        ? NoStep(loss, "the Jacobian is zero") with
                        {
                            LeastSquaresStatus = Amari.LeastSquaresStatus.Stuck,
                        }
                        : Update(residuals, at!, system!, loss, scale)
            );
            if (report.Outcome == StepOutcome.Skipped)
                Report = report with { LeastSquaresStatus = Amari.LeastSquaresStatus.NotFinite };
            return Report!;
        }
        finally
        {
            at?.Dispose();
        }
    }

    /// <summary>Steps on the residuals that the optimizer was made of, until a tolerance is met or no step helps.</summary>
    /// <remarks>If many steps in a row change the loss by other amounts than the linear model says, or no step helps, or the limit is
    /// reached, then the Jacobian is compared with finite differences of the residuals.</remarks>
    /// <param name="maxSteps">Maximum number of steps, ≥ 1.</param>
    /// <param name="tolerances">Null takes the defaults.</param>
    /// <param name="visit">Called with the report of each step.</param>
    /// <returns>The status with its reason. The parameters are those of the last good step.</returns>
    /// <exception cref="InvalidOperationException">As of <see cref="StepOnResiduals()"/>; or the learning rate is 0.</exception>
    public LeastSquaresResult Solve(int maxSteps = 1000, LeastSquaresTolerances? tolerances = null, Action<StepReport>? visit = null)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(maxSteps, 1);
        if (Group.Options.LearningRate == 0)
            throw new InvalidOperationException("LearningRate is 0, so no step changes the parameters; it must be > 0 to solve a problem.");
        tolerances ??= new();
        long evaluations = 0;
        int unpredicted = 0, // steps in a row
            bearable = FirstCheck,
            checks = 0;
        for (int steps = 1; ; steps++)
        {
            var report = StepOnResiduals();
            evaluations += report.Evaluations ?? 0;
            visit?.Invoke(report);
            var status = tolerances.Met(report) ?? report.LeastSquaresStatus ?? (steps == maxSteps ? LeastSquaresStatus.StepLimit : null);
            unpredicted = IsPredicted(report) ? 0 : unpredicted + 1;
            WrongRow? wrong = null;
            bool doubtful =
                status is LeastSquaresStatus.Stuck or LeastSquaresStatus.StepLimit || (status is null && unpredicted >= bearable);
            if (doubtful && GradientNorm > 0)
            {
                wrong = JacobianCheck.Find(_residuals!);
                (checks, bearable) = (checks + 1, 2 * bearable);
                evaluations += JacobianCheck.Evaluations;
            }
            if (wrong is not null)
                status = LeastSquaresStatus.WrongJacobian;
            if (status is { } reached)
                return new(reached, report.LossAfter, steps, evaluations, steps + checks, report) { Wrong = wrong };
        }
    }

    /// <summary>Whether a step was taken that changed the loss about as the linear model said.</summary>
    private static bool IsPredicted(StepReport report) =>
        report.Outcome == StepOutcome.Accepted && Math.Abs(report.ReductionRatio!.Value - 1) <= Unpredicted;

    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">The optimizer was made of residuals, without a model and a likelihood.</exception>
    public override StepReport StepOnBatch(Tensor inputs, Tensor targets)
    {
        if (Model is null)
            throw new InvalidOperationException(
                $"This {GetType().Name} was made of residuals, without a model and a likelihood: call StepOnResiduals()."
            );
        using var scope = NewDisposeScope();
        var residuals = new ModelResiduals(Model, Likelihood!, inputs, targets, Layout(), Ranks);
        var report = StepOnResiduals(residuals.OfCurve() ?? (Residuals)residuals);
        double constant = residuals.Constant();
        return Report =
            constant == 0 ? report : report with { LossBefore = report.LossBefore + constant, LossAfter = report.LossAfter + constant };
    }

    /// <inheritdoc/>
    public override Tensor step(Func<Tensor>? closure = null) =>
        throw new InvalidOperationException(
            $"{GetType().Name} needs residuals, not only their loss: call StepOnBatch(inputs, targets), or StepOnResiduals() if it was "
                + "made of residuals."
        );

    /// <summary>The systems to solve at a linearization.</summary>
    /// <param name="at">r and J.</param>
    /// <param name="ranks">The ranks over which rows are divided.</param>
    private protected abstract DampedSystem System(Linearization at, Communicator ranks);

    /// <summary>One step from parameters where the residuals and the gradient are finite.</summary>
    /// <param name="residuals">r.</param>
    /// <param name="at">Its linearization at w.</param>
    /// <param name="system">Of <paramref name="at"/>.</param>
    /// <param name="loss">½ |r|².</param>
    /// <param name="clip">The factor in (0, 1] by which the gradient, and so the step, is clipped.</param>
    private protected abstract StepReport Update(Residuals residuals, Linearization at, DampedSystem system, double loss, double clip);

    private protected sealed override StepReport Update(Objective objective, double loss, Tensor gradient) =>
        throw new UnreachableException(); // steps are of residuals

    /// <summary>Whether no residual depends on a parameter, though the loss is above 0. Then there is no step, and nothing says that this
    /// is a minimum.</summary>
    private bool IsFlat(Linearization at, DampedSystem system, double loss) =>
        GradientNorm == 0 && loss > 0 && !at.IsHeld && system.ColumnNorms.max().ToDouble() == 0;

    /// <summary>½ |x|² over all ranks, in float64.</summary>
    private protected static double HalfSquare(Tensor x, Communicator ranks)
    {
        using var scope = NewDisposeScope();
        var wide = x.to_type(ScalarType.Float64);
        return 0.5 * ranks.Sum(wide.dot(wide).ToDouble())[0];
    }

    /// <summary>max |g_j| / (|J_j| |r|).</summary>
    private protected static double GradientCosine(Linearization at, DampedSystem system, double loss)
    {
        using var scope = NewDisposeScope();
        double norm = Math.Sqrt(2 * loss);
        return norm == 0 ? 0 : system.Gradient.abs().div_(system.ColumnNorms).nan_to_num_(0, 0, 0).max().ToDouble() / norm;
    }

    /// <summary>L at the present parameters, of as many residuals as a linearization has.</summary>
    private protected static double Loss(Residuals residuals, Linearization at)
    {
        using var values = residuals.ValuesOf(at);
        return HalfSquare(values, residuals.Ranks);
    }

    /// <summary>|D x|; D is the identity if null.</summary>
    private protected static double Norm(Tensor x, Tensor? scale)
    {
        using var scope = NewDisposeScope();
        return (scale is null ? x : x.mul(scale)).norm().ToDouble();
    }

    /// <summary>|D δ|, where D are the column norms of J: in the unit of the residuals.</summary>
    private protected static double WeightedNorm(DampedSystem system, Tensor step)
    {
        using var scope = NewDisposeScope();
        return Norm(step, WithoutZeros(system.ColumnNorms));
    }

    /// <summary>max(|J w|, |r|), the size of what the residuals are differences of. |D w| is no such size: its terms may
    /// cancel.</summary>
    private protected static double ResidualScale(Residuals residuals, DampedSystem system, Tensor start, double loss)
    {
        using var scope = NewDisposeScope();
        return Math.Sqrt(2 * Math.Max(loss, HalfSquare(system.Apply(start), residuals.Ranks)));
    }

    /// <summary>A change relative to a scale; 0 if there is none.</summary>
    private protected static double Ratio(double change, double scale) => change == 0 ? 0 : change / scale;

    /// <summary>Column norms, where one whose square is 0 counts as 1: no residual depends on its parameter.</summary>
    private protected static Tensor WithoutZeros(Tensor norms) => norms.masked_fill(norms.square().eq(0), 1);

    internal override void RefuseUnshareable(int ranks, bool shardState)
    {
        base.RefuseUnshareable(ranks, shardState);
        if (_residuals is not null)
            throw new NotSupportedException(
                $"This {GetType().Name} was made of residuals, and does not know their rows on other ranks: make it of a model and a "
                    + "likelihood."
            );
        if (Solver.Kind is (LinearSolverKind.Gram or LinearSolverKind.Qr) and var kind)
            throw new NotSupportedException(
                $"The solver {kind} needs the rows of J of all ranks: leave it {nameof(LinearSolver.Automatic)}, or take "
                    + $"{LinearSolverKind.Normal} or {LinearSolverKind.ConjugateGradient}."
            );
    }

    /// <summary>The solver of the options.</summary>
    private protected abstract LinearSolver Solver { get; }

    private void RequireOwn(ParameterLayout parameters)
    {
        var own = Layout();
        if (!Handles(own).SequenceEqual(Handles(parameters)))
            throw new ArgumentException(
                $"The residuals are of other parameters ({string.Join(", ", parameters.Parameters.Select(p => p.Name))}) than those that "
                    + $"{GetType().Name} trains ({string.Join(", ", own.Parameters.Select(p => p.Name))}).",
                nameof(parameters)
            );
    }

    private static IEnumerable<nint> Handles(ParameterLayout layout) => layout.Parameters.Select(p => p.Parameter.Handle);
}
