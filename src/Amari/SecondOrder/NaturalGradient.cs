using System.Globalization;
using Amari.Curvature;
using Amari.Kronecker;
using Amari.Likelihoods;
using Amari.Native;
using Amari.Optimizers;
using Amari.SecondOrder;
using Amari.Solvers;

namespace Amari;

/// <summary>The natural gradient with the whole Fisher matrix (Amari 1998, "Natural gradient works efficiently in learning").</summary>
/// <remarks><code>
/// D = -(F + λ I)⁻¹ g
/// fixed step:        w ← w + η D
/// KL trust region:   w ← w + η s D,  s = √(2 ε / D'FD), so that KL( p(·|w) ‖ p(·|w + s D) ) = ½ s² D'FD + O(s³) = ε
/// line search:       w ← w + t D,  the first t found from η on that satisfies the strong Wolfe conditions
/// adaptive damping:  λ by how well -(g'D + ½ D'FD) predicted the reduction
/// </code>
/// The path of the distribution does not depend on the coordinates, to first order in the step. In a trust region the step does not shrink
/// near the minimum: lower η by a schedule. The empirical Fisher is not the Hessian of the KL: with it the KL is not the target.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new NaturalGradient(model, new Categorical(), new() { KlRadius = 1e-3, Damping = 1e-4 });
/// StepReport report = optimizer.StepOnBatch(x, y);
/// Console.WriteLine($"target KL {report.TargetKl}, achieved {report.AchievedKl}");
/// </code></example>
public sealed class NaturalGradient : SecondOrderOptimizer<NaturalGradient.Options>
{
    private const double Decrease = 1e-4,
        Flatness = 0.9;
    private const int MaxEvaluations = 25;
    private const string Iterative = $"{nameof(LinearSolver)}.{nameof(LinearSolver.ConjugateGradient)}";

    /// <summary>Hyper-parameters of <see cref="NaturalGradient"/>. The learning rate η multiplies the natural gradient, or the step of the
    /// KL trust region: its target KL is then η² ε. A line search tries it first.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1)
    {
        /// <summary>λ > 0, added to the Fisher of the mean over terms; that of the first step, if it adapts.</summary>
        public double Damping
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-3;

        /// <summary>How λ adapts to the loss of each step's batch (Levenberg-Marquardt); null keeps it. A step that raises this loss is
        /// then taken back, and λ rises at once.</summary>
        public AdaptiveDamping? AdaptiveDamping { get; init; }

        /// <summary>Whether a step that raised the loss of its batch is halved until it does not. A KL radius sets the length of steps,
        /// adaptive damping takes such a step back, and a line search does not take it: this option then does nothing.</summary>
        [BeforeAdded(false)]
        public bool StepRejection { get; init; } = true;

        /// <summary>How the step size is chosen along D: a line search costs a gradient per size that it tries, and excludes
        /// <see cref="KlRadius"/>.</summary>
        public LineSearch LineSearch
        {
            get;
            init => field = Require.Defined(value);
        } = LineSearch.None;

        /// <summary>How the expectation over targets is computed.</summary>
        public FisherKind Fisher
        {
            get;
            init => field = FisherKinds.OfOutputs(value);
        }

        /// <summary>Draws per term for <see cref="FisherKind.MonteCarlo"/> and <see cref="FisherKind.CurvaturePropagation"/>, ≥
        /// 1.</summary>
        public int MonteCarloSamples
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 1;

        /// <summary>How the system is solved; not by <see cref="LinearSolver.Qr"/>.</summary>
        public LinearSolver Solver
        {
            get;
            init =>
                field = value switch
                {
                    null => throw new ArgumentNullException(nameof(value)),
                    LinearSolver.Qr => throw new ArgumentException(
                        $"{nameof(Solver)} is {LinearSolverKind.Qr}; it must be {nameof(LinearSolver.Automatic)}, "
                            + $"{LinearSolverKind.Normal}, {LinearSolverKind.Gram} or {LinearSolverKind.ConjugateGradient}."
                    ),
                    _ => value,
                };
        } = new LinearSolver.Automatic();

        /// <summary>ε > 0: KL divergence of a step, mean over terms; null for a fixed step.</summary>
        public double? KlRadius
        {
            get;
            init => field = Require.PositiveOrNull(value);
        }

        /// <summary>Seed of the Monte-Carlo draws; each step makes its own.</summary>
        public long Seed { get; init; }
    }

    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output: the loss is its mean negative logarithm.</param>
    /// <param name="options">Null takes the defaults.</param>
    /// <exception cref="ArgumentException">The dense solver was asked for, and the model is too large for
    /// <see cref="LinearSolver.Dense.MaxDenseBytes"/>.</exception>
    public NaturalGradient(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null)
        : base(model, likelihood, options ?? new())
    {
        if (Group.Options.Solver is LinearSolver.Normal { MaxDenseBytes: var limit })
            RequireDense(limit, Iterative);
    }

    /// <summary>λ of the next step.</summary>
    public double Damping => Group.Options.AdaptiveDamping is null ? Group.Options.Damping : Adapted ?? Group.Options.Damping;

    private protected override bool NeedsOutputs => true;

    private protected override StepReport Update(Objective objective, double loss, Tensor gradient)
    {
        RequireUsable();
        var (o, lambda, likelihood) = (Group.Options, Damping, objective.Likelihood!);
        var (before, counted, terms) = Output(objective);
        var solver = Choose(o, objective, before, terms);
        var fisher = new Fisher(objective, o.Fisher, o.MonteCarloSamples, o.Seed + Steps);
        using var run = fisher.BeginRun();
        var (solution, cg) = Solve(solver, fisher, gradient);
        LogFallback(fisher);
        if (solution is null)
            return Skipped() with { CgIterations = cg?.Iterations, CgStatus = cg?.Status };

        var d = solution.neg_();
        double slope = Dot(gradient, d),
            curvature = Math.Max(0, Dot(d, fisher.Apply(d))),
            size = o.LearningRate;
        if (!double.IsFinite(slope + curvature))
            return Skipped();
        if (o.KlRadius is { } epsilon && slope != 0)
        {
            if (curvature == 0)
                return NoStep(loss, "the step does not change the distribution: no length of it has the asked KL") with
                {
                    Damping = lambda,
                    Solver = solver,
                };
            size *= Math.Sqrt(2 * epsilon / curvature);
        }
        double? achieved = null;
        var report =
            o.LineSearch == LineSearch.StrongWolfe ? Search(objective, loss, gradient, d, size, Promised, Reached)
            : o.AdaptiveDamping is null
                ? Try(objective, loss, d, size, Promised, shorten: o.StepRejection && o.KlRadius is null, reached: Reached)
            : Try(objective, loss, d, size, Promised, least: 0, reached: Reached, gradient: gradient);
        Adapt(report, objective.Parameters.Type);
        return report with
        {
            Damping = lambda,
            Solver = solver,
            CgIterations = cg?.Iterations,
            CgStatus = cg?.Status,
            TargetKl = o.KlRadius * o.LearningRate * o.LearningRate,
            AchievedKl = achieved,
        };

        double Promised(double t) => -(t * slope + 0.5 * t * t * curvature);

        StepReport Skipped() => this.Skipped(loss, curvature: true) with { Damping = lambda, Solver = solver };

        void Reached()
        {
            double sum = 0; // of a rank without examples
            if (Output(objective).Output is { } after)
            {
                var kl = likelihood.KlDivergence(before!, after);
                sum = (counted is null ? kl : kl * counted.reshape(kl.shape)).sum().ToDouble();
            }
            achieved = objective.Ranks.Sum(sum)[0] / terms;
        }
    }

    private void RequireUsable()
    {
        if (Group.Options.LineSearch == LineSearch.None)
            return;
        if (Group.Options.KlRadius is { } epsilon)
            throw new InvalidOperationException(
                FormattableString.Invariant($"KlRadius is {epsilon} and sets the step size, as the line search does: choose one of them.")
            );
        if (MaxGradientNorm is not null)
            throw new InvalidOperationException(
                "The line search needs the slope of the loss, and a clipped gradient has another: leave MaxGradientNorm null."
            );
    }

    /// <summary>The step to the point that a line search finds; none where the loss does not fall.</summary>
    private StepReport Search(
        Objective objective,
        double loss,
        Tensor gradient,
        Tensor d,
        double first,
        Func<double, double> promised,
        Action reached
    )
    {
        using var trial = new TrialStep(objective, loss);
        int evaluations = 0;
        StrongWolfe.Point start = new(0, loss, Dot(gradient, d), gradient);
        double rounding = finfo(objective.Parameters.Type).eps * Math.Abs(loss);
        var end = start.Slope < 0 ? new StrongWolfe(At, Decrease, Flatness, MaxEvaluations, rounding).Search(start, first) : start;
        if (!ReferenceEquals(end.Gradient, gradient))
            end.Gradient.Dispose();
        bool accepted = end.Step > 0;
        if (accepted)
        {
            trial.Move(d, end.Step);
            reached();
            trial.Keep();
        }
        double predicted = promised(end.Step);
        return Made(accepted, loss, end.Loss, d, end.Step, predicted, accepted ? trial.ReductionRatio(end.Loss, predicted) : null) with
        {
            Evaluations = evaluations,
            IsHidden = accepted && trial.Hides(end.Loss, predicted, gradient),
        };

        StrongWolfe.Point At(double t)
        {
            trial.Move(d, t);
            var (value, at) = objective.Gradient();
            evaluations++;
            return new(t, value, Dot(at, d), at);
        }
    }

    private void Adapt(StepReport report, ScalarType type)
    {
        bool rejected = report.Outcome == StepOutcome.Rejected;
        if (Group.Options.AdaptiveDamping is not { } adaptation || (!rejected && Steps % adaptation.Interval != 0))
            return;
        Adapted = TrustRule.Damping(
            Damping,
            rejected ? null : report.ReductionRatio,
            Math.Pow(adaptation.Decay, -adaptation.Interval),
            Group.Options.Damping,
            DampingSettings.Least(type),
            type,
            report.IsHidden
        );
    }

    private protected override double Within(double adapted, ScalarType type) =>
        TrustRule.Within(adapted, Group.Options.Damping, DampingSettings.Least(type), type);

    private (Tensor? Solution, CgResult? Cg) Solve(LinearSolverKind solver, Fisher fisher, Tensor gradient)
    {
        var (o, lambda) = (Group.Options, Damping);
        switch (solver)
        {
            case LinearSolverKind.ConjugateGradient:
                var cg = ConjugateGradient.Solve(fisher.Damped(lambda), gradient, o.Solver.Iteration!.Stopping);
                if (cg.Status == CgStatus.NegativeCurvature)
                    Log($"conjugate gradient stopped early: {cg.Status}");
                return (cg.Status == CgStatus.NotFinite ? null : cg.Solution, cg);
            case LinearSolverKind.Gram:
                using (var a = FisherRoot.Of(fisher.Objective, o.Fisher, o.MonteCarloSamples, o.Seed + Steps))
                {
                    if (a.Fallback is { } reason)
                        Log($"rows of the Jacobian are computed one example at a time, because {reason}");
                    var gram = a.Gram();
                    gram.diagonal().add_(lambda);
                    return Factorised(gram, a.Apply(gradient)) is { } y
                        ? (gradient.sub(a.ApplyTransposed(y)).div_(lambda), null)
                        : (null, null);
                }
            default:
                var f = fisher.ToDense();
                f.diagonal().add_(lambda);
                return (Factorised(f, gradient), null);
        }
    }

    private Tensor? Factorised(Tensor matrix, Tensor b)
    {
        var (solution, definite, outcome) = SymmetricSolve.Solve(matrix, b);
        if (outcome is FactorisationOutcome.Jittered or FactorisationOutcome.DoublePrecision)
            Log("the factorisation failed at first; a little was added to the diagonal");
        else if (!definite && solution is not null)
            Log("the damped matrix is not positive definite to rounding: raise Damping");
        return solution;
    }

    private LinearSolverKind Choose(Options o, Objective objective, Tensor? output, long terms)
    {
        if (o.Solver.Kind is { } kind and not LinearSolverKind.Gram)
            return kind;
        // by ranks that have an example
        double[] sums = objective.Ranks.Sum(output is null ? [0, 0] : [objective.Likelihood!.Outputs(output), 1]);
        long d = Dimension,
            outputs = (long)(sums[0] / sums[1]),
            rows = FisherRoot.Rows(o.Fisher, o.MonteCarloSamples, terms, outputs),
            size = DenseBytes / (3 * d * d),
            most = ((LinearSolver.Dense)o.Solver).MaxDenseBytes;
        double bytes = (2.0 * rows + d) * rows * size;
        if (o.Solver is not LinearSolver.Automatic { Otherwise.MaxIterations: var products })
            return bytes <= most
                ? LinearSolverKind.Gram
                : throw TooLarge(
                    string.Create(CultureInfo.InvariantCulture, $"{rows:N0} rows of {d:N0} parameters"),
                    bytes,
                    most,
                    Iterative
                );
        return rows < d && bytes <= most ? LinearSolverKind.Gram
            : d <= products && DenseBytes <= most ? LinearSolverKind.Normal
            : LinearSolverKind.ConjugateGradient;
    }

    /// <summary>The model's output on this rank's part of the step's batch, null where that is empty; which of its terms count; and how
    /// many of all parts do.</summary>
    private static (Tensor? Output, Tensor? Counted, long Terms) Output(Objective objective)
    {
        using var scope = NewDisposeScope();
        Tensor? output = null,
            counted = null;
        long terms = objective.Walk(
            false,
            piece => (output, counted) = (piece.Output.detach().DetachFromDisposeScope(), piece.Counted?.DetachFromDisposeScope())
        );
        scope.Attach(new[] { output, counted }.OfType<Tensor>()); // the walk has scopes of its own
        return (output?.MoveToOuterDisposeScope(), counted?.MoveToOuterDisposeScope(), terms);
    }
}
