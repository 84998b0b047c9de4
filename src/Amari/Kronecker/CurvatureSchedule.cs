using System.Text.Json.Nodes;

namespace Amari.Kronecker;

/// <summary>When factors and inverses are due, and how many examples factors are taken from: by fixed intervals, or by the clock.</summary>
/// <remarks>With a budget s, B the median time of a step without its curvature work, F and I the median times of one measurement of the
/// factors and of one refresh of all inverses:
/// <code>
/// W = s/(1 - s) B                        seconds of curvature a step
/// F/kF ≤ W/2                             the smallest kF; above <see cref="MostFactorInterval"/>, half of the examples instead
/// I/kI = W - F/kF                        what is left; kI ≥ kF, for unchanged factors have the same inverse
/// </code>
/// Half of the examples that saved less than a fifth of F (backward passes are of the whole batch) are taken back, and fewer not tried
/// again; where there are no fewer to take, F/kF ≤ 3W/4 at any kF, which at most doubles at a time. Work that comes at an interval of its
/// own is paid from W first. The interval of the inverses at most doubles from one refresh to the next; the first time of each, when code
/// and memory are new, is dropped as soon as there is another. Until there is something to choose by, the fixed intervals hold, or those of
/// the run that is resumed.</remarks>
internal sealed class CurvatureSchedule
{
    public const int MostFactorInterval = 20,
        MostInverseInterval = 1000,
        LeastExamples = 32;
    private const int Window = 15,
        FirstPlan = 3,
        Settled = 2;
    private const double Pause = 4; // times the median: then the time was not the step's own
    private const double Worthwhile = 0.2; // share of the time that half of the examples must save
    private const double MostForFactors = 0.75,
        LeastLeft = 0.1; // of W
    private readonly Times _steps = new(),
        _factors = new(),
        _inverses = new(),
        _others = new();
    private long _lastFactors,
        _lastInverse,
        _batch;
    private int _factorInterval = 1,
        _inverseInterval = 1;
    private long? _examples;
    private long _fewest = LeastExamples;
    private (long Examples, double Seconds)? _halved; // what half of the examples were taken of, until that is judged
    private double _spent,
        _rest;
    private bool _planned;

    /// <summary>Examples that factors are taken from, at most; null for all.</summary>
    public long? Examples(CurvatureOptions o) =>
        o.Refresh.TimeFraction is null || _examples is null
            ? o.FactorBatchSize
            : Math.Min(_examples.Value, o.FactorBatchSize ?? long.MaxValue);

    /// <summary>Whether factors are to be measured in the pass before a step.</summary>
    public bool FactorsDue(long step, CurvatureOptions o, bool isModelled = false) =>
        IsDue(o, isModelled, _factorInterval, o.Refresh.FactorInterval, step, _lastFactors);

    /// <summary>Whether inverses are to be recomputed in a step.</summary>
    public bool InverseDue(long step, CurvatureOptions o, bool isModelled = false) =>
        IsDue(o, isModelled, _inverseInterval, o.Refresh.InverseInterval, step, _lastInverse);

    private bool IsDue(CurvatureOptions o, bool isModelled, int chosen, int given, long step, long last) =>
        o.Refresh.TimeFraction is not null && _planned ? step - last >= chosen : IsDue(step, given, o.Refresh.Growth(isModelled));

    /// <summary>Whether a step is one of 1, 1 + T, 1 + 2 T, ...; with growth γ, of 1, .., t, t + max(1, γ t), .. before, as long as γ t
    /// &lt; T.</summary>
    internal static bool IsDue(long step, int interval, double? growth)
    {
        if (growth is not { } g || g * step > interval)
            return (step - 1) % interval == 0;
        long t = 1;
        while (t < step)
            t += Math.Max(1, Math.Min(interval, (long)(g * t)));
        return t == step;
    }

    /// <summary>What was chosen; null before.</summary>
    public CurvatureChoice? Choice(CurvatureOptions o) =>
        o.Refresh.TimeFraction is not { } budget || !_planned
            ? null
            : new(
                budget,
                _spent + _rest > 0 ? _spent / (_spent + _rest) : 0,
                _factorInterval,
                _inverseInterval,
                Math.Min(Examples(o) ?? _batch, _batch)
            );

    /// <summary>A step is over.</summary>
    /// <param name="step">Its number.</param>
    /// <param name="o">The options in force.</param>
    /// <param name="total">Seconds since the last step; null when unknown.</param>
    /// <param name="factors">Seconds of it for factors; null when none were due.</param>
    /// <param name="inverses">Seconds of it for inverses; null when none were due.</param>
    /// <param name="others">Seconds of it for a choice of the inverses' damping, null when none was due; and how many steps apart they
    /// are.</param>
    /// <param name="batch">Examples of the batch.</param>
    public void Stepped(
        long step,
        CurvatureOptions o,
        double? total,
        double? factors,
        double? inverses,
        (double? Seconds, int Interval) others,
        long batch
    )
    {
        if (batch > 0)
            _batch = batch;
        if (others.Seconds is { } c)
            _others.Add(c);
        if (factors is { } f)
        {
            _lastFactors = step;
            _factors.Add(f);
        }
        if (inverses is { } i)
        {
            _lastInverse = step;
            _inverses.Add(i);
        }
        if (total is not { } t)
            return;
        double spent = (factors ?? 0) + (inverses ?? 0) + (others.Seconds ?? 0),
            rest = Math.Max(0, t - spent);
        _steps.Add(rest);
        if (_planned)
        {
            _spent += spent;
            _rest += Math.Min(rest, Pause * _steps.Median);
        }
        bool known = _steps.Count >= FirstPlan && _factors.Count > 0 && _inverses.Count > 0;
        if (known && (!_planned || inverses is not null || factors is not null))
            Plan(o, others.Interval);
    }

    private void Plan(CurvatureOptions o, int othersInterval)
    {
        if (!_planned)
            (_factorInterval, _inverseInterval, _planned) = (o.Refresh.FactorInterval, o.Refresh.InverseInterval, true);
        double s = o.Refresh.TimeFraction!.Value,
            perStep = s / (1 - s) * _steps.Median,
            f = _factors.Median,
            i = _inverses.Median;
        if (perStep <= 0)
            return;
        if (_others.Count > 0)
            perStep = Math.Max(perStep - _others.Median / othersInterval, LeastLeft * perStep);
        long all = Math.Min(_batch, o.FactorBatchSize ?? long.MaxValue),
            now = Math.Min(_examples ?? all, all);
        if (_halved is { } whole && _factors.IsSettled)
        {
            _halved = null;
            if (_factors.Least > (1 - Worthwhile) * whole.Seconds)
                Take(_fewest = whole.Examples, whole.Seconds);
        }
        double least = f / (perStep / 2);
        if (least > MostFactorInterval && now > _fewest && _factors.IsSettled)
        {
            _halved = (now, _factors.Least);
            Guess(Math.Max(_fewest, now / 2));
        }
        else if (least < MostFactorInterval / 4.0 && now < all)
        {
            _halved = null;
            Guess(Math.Min(all, 2 * now));
        }
        int factor = Bounded(Math.Ceiling(f / (perStep / 2)), 1, MostFactorInterval);
        if (i < factor * perStep / 2)
            factor = Bounded(Math.Ceiling((f + i) / perStep), 1, MostFactorInterval); // inverses leave some of their half
        if (now <= _fewest)
            factor = Math.Max(
                factor,
                Bounded(Math.Ceiling(f / (MostForFactors * perStep)), 1, 2 * Math.Max(_factorInterval, MostFactorInterval))
            );
        double left = perStep - f / factor;
        _factorInterval = factor;
        int most = Math.Max(factor, Math.Min(MostInverseInterval, 2 * _inverseInterval));
        _inverseInterval = left > 0 ? Bounded(Math.Round(i / left), factor, most) : most;

        void Guess(long examples) => Take(examples, f * examples / now);

        void Take(long examples, double seconds) // until it is measured
        {
            (_examples, now, f) = (examples, examples, seconds);
            _factors.Guess(f);
        }
    }

    private static int Bounded(double value, int least, int most) => (int)Math.Clamp(value, least, most);

    /// <summary>The newest times of one kind of work.</summary>
    private sealed class Times
    {
        private readonly List<double> _kept = [];
        private bool _warm;

        public int Count => _kept.Count;
        public bool IsSettled => _warm && _kept.Count >= Settled;
        public double Least => _kept.Min();
        public double Median => _kept.Count == 0 ? 0 : _kept.Order().ElementAt(_kept.Count / 2);

        public void Add(double seconds)
        {
            if (!_warm && _kept.Count == 1)
            {
                _kept.Clear();
                _warm = true;
            }
            _kept.Add(seconds);
            if (_kept.Count > Window)
                _kept.RemoveAt(0);
        }

        /// <summary>A guess, until there is a time.</summary>
        public void Guess(double seconds)
        {
            Clear();
            _kept.Add(seconds);
        }

        public void Clear()
        {
            _kept.Clear();
            _warm = false;
        }
    }

    /// <summary>What continues a run by the intervals it had.</summary>
    public JsonObject ToJson() =>
        new()
        {
            ["planned"] = _planned,
            ["factorInterval"] = _factorInterval,
            ["inverseInterval"] = _inverseInterval,
            ["examples"] = _examples,
            ["lastFactors"] = _lastFactors,
            ["lastInverse"] = _lastInverse,
            ["batch"] = _batch,
            ["spent"] = _spent,
            ["rest"] = _rest,
            ["fewest"] = _fewest,
        };

    /// <summary>Continues from <see cref="ToJson"/>; times are measured again.</summary>
    public void Restore(JsonObject? saved)
    {
        foreach (var times in (Times[])[_steps, _factors, _inverses, _others])
            times.Clear();
        _halved = null;
        if (saved is null)
            return;
        (_planned, _factorInterval, _inverseInterval) = (
            (bool)saved["planned"]!,
            (int)saved["factorInterval"]!,
            (int)saved["inverseInterval"]!
        );
        (_lastFactors, _lastInverse, _batch, _examples) = (
            (long)saved["lastFactors"]!,
            (long)saved["lastInverse"]!,
            (long)saved["batch"]!,
            (long?)saved["examples"]
        );
        (_spent, _rest, _fewest) = ((double)saved["spent"]!, (double)saved["rest"]!, (long?)saved["fewest"] ?? LeastExamples);
    }
}
