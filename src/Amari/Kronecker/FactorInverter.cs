using System.Numerics;
using System.Text.Json.Nodes;
using Amari.Distributed;
using Amari.Solvers;

namespace Amari.Kronecker;

/// <summary>Inverts damped factors: all of them one way, or those of each size the way that was measured to take less time; of low rank
/// where that does.</summary>
/// <remarks><code>
/// refresh 2, 4, 8, ...   every factor that has an inverse is inverted both ways, by the clock; Cholesky's inverse is taken
/// in between             the way that took less time at the last of these, all factors of a size together; Cholesky before
/// low rank               tried at 1, 4, 16, 64, ...; wherever it was of use the last time, and Cholesky where it was not
/// </code>
/// As long as intervals grow and are of a few steps it is Cholesky (and no refresh is counted): the first factors, of one batch or a few,
/// change too much for directions to last until the next, and steps by their full inverses get further. How far the last inverse is, and so
/// how long the iteration takes, changes most at the beginning; rounds ever further apart follow it and cost next to nothing. An iteration
/// that fails is counted with the Cholesky that has to follow. Ranks go by the sum of their times, and so all the same way.</remarks>
internal sealed class FactorInverter
{
    /// <summary>Smaller factors go by Cholesky: there is less than a millisecond to win.</summary>
    public const long LeastMeasured = 128;

    /// <summary>Smaller factors have no inverse of low rank: the full one takes a millisecond at most, and products with it little
    /// more.</summary>
    public const long LeastOfLowRank = 256;

    private readonly SortedDictionary<long, Cost> _costs = []; // by size, of the last round
    private InverseMethod _method;
    private double _tolerance;
    private Ranks _ranks;
    private long _refreshes;
    private bool _begins; // intervals grow, and are of a few steps
    private TimeProvider? _clock; // while a round goes on

    /// <summary>Seconds of a number of inverses, each way.</summary>
    private readonly record struct Cost(double Cholesky, double NewtonSchulz, double Inverses)
    {
        public bool IterationIsCheaper => NewtonSchulz < Cholesky;

        public override string ToString()
        {
            var (a, b) = (Cholesky / Inverses * 1e3, NewtonSchulz / Inverses * 1e3);
            return IterationIsCheaper
                ? FormattableString.Invariant($"by Newton-Schulz: {b:G3} ms against {a:G3} ms by Cholesky")
                : FormattableString.Invariant($"by Cholesky: {a:G3} ms against {b:G3} ms by Newton-Schulz");
        }
    }

    /// <summary>Of the last refresh, factors of size <see cref="LeastOfLowRank"/> and more: how many, how many of low rank, and Σ r / n of
    /// those.</summary>
    private readonly record struct Ranks(double All, double Low, double Share);

    /// <summary>What was chosen for each size, or what rank; empty without a choice.</summary>
    public IEnumerable<string> Choices =>
        _method == InverseMethod.Nystrom && _ranks.All > 0
            ?
            [
                string.Create(
                    System.Globalization.CultureInfo.InvariantCulture,
                    $"inverses of {_ranks.Low / _ranks.All:P0} of the large factors of low rank, "
                        + $"{(_ranks.Low > 0 ? _ranks.Share / _ranks.Low : 0):P0} of their size on average; the others by Cholesky"
                ),
            ]
        : _method != InverseMethod.Auto ? []
        : _costs.Where(c => c.Value.Inverses > 0).Select(c => $"inverses of size {c.Key} {c.Value}");

    /// <summary>A refresh begins.</summary>
    /// <param name="settings">How.</param>
    /// <param name="factors">Of all blocks, also those of other ranks.</param>
    /// <param name="clock">Times are by it.</param>
    /// <param name="begins">Whether the run begins: intervals grow, and are of a few steps.</param>
    public void Begin(InverseSettings settings, IEnumerable<Tensor> factors, TimeProvider clock, bool begins = false)
    {
        var method = settings.Method;
        (_method, _tolerance, _ranks) = (method, settings.RankTolerance, default);
        _begins = method == InverseMethod.Nystrom && begins;
        if (!_begins)
            _refreshes++;
        if (method != InverseMethod.Auto || !BitOperations.IsPow2(_refreshes) || _refreshes == 1)
            return;
        _clock = clock;
        _costs.Clear();
        foreach (var factor in factors.Where(f => f.dim() > 1 && f.shape[^1] >= LeastMeasured))
            _costs[factor.shape[^1]] = default;
    }

    /// <summary>(F + δ I)⁻¹. Where every way fails it is the last one, and without it a multiple of the identity. The caller owns
    /// it.</summary>
    /// <param name="factor">F : [.., n, n], or the diagonal of one, [n].</param>
    /// <param name="shift">δ : [.., 1].</param>
    /// <param name="last">The last inverse; null if there is none.</param>
    /// <param name="what">The factor's name in messages.</param>
    public (FactorMatrix Inverse, List<string> Messages) Invert(Tensor factor, Tensor shift, FactorMatrix? last, string what)
    {
        if (factor.dim() == 1)
            return (new DiagonalFactor(factor.add(shift).reciprocal_()), []);
        if (OfLowRank(factor, shift, (last as LowRankFactor)?.Root) is var (root, scale))
            return (new LowRankFactor(root, scale), []);
        if (_method is InverseMethod.Cholesky or InverseMethod.Nystrom && SpdInverse.Swept(factor, shift) is { } swept)
            return (new DenseFactor(swept), []);
        using var damped = factor.clone();
        damped.diagonal(0, -2, -1).add_(shift);
        var (inverse, outcome, tooFar) = Invert(damped, (last as DenseFactor)?.Matrix);
        List<string> messages = tooFar ? [$"the last inverse of {what} was too far to begin from; by Cholesky"] : [];
        if (BlockInverse.Report(outcome, what, last is not null) is { } message)
            messages.Add(message);
        return (
            inverse is not null ? new DenseFactor(inverse)
            : last is not null ? last.Map(t => t.clone())
            : new DenseFactor(FactorMatrix.Identity(damped, FactorMatrix.MeanEigenvalue(damped).reciprocal())),
            messages
        );
    }

    /// <summary>(F + δ I)⁻¹ of low rank as <see cref="NystromInverse"/> gives it; null where another way is to be taken. The caller owns
    /// both.</summary>
    /// <param name="factor">F : [.., n, n].</param>
    /// <param name="shift">δ : [.., 1].</param>
    /// <param name="near">P' of the last inverse; null if there is none.</param>
    public (Tensor Root, Tensor Scale)? OfLowRank(Tensor factor, Tensor shift, Tensor? near)
    {
        long n = factor.shape[^1];
        if (_method != InverseMethod.Nystrom || _begins || factor.dim() != 2 || n < LeastOfLowRank)
            return null;
        bool tries = BitOperations.IsPow2(_refreshes) && BitOperations.Log2((ulong)_refreshes) % 2 == 0;
        var low = near is not null || tries ? NystromInverse.Of(factor, shift, near, _tolerance) : null;
        _ranks = new(_ranks.All + 1, _ranks.Low + (low is null ? 0 : 1), _ranks.Share + ((low?.Root.shape[0] ?? 0) / (double)n));
        return low;
    }

    /// <summary>M⁻¹; null when every way failed. The caller owns it.</summary>
    /// <param name="damped">M : [.., n, n], symmetric.</param>
    /// <param name="near">The last inverse; null if there is none.</param>
    /// <returns>Also how Cholesky came about, if it was needed, and whether that was because the iteration failed.</returns>
    public (Tensor? Inverse, FactorisationOutcome Outcome, bool TooFar) Invert(Tensor damped, Tensor? near)
    {
        long n = damped.shape[^1];
        if (near is not null && _clock is { } clock && _costs.TryGetValue(n, out var cost))
        {
            long start = clock.GetTimestamp();
            var result = SpdInverse.Cholesky(damped);
            long middle = clock.GetTimestamp();
            using var iterated = NewtonSchulz.Of(damped, near).Inverse;
            long end = clock.GetTimestamp();
            double cholesky = clock.GetElapsedTime(start, middle).TotalSeconds,
                iteration = clock.GetElapsedTime(middle, end).TotalSeconds;
            _costs[n] = new(cost.Cholesky + cholesky, cost.NewtonSchulz + iteration + (iterated is null ? cholesky : 0), cost.Inverses + 1);
            return (result.Inverse, result.Outcome, false);
        }
        bool iterates =
            near is not null
            && (_method == InverseMethod.NewtonSchulz || (_method == InverseMethod.Auto && _costs.GetValueOrDefault(n).IterationIsCheaper));
        if (iterates && NewtonSchulz.Of(damped, near!).Inverse is { } next)
            return (next, FactorisationOutcome.Clean, false);
        var (inverse, outcome) = SpdInverse.Cholesky(damped);
        return (inverse, outcome, iterates);
    }

    /// <summary>A refresh is over.</summary>
    /// <param name="ranks">All, which end it together; null for one process.</param>
    public void End(Communicator? ranks)
    {
        if (_method == InverseMethod.Nystrom && ranks?.Sum([_ranks.All, _ranks.Low, _ranks.Share]) is { } all)
            _ranks = new(all[0], all[1], all[2]);
        if (_clock is null)
            return;
        _clock = null;
        if (ranks is null)
            return;
        double[] sums = ranks.Sum([.. _costs.Values.SelectMany(c => (double[])[c.Cholesky, c.NewtonSchulz, c.Inverses])]);
        foreach (var (n, i) in _costs.Keys.ToList().Select((n, i) => (n, 3 * i)))
            _costs[n] = new(sums[i], sums[i + 1], sums[i + 2]);
    }

    /// <summary>What continues a run by the ways it had chosen, also where the way was changed since.</summary>
    public JsonObject ToJson() =>
        new()
        {
            ["method"] = _method.ToString(),
            ["refreshes"] = _refreshes,
            ["costs"] = new JsonArray([
                .. _costs.Select(c => new JsonArray(c.Key, c.Value.Cholesky, c.Value.NewtonSchulz, c.Value.Inverses)),
            ]),
            ["ranks"] = new JsonArray(_ranks.All, _ranks.Low, _ranks.Share),
        };

    /// <summary>Continues from <see cref="ToJson"/>.</summary>
    public void Restore(JsonObject? saved)
    {
        _costs.Clear();
        var ranks = saved?["ranks"] as JsonArray;
        _ranks = ranks is null ? default : new((double)ranks[0]!, (double)ranks[1]!, (double)ranks[2]!);
        // schema 1 says no method, and of two of them nothing
        _method =
            Enum.TryParse<InverseMethod>((string?)saved?["method"], out var method) ? method
            : saved is null ? default
            : ranks is null ? InverseMethod.Auto
            : InverseMethod.Nystrom;
        _refreshes = (long?)saved?["refreshes"] ?? 0;
        foreach (var c in saved?["costs"] as JsonArray ?? [])
            _costs[(long)c![0]!] = new((double)c[1]!, (double)c[2]!, (double)c[3]!);
    }
}
