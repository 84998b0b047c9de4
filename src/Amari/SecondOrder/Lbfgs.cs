using System.Text.Json.Nodes;
using Amari.Curvature;
using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;
using Amari.SecondOrder;

namespace Amari;

/// <summary>Limited-memory BFGS (Nocedal and Wright 2006, Algorithm 7.5) with a strong Wolfe line search.</summary>
/// <remarks><code>
/// p = -H g              H from the last pairs s = Δw, y = Δg of the gradients, H₀ = (s'y / y'y) I
/// w ← w + t p           t by the line search, η tried first;  without pairs p = -g, and η min(1, 1 / |g|₁) is first,
///                       or what moves the parameters by √ε of their size
/// </code>
/// A step is up to <see cref="Options.Iterations"/> iterations on one batch. A pair is always of one batch. Pairs are kept from step to
/// step, and saved: many short steps on one loss are as good as one long one. A step that does not begin at the loss where the last one
/// ended is on other data; it goes on with the last 10 pairs at most, whose curvature is taken to be alike. The history is forgotten, with
/// an event, when other parameters are trained than before, when a step was rejected, and when it gives no direction along which the loss
/// falls; the gradient is taken then.</remarks>
public sealed class Lbfgs : SecondOrderOptimizer<Lbfgs.Options>
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
        /// <summary>Most iterations on a batch, ≥ 1.</summary>
        public int Iterations
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 20;

        /// <summary>Pairs kept, ≥ 1; null for as many as 64 MiB hold, from 10 to 100. A pair takes the memory of the parameters
        /// twice.</summary>
        public int? History
        {
            get;
            init => field = value is { } n ? Require.AtLeast(1, n) : null;
        }

        /// <summary>Largest gradient entry at which it stops, > 0.</summary>
        public double GradientTolerance
        {
            get;
            init => field = Require.Positive(value);
        } = 1e-7;

        /// <summary>How far it goes along a direction.</summary>
        public LineSearch LineSearch
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>c₁ in (0, 1), below c₂: the share of the decrease that the slope promises which the line search demands.</summary>
        public double SufficientDecrease
        {
            get;
            init => field = Require.Share(value);
        } = 1e-4;

        /// <summary>c₂ in (0, 1): the share of the slope that the line search leaves.</summary>
        public double SlopeTolerance
        {
            get;
            init => field = Require.Share(value);
        } = 0.9;

        /// <summary>Most evaluations of a line search, ≥ 1.</summary>
        public int MaxEvaluations
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 25;

        /// <summary>Whether a step that raised the loss on its batch is taken back; with a line search none does.</summary>
        public bool StepRejection { get; init; } = true;
    }

    /// <summary>Over all trainable parameters of <paramref name="model"/>.</summary>
    /// <param name="model">Not owned.</param>
    /// <param name="likelihood">p(y | f) of its output: the loss is its mean negative logarithm.</param>
    /// <param name="options">Defaults if null.</param>
    public Lbfgs(nn.Module<Tensor, Tensor> model, Likelihood likelihood, Options? options = null)
        : base(model, likelihood, options ?? new()) { }

    /// <summary>Over parameters of any function, which <c>step(closure)</c> is given.</summary>
    public Lbfgs(IEnumerable<Parameter> parameters, Options? options = null)
        : base(parameters, options ?? new()) { }

    /// <summary>How many pairs were not used, since s'y was not positive beyond rounding: the loss curves down there, or not at
    /// all.</summary>
    public long SkippedPairs { get; private set; }

    /// <inheritdoc/>
    public override long StateBytes => base.StateBytes + _history.Bytes;

    private protected override StepReport Update(Objective objective, double loss, Tensor gradient)
    {
        if (MaxGradientNorm is not null)
            throw new InvalidOperationException(
                "L-BFGS cannot clip, for differences of clipped gradients are no curvature: leave MaxGradientNorm null and lower the "
                    + "learning rate."
            );
        var (o, layout) = (Group.Options, objective.Parameters);
        if (o.SufficientDecrease >= o.SlopeTolerance)
            throw new InvalidOperationException(
                FormattableString.Invariant(
                    $"SufficientDecrease is {o.SufficientDecrease}; it must be below SlopeTolerance, {o.SlopeTolerance}."
                )
            );
        int pairs = o.History ?? (int)Math.Clamp(Memory / (2 * layout.Dimension * gradient.ElementSize), Fewest, Most);
        Follow(layout, IsContinued(objective, loss) ? pairs : (int)Math.Min(pairs, Fewest));
        using var scope = NewDisposeScope();
        var before = layout.Read();
        var (w, g, now) = (before, gradient, loss);
        double size = 0;
        long skipped = SkippedPairs;
        bool unbounded = false;
        int iterations = 0,
            evaluations = 1;
        while (iterations < o.Iterations && LargestEntry(g) > o.GradientTolerance)
        {
            using var inner = NewDisposeScope();
            var p = _history.Direction(g);
            double slope = InnerProducts.Of(g, p).AB,
                first = o.LearningRate;
            if (_history.Count == 0)
                first *= Math.Max(Math.Min(1, 1 / g.abs().sum().ToDouble()), Noticeable(w, g));
            var start = new StrongWolfe.Point(0, now, slope, g);
            var end = slope < 0 ? Next(start, first) : start;
            if (end.Step == 0)
            {
                layout.Write(w);
                if (_history.Count == 0)
                    break;
                Forget("the loss falls along no direction that the history gives");
                continue;
            }
            iterations++;
            var (there, s) = (w.add(p, alpha: end.Step), p.mul(end.Step));
            double change = LargestEntry(s);
            bool curves = end.IsFinite && _history.Add(s, end.Gradient.sub(g), pairs);
            if (end.IsFinite && !curves)
                SkippedPairs++;
            if (!ReferenceEquals(w, before))
                w.Dispose();
            if (!ReferenceEquals(g, gradient))
                g.Dispose();
            (w, g, now, size) = (there.MoveToOuterDisposeScope(), end.Gradient.MoveToOuterDisposeScope(), end.Loss, end.Step);
            if (!end.IsFinite || (unbounded && !curves) || change <= finfo(layout.Type).eps * LargestEntry(w))
                break;

            double Noticeable(Tensor w, Tensor g) => // a tiny gradient would be lost in the rounding of the parameters
                o.LineSearch == LineSearch.None ? 0 : Math.Sqrt(finfo(layout.Type).eps) * LargestEntry(w) / LargestEntry(g);

            StrongWolfe.Point Next(StrongWolfe.Point start, double first)
            {
                if (o.LineSearch == LineSearch.None)
                    return At(first);
                double rounding = finfo(layout.Type).eps * Math.Abs(now);
                var search = new StrongWolfe(At, o.SufficientDecrease, o.SlopeTolerance, o.MaxEvaluations, rounding);
                var found = search.Search(start, first);
                unbounded = search.IsUnbounded;
                if (unbounded)
                    Log("the loss fell without a minimum along a direction, as far as the line search went: it may have no lower bound");
                return found;
            }

            StrongWolfe.Point At(double t)
            {
                layout.Write(w.add(p, alpha: t));
                var (value, at) = objective.Gradient();
                evaluations++;
                return new(t, value, InnerProducts.Of(at, p).AB, at);
            }
        }
        bool moved = iterations > 0 || LargestEntry(g) <= o.GradientTolerance;
        bool accepted = moved && double.IsFinite(now) && !(o.StepRejection && now > loss + TrialStep.RoundingError(objective, loss));
        layout.Write(accepted ? w : before);
        Adapted = accepted ? now : loss; // where the next step begins, if it is on the same data
        if (!accepted)
            Forget("a step was rejected");
        if (SkippedPairs > skipped)
            Log("a pair of step and change of the gradient was left out: the loss does not curve up along it");
        return Made(accepted, loss, now, w - before, 1, null, null) with
        {
            StepSize = size,
            Iterations = iterations,
            Evaluations = evaluations,
        };
    }

    private bool IsContinued(Objective objective, double loss) =>
        Adapted is { } last && Math.Abs(loss - last) <= TrialStep.RoundingError(objective, last);

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

    /// <inheritdoc/>
    public override OptimizerSnapshot Snapshot()
    {
        var (tensors, values) = base.Snapshot();
        values["skippedPairs"] = SkippedPairs;
        values["historyOf"] = new JsonArray([.. _names.Select(n => (JsonNode)n)]);
        return new(
            _history.Tensors.Aggregate(
                tensors.ToDictionary(),
                (all, t) =>
                {
                    all[t.Name] = t.Tensor;
                    return all;
                }
            ),
            values
        );
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        List<string> names = [.. snapshot.Values["historyOf"]?.AsArray().Select(n => (string)n!) ?? []];
        long skipped = SavedState.Count(snapshot.Values, "skippedPairs", optional: true);
        var sizes = Group.Parameters.ToDictionary(p => p.Name, p => p.Parameter.numel());
        var history = LbfgsHistory.Of(snapshot.Tensors, names.Sum(n => sizes.GetValueOrDefault(n)));
        try
        {
            base.Restore(snapshot);
        }
        catch
        {
            history.Dispose();
            throw;
        }
        _history.Dispose();
        (_history, _names, SkippedPairs) = (history, names, skipped);
    }

    /// <summary>It is the last loss.</summary>
    private protected override void RequireAdapted(double value)
    {
        if (!double.IsFinite(value))
            throw new InvalidDataException(FormattableString.Invariant($"The state's last loss is {value}; it must be a finite number."));
    }

    /// <inheritdoc/>
    public override void to(Device device)
    {
        base.to(device);
        if (_history.Count > 0)
            _history.To(_history.Tensors.First().Tensor.dtype, device);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _history.Dispose();
        base.Dispose(disposing);
    }
}
