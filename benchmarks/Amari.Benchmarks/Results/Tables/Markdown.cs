using System.Text.Json.Nodes;
using Amari.Reporting;

namespace Amari.Benchmarks.Results.Tables;

/// <summary>Tables and numbers in Markdown, from JSON.</summary>
internal static class Markdown
{
    /// <summary>A table.</summary>
    public static string Table(IReadOnlyList<string> heads, IEnumerable<IReadOnlyList<string>> rows) =>
        string.Join('\n', [Row(heads), "|" + string.Concat(heads.Select(_ => "---|")), .. rows.Select(Row)]);

    /// <summary>A number of a few digits; a dash for null.</summary>
    public static string Number(JsonNode? value, int digits = 3) =>
        value is null ? "-" : Amari.Reporting.Number.Short(value.GetValue<double>(), digits);

    /// <summary>The median, with the range in brackets if there is more than one value; a dash if any is missing.</summary>
    public static string Spread(IEnumerable<JsonNode?> values, int digits = 3)
    {
        var all = values.ToList();
        if (all.Count == 0 || all.Any(v => v is null))
            return "-";
        var numbers = all.Select(v => v!.GetValue<double>()).ToList();
        string low = Amari.Reporting.Number.Short(numbers.Min(), digits),
            high = Amari.Reporting.Number.Short(numbers.Max(), digits);
        return Amari.Reporting.Number.Short(Median(numbers), digits) + (low == high ? "" : $" ({low}..{high})");
    }

    /// <summary>The median of counts, as an integer.</summary>
    public static string Whole(IEnumerable<JsonNode?> values) =>
        FormattableString.Invariant($"{Median(values.Select(v => v!.GetValue<double>())):F0}");

    /// <summary>The median; of an even number the mean of the middle two.</summary>
    public static double Median(IEnumerable<double> values)
    {
        double[] sorted = [.. values.Order()];
        return (sorted[sorted.Length / 2] + sorted[(sorted.Length - 1) / 2]) / 2;
    }

    /// <summary>The mean of a test with its interval and p.</summary>
    /// <param name="test">The test.</param>
    /// <param name="p">Which p: <c>holm</c> among several tests, <c>p</c> for a single one.</param>
    public static string Interval(JsonNode test, string p = "holm")
    {
        var interval = test["interval"]!;
        string range = interval[0] is null ? "" : $" ({Number(interval[0])}..{Number(interval[1])})";
        return $"{Number(test["mean"])}{range}, p {Number(test[p], 2)}";
    }

    /// <summary>Names in a sentence.</summary>
    public static string Join(IReadOnlyList<string> names) => Trouble.Join(names);

    private static string Row(IReadOnlyList<string> cells) => $"| {string.Join(" | ", cells)} |";
}
