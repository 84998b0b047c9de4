using System.Globalization;

namespace Amari.Reporting;

/// <summary>The statistics of a <see cref="Contest"/> in words.</summary>
internal static class Phrase
{
    /// <summary>"adamw (2.4 times as long; 95 % interval 2.1 to 2.8; p = 0.004)", from the test of logarithms. If runs missed the target,
    /// only the lower bound is known: "sgd (at least 4 times as long; p = 0.002)".</summary>
    /// <param name="rival">The rival.</param>
    /// <param name="unit">"as long" or "as many steps".</param>
    public static string Ratio(Rival rival, string unit)
    {
        var (low, high) = rival.Test.Interval;
        string times = $"{Factor(Math.Exp(rival.Test.Mean))} times {unit}";
        return rival.Summary.ReachedByAll
            ? $"{rival.Name} ({times}; 95 % interval {Factor(Math.Exp(low))} to {Factor(Math.Exp(high))}; {P(rival)})"
            : $"{rival.Name} (at least {times}; {P(rival)})";
    }

    /// <summary>"by 24.1 (95 % interval 20 to 28; p = 0.004)".</summary>
    public static string Difference(Rival rival)
    {
        var (low, high) = rival.Test.Interval;
        return $"by {Number.Short(rival.Test.Mean)} (95 % interval {Number.Short(low)} to {Number.Short(high)}; {P(rival)})";
    }

    /// <summary>How many more seeds would separate the leader from the rivals that tie with it, as a sentence.</summary>
    public static string MoreSeeds(IReadOnlyList<Rival> ties) =>
        ties.All(t => t.Test.Mean == 0) ? "There is no difference at all."
        : ties.All(t => t.MoreSeeds is null) ? "If the differences stay as they are, 100 more seeds would not separate them."
        : ties is [{ MoreSeeds: { } n }]
            ? $"If the difference stays as it is, {n.ToString(CultureInfo.InvariantCulture)} more seed{(n == 1 ? "" : "s")} would separate them."
        : "If the differences stay as they are, "
            + Trouble.Join([
                .. ties.Select(t => (t.MoreSeeds is { } m ? FormattableString.Invariant($"{m}") : "over 100") + $" for {t.Name}"),
            ])
            + " more seeds would separate them.";

    /// <summary>A ratio with two digits, or three above ten.</summary>
    public static string Factor(double value) => value < 9.95 ? Number.Short(value, 2) : Number.Short(value);

    private static string P(Rival rival) => rival.P < 0.001 ? "p < 0.001" : $"p = {Number.Short(rival.P, 2)}";
}
