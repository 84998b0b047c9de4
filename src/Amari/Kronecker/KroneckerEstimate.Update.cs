using Amari.Kronecker;
using Amari.Native;
using Amari.Solvers;

namespace Amari.Curvature;

// From what was captured to running factors, from those to inverses, and by those to steps.
public sealed partial class KroneckerEstimate
{
    private const int LastingInterval = 8; // steps that an inverse of low rank is to last
    private long _lastTerms;
    private double? _factorSeconds,
        _inverseSeconds;
    private (CurvatureOptions Options, TimeProvider Clock)? _step; // of the step that is under way
    private long? _finished; // when the last step was, if curvature goes by the clock

    /// <summary>Loss terms of the passes since the last step; of the step before where there was none.</summary>
    internal long Terms { get; private set; }

    /// <summary>The options in force, read once a step.</summary>
    private CurvatureOptions Options => _step?.Options ?? _owner.Curvature;

    /// <summary>What work is timed by, read once a step.</summary>
    private TimeProvider Clock => _step?.Clock ?? _owner.Clock;

    /// <summary>Whether factors and inverses are due, whatever the intervals.</summary>
    internal bool IsDue { get; set; }

    /// <summary>Says what the passes before a step are to measure.</summary>
    /// <param name="step">The step's number.</param>
    /// <param name="keepsBatch">Whether the batch is kept until the step is over.</param>
    /// <param name="keepsOutputs">How many outputs are.</param>
    internal void Arm(long step, bool keepsBatch, long keepsOutputs)
    {
        var options = _owner.Curvature;
        Capture.Active =
            IsDue
            || _schedule.FactorsDue(step, options, _owner.IsModelled)
            || _blocks.Exists(b => b is { IsAwaited: true, IsMeasured: false });
        Capture.Counts = _owner.Reduction == LossReduction.Sum;
        Capture.KeepsOutputs = keepsOutputs;
        Capture.KeepsBatch = keepsBatch;
        Capture.Clock = options.Refresh.TimeFraction is null ? null : _owner.Clock;
    }

    /// <summary>Takes what the passes since the last step measured into the running factors, and inverts those where that is due.</summary>
    /// <param name="step">The step's number.</param>
    internal void Update(long step)
    {
        _step = (_owner.Curvature, _owner.Clock);
        Terms = Capture.Terms;
        LogReports();
        bool finite = _sharing is null ? !Capture.NotFinite : Reduce(_sharing);
        (_factorSeconds, _inverseSeconds) = (null, null);
        if (Capture.Active)
            _factorSeconds = Timed(() => UpdateFactors(finite)) + Capture.Spent.TotalSeconds;
        if (IsDue || _schedule.InverseDue(step, Options, _owner.IsModelled) || _blocks.Exists(b => !HasInverse(b) && b.IsMeasured))
            _inverseSeconds = Timed(() => Refresh(step));
        IsDue = false;
        if (Terms > 0)
            _lastTerms = Terms;
        else
            Terms = _lastTerms; // a step without a pass: on the gradients of the last
    }

    /// <summary>Logs what the capture has to say, and what is of the whole model on standard error too.</summary>
    private void LogReports()
    {
        foreach (var (subject, message) in Capture.Reports)
        {
            _owner.Log(subject, message);
            if (subject == "all")
                Warnings.Once("K-FAC: " + message + ".");
        }
        Capture.Reports.Clear();
    }

    private void UpdateFactors(bool finite)
    {
        if (Capture.Failure is { } failure)
            throw new InvalidOperationException($"K-FAC could not measure its factors: {failure.Message}", failure);
        if (!finite)
        {
            foreach (var block in _blocks)
            {
                block.Discard();
                _owner.Log(block.Name, NotFinite);
            }
            return;
        }
        foreach (var block in _blocks.Where(b => !b.HasPending && (!b.IsMeasured || b.Unseen is not null) && b.IsUsed).ToList())
        {
            if (Capture.LivePasses == 0)
                throw new InvalidOperationException(
                    "K-FAC has seen no forward pass of the model: call it through call(x), not forward(x), and call backward() before "
                        + "step()."
                );
            if (block.Unseen is null && Capture.HasSeen(block))
                continue; // in a pass that does not count
            _owner.Lose(block, block.Unseen ?? NotSeen);
        }
        if (Terms == 0) // every label is left out
        {
            Discard();
            return;
        }
        double? scale =
            Capture.Kind == FisherKind.ForwardOnly ? null
            : Capture.Kind == FisherKind.Empirical && _owner.Reduction == LossReduction.Mean && _sharing is null ? Terms
            : 1.0 / Terms;
        double decay = Options.FactorEma,
            identity = _owner.Identity;
        foreach (var block in _blocks.Where(b => b.HasPending))
            if (!block.UpdateRunningAverage(scale, decay, identity))
                _owner.Log(block.Name, NotFinite);
    }

    /// <summary>Inverts the running factors again.</summary>
    /// <param name="step">The step's number; null where the factors are of all data.</param>
    internal void Refresh(long? step)
    {
        using var off = no_grad();
        var options = Options;
        var due = _blocks.FindAll(b => b.IsMeasured && (step is null || !b.OutlastsRefresh(options.Inverse.Damping)));
        bool begins = options.Refresh.Growth(_owner.IsModelled) * step < Math.Min(options.Refresh.InverseInterval, LastingInterval);
        _inverter.Begin(options.InverseSettings, due.SelectMany(b => b.Factors()).Select(f => f.Tensor), Clock, begins);
        List<(CurvatureBlock Block, string Message)> failures = _sharing is not null
            ? _sharing.Refresh(due, Damped, options.InverseSettings, _inverter)
            : [.. due.SelectMany(b => b.Refresh(Damped(b), _inverter, options.Inverse.Kept).Select(m => (b, m)))];
        foreach (var (block, message) in failures)
            _owner.Log(block.Name, message);
        _inverter.End(_sharing?.World);
        foreach (var block in due)
            block.RefreshedShare = failures.Exists(f => f.Block == block) ? 0 : 1;
        _isInverted = true;
    }

    /// <summary>How a block's inverse is damped.</summary>
    private DampingSettings Damped(CurvatureBlock block) => Options.DampedBy(_owner.DampingOf(block));

    /// <summary>F⁻¹ V for the gradients of a block, joined; a fresh tensor.</summary>
    internal Tensor Precondition(CurvatureBlock block, Tensor v) =>
        _sharing is null ? block.Precondition(v, Damped(block)) : _sharing.Precondition(block, v, Damped(block));

    /// <summary>(F + λ I)⁻¹ V by the last inverses; what has none is divided by λ. A fresh tensor.</summary>
    /// <param name="gradient">V over <see cref="Parameters"/> : [d], or k columns [d, k].</param>
    /// <exception cref="ArgumentException">The shape or dtype is different.</exception>
    /// <exception cref="InvalidOperationException">Nothing was measured yet.</exception>
    public Tensor Precondition(Tensor gradient)
    {
        if (!_isInverted)
            throw new InvalidOperationException(
                "There is no inverse yet: call Measure(objective), or Update() after a forward and backward pass."
            );
        FollowModel();
        var blocks = _blocks.FindAll(HasInverse);
        return LinearOperator
            .FromFunction(
                Parameters.Dimension,
                Parameters.Type,
                v => CurvatureBlock.Map(blocks, Parameters, v, 1 / _owner.Damping, (i, x) => Precondition(blocks[i], x))
            )
            .Apply(gradient);
    }

    /// <summary>A step is over.</summary>
    /// <param name="step">Its number.</param>
    /// <param name="others">Seconds of it for a choice of the inverses' damping, null when none was due; and how many steps apart they
    /// are.</param>
    internal void Finish(long step, (double? Seconds, int Interval) others)
    {
        var options = Options;
        if (options.Refresh.TimeFraction is not null)
        {
            long now = Clock.GetTimestamp();
            double? total = _finished is { } last ? Clock.GetElapsedTime(last, now).TotalSeconds : null;
            _schedule.Stepped(step, options, total, _factorSeconds, _inverseSeconds, others, Capture.Examples);
            _finished = now;
        }
        _step = null;
        Capture.Reset();
    }

    private double Timed(Action work)
    {
        long start = Clock.GetTimestamp();
        work();
        return Clock.GetElapsedTime(start).TotalSeconds;
    }
}
