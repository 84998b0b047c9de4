using System.Globalization;

namespace Amari.Workloads.Data;

/// <summary>A column of a CSV file: numbers, or texts of some categories.</summary>
/// <param name="Name">Its name in the header.</param>
/// <param name="Numbers">Its numbers; null for texts.</param>
/// <param name="Categories">The different values: numbers in their order, texts in ordinal order.</param>
/// <param name="Codes">For each row, the place of its value in <paramref name="Categories"/>.</param>
internal sealed record CsvColumn(string Name, double[]? Numbers, IReadOnlyList<string> Categories, int[] Codes)
{
    private const double MostlyNumbers = 0.9, // of the values that are not missing: then all must be
        HalfNumbers = 0.5; // of texts, which is worth a remark
    private const double Largest = 1e100;

    /// <summary>Whether its values are numbers, all of them whole.</summary>
    public bool IsWhole => Numbers?.All(double.IsInteger) == true;

    /// <summary>What is odd about texts, as a part of a sentence; null if nothing.</summary>
    public string? Remark { get; private init; }

    /// <summary>Reads a column.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="name">Its name.</param>
    /// <param name="rows">The rows below the header.</param>
    /// <param name="at">Its place in the rows.</param>
    /// <param name="leaveOut">How it is left out, for messages; null for the target, which cannot be.</param>
    /// <exception cref="ArgumentException">A value is missing, or most are numbers but not all, or they are written in another way. The
    /// message has the file, row and column.</exception>
    public static CsvColumn Read(string path, string name, IReadOnlyList<CsvRow> rows, int at, string? leaveOut)
    {
        string[] texts = [.. rows.Select(r => r.Fields[at])];
        double?[] numbers = [.. texts.Select(CsvNumber.Parse)];
        int[] missing = Places(CsvNumber.IsMissing);
        int present = texts.Length - missing.Length,
            count = numbers.Count(n => n is not null),
            written = count + texts.Index().Count(t => numbers[t.Index] is null && CsvNumber.IsWrittenOtherwise(t.Item));
        if (written == 0 || written < MostlyNumbers * present)
        {
            if (Places(text => text.Length == 0) is { Length: > 0 } empty)
                throw Missing(empty);
            return Coded(null, texts, StringComparer.Ordinal) with
            {
                Remark =
                    count > 0 && count >= HalfNumbers * present
                        ? $"'{name}' is taken as text, because '{Short(texts[Array.IndexOf(numbers, null)])}' is not a number, although "
                            + $"{count} of its {texts.Length} values are"
                        : null,
            };
        }
        if (missing.Length > 0)
            throw Missing(missing);
        if (CsvNumber.FaultOf(texts) is var (place, fault))
            throw Fault(place, $"'{Short(texts[place])}' {fault}{(leaveOut is null ? "" : $", or leave the column out with {leaveOut}")}");
        if (Array.IndexOf(numbers, null) is >= 0 and var odd)
            throw Fault(odd, $"'{Short(texts[odd])}' is not a number, but {count} of the column's {texts.Length} values are");
        if (Array.FindIndex(numbers, n => !(Math.Abs(n!.Value) <= Largest)) is >= 0 and var large)
            throw Fault(large, $"'{Short(texts[large])}' is not a finite number of at most {Largest:0e+0} in magnitude");
        double[] values = [.. numbers.Select(n => n!.Value + 0.0)]; // -0 is 0
        return Coded(values, values, Comparer<double>.Default);

        int[] Places(Func<string, bool> hold) => [.. Enumerable.Range(0, texts.Length).Where(i => hold(texts[i]))];

        ArgumentException Fault(int row, string what) => new($"'{path}', row {rows[row].Number}, column '{name}': {what}.");

        ArgumentException Missing(int[] these)
        {
            string[] markers = [.. these.Select(i => texts[i]).Where(t => t.Length > 0).Distinct().Select(t => $"'{t}'")];
            bool single = these.Length == 1;
            return Fault(
                these[0],
                $"the value is missing{(markers.Length == 0 ? "" : $" ({string.Join(", ", markers)})")}"
                    + (single ? "" : $", as in {these.Length} of {texts.Length} rows")
                    + $"; fill {(single ? "it" : "them")} in"
                    + (leaveOut is null ? " or " : ", ")
                    + $"delete {(single ? "the row" : "these rows")}"
                    + (leaveOut is null ? "" : $", or leave the column out with {leaveOut}")
            );
        }

        CsvColumn Coded<T>(double[]? numbers, T[] values, IComparer<T> order)
            where T : notnull
        {
            T[] distinct = [.. values.Distinct().Order(order)];
            var code = distinct.Index().ToDictionary(d => d.Item, d => d.Index);
            return new(
                name,
                numbers,
                [.. distinct.Select(d => Convert.ToString(d, CultureInfo.InvariantCulture)!)],
                [.. values.Select(v => code[v])]
            );
        }
    }

    private static string Short(string text)
    {
        const int most = 30;
        return (text.Length <= most ? text : text[..most] + "...").ReplaceLineEndings(" ");
    }
}
