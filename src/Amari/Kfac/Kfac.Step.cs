using Amari.Curvature;
using Amari.Kernels;
using Amari.Kronecker;
using Amari.Optimizers;

namespace Amari;

// From gradients to directions, and along those.
public sealed partial class Kfac
{
    private const string Unmeasured = "it has a gradient but no factors yet: it does not move until they are measured, at its next use";
    private readonly GrowthBound _growth = new();
    private readonly Dictionary<IParameterGroup<BaseOptions>, double> _momentumRates = []; // the last rate of each group that was not 0

    /// <summary>ν of the last step: 1 if the KL clip did not shorten it.</summary>
    public double KlScale { get; private set; } = 1;

    /// <summary>Where a block goes.</summary>
    /// <param name="Block">The block.</param>
    /// <param name="V">Its gradient.</param>
    /// <param name="U">F⁻¹ V.</param>
    /// <param name="Products">Of V, U and, where there is one and the quadratic model asks, the momentum b.</param>
    private readonly record struct Direction(CurvatureBlock Block, Tensor V, Tensor U, InnerProducts Products);

    /// <summary>λ of a block: its group's own, adapted as the first group's is.</summary>
    private double DampingOf(CurvatureBlock block) =>
        _groupOf[block] is var group && ReferenceEquals(group, Group) ? Damping : group.Options.Damping * (Damping / Shared.Damping);

    private double RateOf(CurvatureBlock block) => _groupOf[block].Options.LearningRate;

    private void Update(double? gradientScale)
    {
        foreach (var block in Estimate.Blocks.Where(b => !b.IsMeasured && b.IsUsed))
        {
            block.IsAwaited = true;
            Log(block.Name, Unmeasured);
        }
        double mean = Shared.Reduction == LossReduction.Sum && Estimate.Terms > 0 ? 1.0 / Estimate.Terms : 1;
        var active = Estimate.Blocks.Where(b => Estimate.HasInverse(b) && b.IsReached).ToList();
        double clip =
                gradientScale
                ?? (MaxGradientNorm is null ? 1 : ClipScale(mean * mean * (_fallback.SumOfSquaredGradients() + SumOfSquares(active)))),
            scale = mean * clip;
        var gradients = active.ConvertAll(block =>
        {
            var v = block.JoinGradients();
            return (block, scale == 1 ? v : v.mul(scale)); // v may be the gradient itself
        });
        var rule = StepRule;
        var examples = ExamplesOf(rule);
        _choosing =
            examples is { } some && active.Count > 0 && FactorAdaptation is { } adaptation && _step % adaptation.Interval == 0
                ? Timed(() => ChooseFactorDamping(gradients, some, clip))
                : null;
        var steps = new List<Direction>(active.Count);
        double product = 0,
            length = 0,
            squares = 0; // Σ η² ⟨U, V⟩, Σ ⟨U, V⟩, and |V|² for the report of a step
        bool finite = true;
        foreach (var (block, v) in gradients)
        {
            var (step, rate) = (DirectionOf(block, v), RateOf(block));
            product += rate * rate * step.Products.AB;
            length += step.Products.AB;
            finite &= double.IsFinite(length);
            squares += step.Products.AA;
            steps.Add(step);
        }
        if (rule is QuadraticStep && examples is null)
        {
            SkippedSteps++;
            Log("all", "no forward pass of the model since the last step, so that there is no quadratic model; the step was skipped");
            return;
        }
        bool idle = active.Count == 0 && Estimate.Blocks.Any(b => b.IsReached) && !_fallback.parameters().Any(p => p.grad is not null);
        if (!finite || idle)
        {
            SkippedSteps++;
            Log("all", (finite ? "no layer with a gradient has factors" : "the direction was not finite") + "; the step was skipped");
            return;
        }
        double nu = 1;
        if (rule is FixedStep { KlClip: var most })
        {
            nu = KlScale = most is { } c && product > c ? Math.Sqrt(c / product) : 1;
            nu = Math.Min(nu, Bounded(length, nu));
        }
        Move(steps, examples, nu, clip, Math.Sqrt(squares) / clip);
        _fallback.StepScaled(scale);
    }

    private double Timed(Action work)
    {
        long start = Clock.GetTimestamp();
        work();
        return Clock.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>What the growth bound multiplies a step by; a cut below <paramref name="already"/> is counted, and a deep one has the
    /// curvature measured.</summary>
    private double Bounded(double square, double already = 1)
    {
        double scale = _growth.Scale(square, Shared.MaxGrowth);
        if (scale >= already)
            return scale;
        Log(
            "all",
            FormattableString.Invariant(
                $"the squared length of the step was more than {Shared.MaxGrowth} times its running mean; the step was cut to that"
            )
        );
        Estimate.IsDue |= GrowthBound.IsHard(scale);
        return scale;
    }

    private Direction DirectionOf(CurvatureBlock block, Tensor v)
    {
        var u = Estimate.Precondition(block, v);
        if (block.Parameters.Any(p => !CurvatureBlock.HasGradient(p))) // they stay
            u = u.mul(block.Join([.. block.Parameters.Select(p => CurvatureBlock.HasGradient(p) ? ones_like(p) : zeros_like(p))]));
        return new(block, v, u, InnerProducts.Of(v, u, StepRule is QuadraticStep ? _momentum.GetValueOrDefault(block) : null));
    }

    /// <summary>b ← μ b + α U, w ← (1 - η λw) w - η b; by the options of the group, or with a given μ and -b as it is.</summary>
    /// <returns>|Δw|; 0 when nobody asks.</returns>
    private double Take(List<Direction> steps, Examples? examples, QuadraticModel? model, double alpha, double? given)
    {
        bool contained = model is not null && Shared.MaxGrowth is not null;
        using var outputs = contained ? OutputOf(steps, examples!.Value) : null;
        double squares = 0;
        foreach (var (block, _, u, _) in steps)
        {
            var options = _groupOf[block].Options;
            double mu = given ?? Carried(block),
                length = given is null ? options.LearningRate : Share(_groupOf[block]);
            if (options.LearningRate == 0)
                continue;
            if (!_momentum.TryGetValue(block, out var b))
                _momentum[block] = b = zeros(u.shape, u.dtype, u.device).DetachFromDisposeScope();
            b.mul_(mu).add_(u, alpha: alpha);
            if (_batch is not null && options.WeightDecay == 0)
                squares += length * length * InnerProducts.Of(b, b).AA;
            foreach (var (w, d) in block.Parameters.Zip(block.Split(b)))
            {
                if (!CurvatureBlock.HasGradient(w))
                    continue;
                double decay = w.dim() > 1 && block is not NormBlock ? options.LearningRate * options.WeightDecay : 0;
                if (_batch is not null && options.WeightDecay > 0)
                {
                    var change = decay > 0 ? length * d + decay * w : length * d;
                    squares += InnerProducts.Of(change, change).AA;
                }
                if (decay > 0)
                    w.mul_(1 - decay);
                w.add_(d, alpha: -length);
            }
        }
        if (contained)
            squares *= Contain(steps, examples!.Value, outputs, model!.Value.Divergence(alpha, given!.Value));
        foreach (var group in _groups.Where(g => g.LearningRate > 0))
            _momentumRates[group] = group.LearningRate;
        return Math.Sqrt(squares);
    }

    /// <summary>μ of fixed steps, less where the rate rises: what the momentum holds was clipped at the rate of before.</summary>
    private double Carried(CurvatureBlock block)
    {
        var group = _groupOf[block];
        double momentum = (group.Options as GroupOptions)?.Momentum ?? Shared.Step.OwnMomentum ?? 0;
        return _momentumRates.TryGetValue(group, out double before) && before < group.LearningRate
            ? momentum * (before / group.LearningRate)
            : momentum;
    }
}
