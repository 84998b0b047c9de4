using Amari.Curvature;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;
using Amari.SecondOrder;

namespace Amari;

/// <summary>Limited-memory BFGS (Nocedal and Wright 2006, Algorithm 7.5) with a strong Wolfe line search.</summary>
/// <remarks><code>
/// p = -H g              H from the last pairs s = Δw, y = Δg of the gradients, H₀ = (s'y / y'y) I
/// w ← w + t p           t by the line search, which tries η first;  without pairs p = -g, and η min(1, 1 / |g|₁) is first,
///                       or the t that moves the parameters by √ε of their size
/// </code>
/// A step has up to <see cref="Options.Iterations"/> iterations on one batch. Both gradients of a pair come from the same batch. Pairs are
/// kept from step to step, and saved, so many short steps on one loss are as good as one long step. If a step does not start at the loss
/// where the last one ended, the data is taken to be different, and at most the last 10 pairs are used. The history is discarded if other
/// parameters are trained than before, if a step was rejected, or if it gives no direction of descent. The step then follows the gradient,
/// and an event is logged.</remarks>
/// <example><code>
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// using var optimizer = new Lbfgs(model, new Categorical());
/// for (int step = 0; step &lt; 3; step++)
///     Console.WriteLine(optimizer.StepOnBatch(x, y).LossAfter);
/// </code></example>
public sealed partial class Lbfgs : SecondOrderOptimizer<Lbfgs.Options>
{
    private const long Memory = 64L << 20,
        Fewest = 10,
        Most = 100; // bytes, and pairs
    private LbfgsHistory _history = new();
    private IReadOnlyList<string> _names = []; // the parameters that the history is over

    /// <summary>Hyper-parameters of <see cref="Lbfgs"/>. The learning rate η is the first step size of the line search, or the step size
    /// without one; leave it at 1 with a line search and all of the data.</summary>
    public sealed record Options() : OptimizerOptions(learningRate: 1)
    {
        /// <summary>Maximum number of iterations per step, ≥ 1.</summary>
        public int Iterations
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 20;

        /// <summary>Number of pairs kept, ≥ 1. Null keeps as many as fit in 64 MiB, but at least 10 and at most 100. A pair takes twice the
        /// memory of the parameters.</summary>
        public int? History
        {
            get;
            init => field = value is { } n ? Require.AtLeast(1, n) : null;
        }

        /// <summary>The step ends when no entry of the gradient is larger, > 0.</summary>
        public double GradientTolerance
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-7;

        /// <summary>How the step size along a direction is chosen.</summary>
        public LineSearch LineSearch
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>c₁ in (0, 1), below c₂: the decrease must be at least this share of what the slope predicts.</summary>
        public double SufficientDecrease
        {
            get;
            init => field = Require.Share(value);
        } = 1e-4;

        /// <summary>c₂ in (0, 1): the remaining slope must be at most this share of the slope at the start.</summary>
        public double SlopeTolerance
        {
            get;
            init => field = Require.Share(value);
        } = 0.9;

        /// <summary>Maximum number of evaluations per line search, ≥ 1.</summary>
        public int MaxEvaluations
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 25;

        /// <summary>Whether a step that raised the loss of its batch is undone. With a line search no step raises it.</summary>
        public bool StepRejection { get; init; } = true;
    }

    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output: the loss is its mean negative logarithm.</param>
    /// <param name="options">Null takes the defaults.</param>
    public Lbfgs(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null)
        : base(model, likelihood, options ?? new()) { }

    /// <summary>Over the parameters of any function that is passed to <c>step(closure)</c>.</summary>
    public Lbfgs(IEnumerable<Parameter> parameters, Options? options = null)
        : base(parameters, options ?? new()) { }

    /// <summary>Number of pairs that are not used because s'y is not positive beyond rounding: the loss has no positive curvature
    /// there.</summary>
    public long SkippedPairs { get; private set; }

    /// <inheritdoc/>
    public override long StateBytes => base.StateBytes + _history.Bytes;

    /// <summary>Where the iterations on a batch are.</summary>
    private readonly record struct Position(Tensor W, double Loss, Tensor Gradient);

    private protected override StepReport Update(Objective objective, double loss, Tensor gradient)
    {
        RequireUsable();
        var (o, layout) = (Group.Options, objective.Parameters);
        int pairs = o.History ?? (int)Math.Clamp(Memory / (2 * layout.Dimension * gradient.ElementSize), Fewest, Most);
        Follow(layout, IsContinued(objective, loss) ? pairs : (int)Math.Min(pairs, Fewest));
        using var scope = NewDisposeScope();
        using var trial = new TrialStep(objective, loss);
        var start = new Position(trial.Start, loss, gradient);
        var now = start;
        double size = 0;
        long skipped = SkippedPairs;
        int iterations = 0,
            evaluations = 1;
        while (iterations < o.Iterations && LargestEntry(now.Gradient) > o.GradientTolerance)
        {
            using var inner = NewDisposeScope();
            var p = _history.Direction(now.Gradient);
            var (end, unbounded) = Search(objective, now, p, ref evaluations);
            if (end.Step == 0)
            {
                layout.Write(now.W);
                if (_history.Count == 0)
                    break;
                Forget("the loss falls along no direction that the history gives");
                continue;
            }
            iterations++;
            size = end.Step;
            var s = p.mul(end.Step);
            double change = LargestEntry(s);
            bool curves = end.IsFinite && _history.Add(s, end.Gradient.sub(now.Gradient), pairs);
            if (end.IsFinite && !curves)
                SkippedPairs++;
            now = Advance(start, now, p, end);
            if (!end.IsFinite || (unbounded && !curves) || change <= finfo(layout.Type).eps * LargestEntry(now.W))
                break;
        }
        bool moved = iterations > 0 || LargestEntry(now.Gradient) <= o.GradientTolerance;
        bool accepted = moved && double.IsFinite(now.Loss) && !(o.StepRejection && trial.Rises(now.Loss));
        if (accepted)
        {
            layout.Write(now.W);
            trial.Keep();
        }
        Adapted = accepted ? now.Loss : loss; // where the next step begins, if it is on the same data
        if (!accepted)
            Forget("a step was rejected");
        if (SkippedPairs > skipped)
            Log("a pair of step and change of the gradient was left out: the loss does not curve up along it");
        return Made(accepted, loss, now.Loss, now.W - start.W, 1, null, null) with
        {
            StepSize = size,
            Iterations = iterations,
            Evaluations = evaluations,
        };
    }

    private void RequireUsable()
    {
        var o = Group.Options;
        if (MaxGradientNorm is not null)
            throw new InvalidOperationException(
                "L-BFGS cannot clip, for differences of clipped gradients are no curvature: leave MaxGradientNorm null and lower the "
                    + "learning rate."
            );
        if (o.SufficientDecrease >= o.SlopeTolerance)
            throw new InvalidOperationException(
                FormattableString.Invariant(
                    $"SufficientDecrease is {o.SufficientDecrease}; it must be below SlopeTolerance, {o.SlopeTolerance}."
                )
            );
    }

    /// <summary>The point found along p, at a step of 0 where the loss does not fall; and whether it still fell at the furthest.</summary>
    private (StrongWolfe.Point End, bool Unbounded) Search(Objective objective, Position now, Tensor p, ref int evaluations)
    {
        var (o, layout) = (Group.Options, objective.Parameters);
        var start = new StrongWolfe.Point(0, now.Loss, InnerProducts.Of(now.Gradient, p).AB, now.Gradient);
        double first = o.LearningRate;
        if (_history.Count == 0) // p is the gradient, and has no length of its own
            first *= Math.Max(Math.Min(1, 1 / now.Gradient.abs().sum().ToDouble()), Noticeable());
        if (!(start.Slope < 0))
            return (start, false);
        int evaluated = 0;
        StrongWolfe.Point end;
        bool unbounded = false;
        if (o.LineSearch == LineSearch.None)
            end = At(first);
        else
        {
            double rounding = finfo(layout.Type).eps * Math.Abs(now.Loss);
            var search = new StrongWolfe(At, o.SufficientDecrease, o.SlopeTolerance, o.MaxEvaluations, rounding);
            end = search.Search(start, first, isGuess: _history.Count == 0);
            unbounded = search.IsUnbounded;
        }
        evaluations += evaluated;
        if (unbounded)
            Log("the loss fell without a minimum along a direction, as far as the line search went: it may have no lower bound");
        return (end, unbounded);

        double Noticeable() => // a tiny gradient would be lost in the rounding of the parameters
            o.LineSearch == LineSearch.None ? 0 : Math.Sqrt(finfo(layout.Type).eps) * LargestEntry(now.W) / LargestEntry(now.Gradient);

        StrongWolfe.Point At(double t)
        {
            if (t > finfo(layout.Type).max)
                return new(t, double.PositiveInfinity, double.NaN, zeros_like(p));
            layout.Write(now.W.add(p, alpha: t));
            var (value, at) = objective.Gradient();
            evaluated++;
            return new(t, value, InnerProducts.Of(at, p).AB, at);
        }
    }

    /// <summary>w + t p, in the outer scope; what is no longer needed is freed, but for where the step began.</summary>
    private static Position Advance(Position start, Position now, Tensor p, StrongWolfe.Point end)
    {
        var next = now.W.add(p, alpha: end.Step);
        if (!ReferenceEquals(now.W, start.W))
            now.W.Dispose();
        if (!ReferenceEquals(now.Gradient, start.Gradient))
            now.Gradient.Dispose();
        return new(next.MoveToOuterDisposeScope(), end.Loss, end.Gradient.MoveToOuterDisposeScope());
    }

    private bool IsContinued(Objective objective, double loss) =>
        Adapted is { } last && Math.Abs(loss - last) <= TrialStep.RoundingError(objective.Parameters, last);

    private static double LargestEntry(Tensor x) => GradientCheck.LargestMagnitude(x);

    /// <summary>The history is one of the parameters that are trained now.</summary>
    private void Follow(ParameterLayout layout, int pairs)
    {
        List<string> names = [.. layout.Parameters.Select(p => p.Name)];
        if (!names.SequenceEqual(_names) && _history.Count > 0)
            Forget("other parameters are trained than before");
        _names = names;
        _history.To(layout.Type, layout.Device);
        _history.Trim(pairs);
    }

    private void Forget(string reason)
    {
        if (_history.Count > 0)
            Log($"the history was forgotten: {reason}");
        _history.Dispose();
    }
}
