using System.Globalization;

namespace Amari.Workloads.Data;

/// <summary>A column of a CSV file: numbers, or texts of some categories.</summary>
/// <param name="Name">Its name in the header.</param>
/// <param name="Numbers">Its numbers; null for texts.</param>
/// <param name="Categories">The different values: numbers in their order, texts in ordinal order.</param>
/// <param name="Codes">For each row, the place of its value in <paramref name="Categories"/>.</param>
internal sealed record CsvColumn(string Name, double[]? Numbers, IReadOnlyList<string> Categories, int[] Codes)
{
    private const double MostlyNumbers = 0.9; // then all must be
    private const double Largest = 1e100;

    /// <summary>Whether its values are numbers, all of them whole.</summary>
    public bool IsWhole => Numbers?.All(double.IsInteger) == true;

    /// <summary>Reads a column.</summary>
    /// <param name="path">The file, for messages.</param>
    /// <param name="name">Its name.</param>
    /// <param name="rows">The rows below the header.</param>
    /// <param name="at">Its place in the rows.</param>
    /// <exception cref="ArgumentException">A value is missing, or most are numbers but not all. The message has the file, row and
    /// column.</exception>
    public static CsvColumn Read(string path, string name, IReadOnlyList<CsvRow> rows, int at)
    {
        string[] texts = [.. rows.Select(r => r.Fields[at])];
        if (Array.IndexOf(texts, "") is >= 0 and var missing)
            throw Fault(missing, "the value is missing; fill it in, delete the row, or leave the column out with ignore");
        double?[] numbers = [.. texts.Select(Parsed)];
        int count = numbers.Count(n => n is not null);
        if (count < MostlyNumbers * texts.Length)
        {
            if (texts.Count(IsDecimalComma) >= MostlyNumbers * texts.Length)
                throw Fault(Array.FindIndex(texts, IsDecimalComma), "the number has a decimal comma; write a point");
            return Coded(null, texts, StringComparer.Ordinal);
        }
        if (Array.FindIndex(numbers, n => n is null) is >= 0 and var odd)
            throw Fault(odd, $"'{Short(texts[odd])}' is not a number, but {count} of the column's {texts.Length} values are");
        if (Array.FindIndex(numbers, n => !(Math.Abs(n!.Value) <= Largest)) is >= 0 and var large)
            throw Fault(large, $"'{Short(texts[large])}' is not a finite number of at most {Largest:0e+0} in magnitude");
        double[] values = [.. numbers.Select(n => n!.Value + 0.0)]; // -0 is 0
        return Coded(values, values, Comparer<double>.Default);

        ArgumentException Fault(int row, string what) => new($"'{path}', row {rows[row].Number}, column '{name}': {what}.");

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

    /// <summary>Whether a text is a number.</summary>
    public static bool IsNumber(string text) => Parsed(text) is not null;

    private static double? Parsed(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number) ? number : null;

    private static bool IsDecimalComma(string text) =>
        text.Count(c => c == ',') == 1 && !IsNumber(text) && IsNumber(text.Replace(',', '.'));

    private static string Short(string text)
    {
        const int most = 30;
        return (text.Length <= most ? text : text[..most] + "...").ReplaceLineEndings(" ");
    }
}
