using Amari.Curvature;
using Amari.Kernels;
using Amari.Kronecker;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

// From gradients to directions, and along those.
public sealed partial class Kfac
{
    private const string Unmeasured = "it has a gradient but no factors yet: it does not move until they are measured, at its next use";
    private readonly GrowthBound _growth = new();
    private readonly StepRuleChoice _rules;
    private readonly BlockUpdate _update = new();
    private double? _choosing; // seconds that this step's choice of γ² took

    /// <summary>The rule in force: that of <see cref="Options.Step"/>, or what an <see cref="AutoStep"/> chose at the first step;
    /// a <see cref="FixedStep"/> before.</summary>
    public StepRule StepRule => _rules.Options;

    /// <summary>ν of the last step: 1 if the KL clip did not shorten it.</summary>
    public double KlScale => _rules.Fixed.KlScale;

    Options IStepOwner.Options => Shared;

    void IStepOwner.Refresh() => Estimate.Refresh(_step);

    void IStepOwner.Remeasure() => Estimate.IsDue = true;

    void IStepOwner.Log(string message) => Log("all", message);

    /// <summary>λ of a block: its group's own, adapted as the first group's is.</summary>
    private double DampingOf(CurvatureBlock block) =>
        _rateOf[block].Group is var group && ReferenceEquals(group, Group) ? Damping : group.Options.Damping * (Damping / Shared.Damping);

    /// <summary>What the inverse of a block is damped by: γ² in the place of λ, if they have parted.</summary>
    private double InverseDampingOf(CurvatureBlock block)
    {
        double own = DampingOf(block);
        return _rules.Active.FactorDamping is { } gamma ? own * (gamma / Damping) : own;
    }

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
        var (rule, options) = (_rules.Active, StepRule);
        using var batch = options.MakesModel ? ModelBatch.Of(Estimate, _likelihood!, Shared.Reduction, options.ModelBatchSize) : null;
        bool choosing = batch is not null && active.Count > 0 && _step % rule.FactorDampingInterval == 0;
        _choosing = choosing ? Timed(() => rule.ChooseFactorDamping(Propose)) : null;
        var step = Propose();
        bool idle = active.Count == 0 && Estimate.Blocks.Any(b => b.IsReached) && !_fallback.parameters().Any(p => p.grad is not null);
        string? failure =
            rule.IsModelled && batch is null ? "no forward pass of the model since the last step, so that there is no quadratic model"
            : !double.IsFinite(step.Directions.Sum(d => d.Products.AB)) ? "the direction was not finite"
            : idle ? "no layer with a gradient has factors"
            : null;
        if (failure is not null)
        {
            _failed++;
            CountSkipped(failure, _step - _failed);
            Log("all", failure + "; the step was skipped");
            return;
        }
        var length = rule.Choose(step, predicts: Adapts);
        if (_batch is null || active.Count == 0)
            Take(rule, step, length);
        else
            Try(rule, step, length, Math.Sqrt(step.Directions.Sum(d => d.Products.AA)) / clip);
        _fallback.StepScaled(scale);

        ProposedStep Propose() => new(gradients.ConvertAll(g => DirectionOf(g.block, g.Item2, rule)), batch, clip);
    }

    private double Timed(Action work)
    {
        long start = Clock.GetTimestamp();
        work();
        return Clock.GetElapsedTime(start).TotalSeconds;
    }

    private Direction DirectionOf(CurvatureBlock block, Tensor v, ActiveStepRule rule)
    {
        var u = Estimate.Precondition(block, v);
        if (block.Parameters.Any(p => !CurvatureBlock.HasGradient(p))) // they stay
            u = u.mul(block.Join([.. block.Parameters.Select(p => CurvatureBlock.HasGradient(p) ? ones_like(p) : zeros_like(p))]));
        var b = _momentum.GetValueOrDefault(block);
        return new(block, _rateOf[block], DampingOf(block), v, u, b, InnerProducts.Of(v, u, rule.IsModelled ? b : null));
    }

    /// <summary>A deep cut has the curvature measured.</summary>
    double IStepOwner.Bounded(double square, double already)
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
        if (_growth.IsOutrun)
            Warnings.Once(
                FormattableString.Invariant(
                    $"K-FAC: {_growth.Cuts} steps one after another were cut by MaxGrowth. Their lengths grow without "
                ) + "end: lower the learning rate or raise Damping."
            );
        Estimate.IsDue |= GrowthBound.IsHard(scale);
        return scale;
    }

    /// <summary>b ← μ b + α U, w ← (1 - η λw) w - η b, within what the rule lets it do.</summary>
    /// <returns>|Δw|; 0 when nobody asks.</returns>
    private double Take(ActiveStepRule rule, ProposedStep step, StepLength length)
    {
        using var before = rule.Watch(step);
        double squares = 0;
        List<(Tensor B, double Rate)> undecayed = [];
        _update.Clear(); // of a step that an exception ended
        foreach (var d in step.Directions)
        {
            var (block, options) = (d.Block, d.Rate.Group.Options);
            if (options.LearningRate == 0)
                continue;
            var (mu, rate) = rule.Of(d, length);
            if (!_momentum.TryGetValue(block, out var b))
                _momentum[block] = b = zeros(d.U.shape, d.U.dtype, d.U.device).DetachFromDisposeScope();
            double decay = block is NormBlock ? 0 : options.LearningRate * options.WeightDecay;
            bool decays = _batch is not null && options.WeightDecay > 0; // |Δw| is of b and w
            if (!decays && _update.TryAdd(block, b, d.U, new(mu, length.Alpha, rate, decay)))
            {
                if (_batch is not null)
                    undecayed.Add((b, rate));
                continue;
            }
            b.mul_(mu).add_(d.U, alpha: length.Alpha);
            if (_batch is not null && !decays)
                undecayed.Add((b, rate));
            foreach (var (w, part) in block.Parameters.Zip(block.Split(b)))
            {
                if (!CurvatureBlock.HasGradient(w))
                    continue;
                double own = w.dim() > 1 ? decay : 0;
                if (decays)
                {
                    var change = own > 0 ? rate * part + own * w : rate * part;
                    squares += InnerProducts.Of(change, change).AA;
                }
                if (own > 0)
                    w.mul_(1 - own);
                w.add_(part, alpha: -rate);
            }
        }
        _update.Run();
        squares += undecayed.Sum(u => u.Rate * u.Rate * InnerProducts.Of(u.B, u.B).AA);
        squares *= rule.Contain(step, length, before);
        _rates.ForEach(r => r.End());
        return Math.Sqrt(squares);
    }

    void IStepOwner.Shorten(ProposedStep step, double keep)
    {
        foreach (var d in step.Directions)
        {
            if (!_momentum.TryGetValue(d.Block, out var b))
                continue;
            foreach (var (w, part) in d.Block.Parameters.Zip(d.Block.Split(b)))
                if (CurvatureBlock.HasGradient(w))
                    w.add_(part, alpha: (1 - keep) * d.Rate.Share);
            b.mul_(keep);
        }
    }
}
