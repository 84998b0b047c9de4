using System.Globalization;
using System.Text.RegularExpressions;

namespace Amari.Workloads.Data;

/// <summary>Numbers in files as they should be written, as they are written otherwise, and what stands for a missing one.</summary>
internal static partial class CsvNumber
{
    private const int Longest = 40; // characters

    /// <summary>What other programs write for a value that is missing, or that a formula could not give.</summary>
    private static readonly HashSet<string> Markers = new(StringComparer.OrdinalIgnoreCase)
    {
        "",
        "NA",
        "N/A",
        "n.a.",
        "<NA>",
        "#NA",
        "#N/A",
        "NaN",
        "-NaN",
        "null",
        "none",
        "nil",
        "\\N",
        "missing",
        "unknown",
        "?",
        "-",
        "--",
        "–",
        "—",
        ".",
        "#VALUE!",
        "#REF!",
        "#DIV/0!",
        "#NUM!",
        "#NAME?",
    };

    /// <summary>How numbers are written that are not read, and what to do, as the end of a sentence. The first that a column has explains
    /// the others: where one number has a decimal comma, 1,234 has it too.</summary>
    private static readonly (Func<Regex> Pattern, string Fault)[] Faults =
    [
        (DecimalComma, "is a number with a decimal comma; write a point"),
        (Thousands, "is a number with separators of thousands; leave them out"),
        (Either, "is a number with a separator of thousands (leave it out) or a decimal comma (write a point)"),
        (WithUnit, "is a number with a unit; write the number alone"),
    ];

    /// <summary>The number that a text is; null for other texts, also for "nan".</summary>
    public static double? Parse(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) && !double.IsNaN(number) ? number : null;

    /// <summary>Whether a text stands for a missing number.</summary>
    public static bool IsMissing(string text) => Markers.Contains(text);

    /// <summary>Whether a text is a number that is written in another way.</summary>
    public static bool IsWrittenOtherwise(string text) =>
        text is { Length: > 1 and <= Longest }
        && (char.IsAsciiDigit(text[0]) || "+-$€£¥,".Contains(text[0], StringComparison.Ordinal)) // most texts need no pattern
        && Array.Exists(Faults, f => f.Pattern().IsMatch(text));

    /// <summary>The text of a column that shows best how its numbers are written, and what to do about it; null if all are read.</summary>
    public static (int Place, string Fault)? FaultOf(IReadOnlyList<string> texts)
    {
        foreach (var (pattern, fault) in Faults)
        {
            var regex = pattern();
            for (int i = 0; i < texts.Count; i++)
                if (Parse(texts[i]) is null && IsWrittenOtherwise(texts[i]) && regex.IsMatch(texts[i]))
                    return (i, fault);
        }
        return null;
    }

    /// <summary>0,5 and 1.234,5, but not 1,234.</summary>
    [GeneratedRegex(@"^[+-]?(?![1-9][0-9]{0,2},[0-9]{3}$)([0-9]*|[0-9]{1,3}(\.[0-9]{3})+),[0-9]+([eE][+-]?[0-9]+)?$")]
    private static partial Regex DecimalComma();

    /// <summary>1,234.5 and 1,234,567, 1'234, 1 234 (with any space), 1_234 and 1.234.567.</summary>
    [GeneratedRegex(@"^[+-]?[1-9][0-9]{0,2}((,[0-9]{3})+\.[0-9]+|(,[0-9]{3}){2,}|(['’_\s][0-9]{3})+([.,][0-9]+)?|(\.[0-9]{3}){2,})$")]
    private static partial Regex Thousands();

    /// <summary>1,234.</summary>
    [GeneratedRegex(@"^[+-]?[1-9][0-9]{0,2},[0-9]{3}$")]
    private static partial Regex Either();

    /// <summary>$5.50, 1,234 € and 12 %.</summary>
    [GeneratedRegex(@"^([+-]?[$€£¥]\s?[+-]?[0-9][0-9.,']*|[+-]?[0-9][0-9.,']*\s?[$€£¥%])$")]
    private static partial Regex WithUnit();
}
