namespace Amari.Reporting;

/// <summary>The statistics of a <see cref="Contest"/> in words.</summary>
internal static class Phrase
{
    /// <summary>"than adamw by a factor of 2.4 (95 % interval 2.1 to 2.8; p = 0.004)", from the test of logarithms.</summary>
    public static string Ratio(Rival rival) =>
        $"than {rival.Name} by a factor of {Factor(Math.Exp(rival.Test.Mean))} ({Interval(rival, v => Factor(Math.Exp(v)))})";

    /// <summary>"than sgd by a factor of at least 4 (p = 0.002)", if runs that missed the target count with a lower bound.</summary>
    public static string LeastRatio(Rival rival) =>
        $"than {rival.Name} by a factor of at least {Factor(Math.Exp(rival.Test.Mean))} ({P(rival)})";

    /// <summary>"than sgd, which missed the target with 2 of 3 seeds (p = 0.002)".</summary>
    public static string Missed(Rival rival)
    {
        int count = rival.Summary.Eligible.Count;
        return FormattableString.Invariant(
                $"than {rival.Name}, which missed the target with {count - rival.Summary.Reached} of {count} seeds "
            ) + $"({P(rival)})";
    }

    /// <summary>"than adamw by 24.1 (95 % interval 20 to 28; p = 0.004)".</summary>
    public static string Difference(Rival rival) =>
        $"than {rival.Name} by {Number.Short(rival.Test.Mean)} ({Interval(rival, v => Number.Short(v))})";

    /// <summary>What the test found for rivals that tie with the leader by time, and how many more seeds would separate them.</summary>
    /// <param name="ties">At least one.</param>
    /// <param name="unit">"as long as adamw".</param>
    public static string TiedRatios(IReadOnlyList<Rival> ties, string unit) =>
        MoreSeeds(ties, r => $"{Number.Short(Math.Exp(r.Test.Mean))} times {unit}; {Interval(r, v => Number.Short(Math.Exp(v)))}");

    /// <summary>The same for the ends of the runs.</summary>
    /// <param name="ties">At least one.</param>
    /// <param name="worse">"higher" or "lower", for what is worse.</param>
    /// <param name="better">The other one.</param>
    /// <param name="leader">The leader's name.</param>
    public static string TiedDifferences(IReadOnlyList<Rival> ties, string worse, string better, string leader) =>
        MoreSeeds(
            ties,
            r =>
                $"{(r.Test.Mean < 0 ? better : worse)} than {leader} by {Number.Short(Math.Abs(r.Test.Mean))}; "
                + Interval(r, v => Number.Short(r.Test.Mean < 0 ? -v : v), r.Test.Mean < 0)
        );

    /// <summary>The rivals that only their scatter keeps from being excluded; empty without any.</summary>
    /// <param name="rivals">Far from the leader on average, or worse with all seeds.</param>
    /// <param name="far">"took more than twice as long as adamw".</param>
    /// <param name="worse">"slower than adamw".</param>
    /// <param name="name">A rival with its result.</param>
    public static IEnumerable<string> Unclear(IReadOnlyList<Rival> rivals, string far, string worse, Func<Summary, string> name)
    {
        foreach (var group in rivals.GroupBy(r => r.IsFar).OrderByDescending(g => g.Key))
        {
            List<Rival> all = [.. group];
            var (vary, were, them) = all.Count == 1 ? ("varies", "was", "it") : ("vary", "were", "them");
            string how = group.Key ? $"{far} on average" : $"{were} {worse} {Seeds("in", all.Min(r => r.Test.Count))}";
            yield return $"{Trouble.Join([.. all.Select(r => name(r.Summary))])} {how}, but {vary} too much over the seeds for the test to "
                + $"exclude {them}: not recommended.";
        }
    }

    /// <summary>The rivals that no test can compare with the leader; empty without any.</summary>
    public static IEnumerable<string> Untestable(Contest? contest) =>
        contest is { Untestable: { Count: > 0 } rivals }
            ?
            [
                $"No test of {Trouble.Join([.. rivals.Select(r => r.Name)])} against {contest.Leader.Optimizer} is possible: "
                    + "the difference is the same with every seed, and how finely it was measured is unknown.",
            ]
            : [];

    /// <summary>"in all 3 seeds".</summary>
    public static string Seeds(string preposition, int count) => FormattableString.Invariant($"{preposition} all {count} seeds");

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

    /// <summary>The interval, which is not corrected for further rivals, and the p, which is.</summary>
    private static string Interval(Rival rival, Func<double, string> format, bool reversed = false)
    {
        var (low, high) = reversed ? (rival.Test.Interval.High, rival.Test.Interval.Low) : rival.Test.Interval;
        return $"{(rival.IsCorrected ? "uncorrected " : "")}95 % interval {format(low)} to {format(high)}; {P(rival)}";
    }

    private static string P(Rival rival) => rival.P < 0.001 ? "p < 0.001" : $"p = {Number.Short(rival.P, 2)}";
}
