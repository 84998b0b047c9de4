namespace Amari.Reporting;

/// <summary>The statistics of a <see cref="Contest"/> in words.</summary>
internal static class Phrase
{
    /// <summary>"than adamw by a factor of 2.4 (95 % interval 2.1 to 2.8; p = 0.004)", from the test of logarithms. If runs missed the
    /// target, only a lower bound is known: "than sgd by a factor of at least 4 (p = 0.002)".</summary>
    public static string Ratio(Rival rival)
    {
        string factor = Factor(Math.Exp(rival.Test.Mean));
        return rival.Summary.ReachedByAll ? EndRatio(rival) : $"than {rival.Name} by a factor of at least {factor} ({P(rival)})";
    }

    /// <summary>"than adamw by a factor of 2.4 (95 % interval 2.1 to 2.8; p = 0.004)", from the test of logarithms.</summary>
    public static string EndRatio(Rival rival)
    {
        var (low, high) = rival.Test.Interval;
        return $"than {rival.Name} by a factor of {Factor(Math.Exp(rival.Test.Mean))} "
            + $"(95 % interval {Factor(Math.Exp(low))} to {Factor(Math.Exp(high))}; {P(rival)})";
    }

    /// <summary>"than adamw by 24.1 (95 % interval 20 to 28; p = 0.004)".</summary>
    public static string Difference(Rival rival) => $"than {rival.Name} by {Number.Short(rival.Test.Mean)} ({Interval(rival, v => v)})";

    /// <summary>What the test found for rivals that tie with the leader by time, and how many more seeds would separate them.</summary>
    /// <param name="ties">At least one.</param>
    /// <param name="unit">"as long as adamw".</param>
    public static string TiedRatios(IReadOnlyList<Rival> ties, string unit) =>
        MoreSeeds(ties, r => $"{Number.Short(Math.Exp(r.Test.Mean))} times {unit}; {Interval(r, Math.Exp)}");

    /// <summary>The same for the ends of the runs.</summary>
    /// <param name="ties">At least one.</param>
    /// <param name="worse">"higher than adamw".</param>
    public static string TiedDifferences(IReadOnlyList<Rival> ties, string worse) =>
        MoreSeeds(ties, r => $"{worse} by {Number.Short(r.Test.Mean)}; {Interval(r, v => v)}");

    /// <summary>The rivals that only their scatter keeps from being excluded; empty without any.</summary>
    /// <param name="rivals">Far from the leader on average.</param>
    /// <param name="how">"took more than twice as long as adamw".</param>
    /// <param name="name">A rival with its result.</param>
    public static IEnumerable<string> Unclear(IReadOnlyList<Rival> rivals, string how, Func<Summary, string> name)
    {
        if (rivals.Count == 0)
            yield break;
        var (vary, them) = rivals.Count == 1 ? ("varies", "it") : ("vary", "them");
        yield return $"{Trouble.Join([.. rivals.Select(r => name(r.Summary))])} {how} on average, but {vary} too much over the seeds for "
            + $"the test to exclude {them}: not recommended.";
    }

    /// <summary>A ratio with two digits, or three above ten.</summary>
    public static string Factor(double value) => value < 9.95 ? Number.Short(value, 2) : Number.Short(value);

    private static string MoreSeeds(IReadOnlyList<Rival> ties, Func<Rival, string> found)
    {
        var (equal, different) = (ties.Where(t => t.Test.Mean == 0).ToList(), ties.Where(t => t.Test.Mean != 0).ToList());
        var needed = different
            .Select(t =>
                (
                    t.MoreSeeds is { } n
                        ? FormattableString.Invariant($"{n} more seed{(n == 1 ? "" : "s")} would separate")
                        : "not even 100 more seeds would separate"
                ) + $" {t.Name} ({found(t)})"
            )
            .ToList();
        return string.Join(
            " ",
            [
                .. needed.Count == 0 ? (string[])[] : [$"If the differences stay as they are, {Trouble.Join(needed)}."],
                .. equal.Count == 0
                    ? (string[])[]
                    : [$"{Trouble.Join([.. equal.Select(t => t.Name)])} {(equal.Count == 1 ? "does" : "do")} not differ on average."],
            ]
        );
    }

    private static string Interval(Rival rival, Func<double, double> unit)
    {
        var (low, high) = rival.Test.Interval;
        return $"95 % interval {Number.Short(unit(low))} to {Number.Short(unit(high))}; {P(rival)}";
    }

    private static string P(Rival rival) => rival.P < 0.001 ? "p < 0.001" : $"p = {Number.Short(rival.P, 2)}";
}
