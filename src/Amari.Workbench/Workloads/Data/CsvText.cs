using System.Text;

namespace Amari.Workloads.Data;

/// <summary>The rows of a text file with a delimiter (RFC 4180): fields in quotes may hold delimiters, line breaks and doubled
/// quotes.</summary>
/// <remarks>The text is UTF-8, or UTF-16 with a byte order mark, as spreadsheets write it. The delimiter is the comma, semicolon or tab
/// that gives all of the first rows the same number of fields.</remarks>
internal static class CsvText
{
    private const string Delimiters = ",;\t";
    private const int Sample = 20; // rows that choose the delimiter

    /// <summary>All rows that are not blank. Each has as many fields as the first, which are two or more.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ArgumentException">It is a folder, is empty, is not text, or rows differ in their fields. The message has the file,
    /// the row and the column.</exception>
    public static IReadOnlyList<CsvRow> Read(string path)
    {
        string text = TextOf(path);
        char delimiter = Delimiters.MaxBy(d => Score(path, text, d));
        List<CsvRow> rows = [.. Rows(path, text, delimiter)];
        var header = rows[0].Fields;
        if (header.Length < 2)
            throw new ArgumentException(
                $"'{path}' has the single column '{header[0]}'; it must have two or more, separated by commas, semicolons or tabs."
            );
        if (rows.Find(r => r.Fields.Length != header.Length) is { } ragged)
            throw new ArgumentException(
                $"'{path}', row {ragged.Number}, "
                    + (
                        ragged.Fields.Length < header.Length
                            ? $"column '{header[ragged.Fields.Length]}': the field is missing; the row has {ragged.Fields.Length}"
                            : $"after column '{header[^1]}': there are more fields; the row has {ragged.Fields.Length}"
                    )
                    + $", the header {header.Length}."
            );
        return rows;
    }

    private static string TextOf(string path)
    {
        if (Directory.Exists(path))
            throw new ArgumentException($"'{path}' is a folder; it must be a CSV file.");
        if (!File.Exists(path))
            throw new FileNotFoundException($"The file '{path}' does not exist.");
        string text;
        try
        {
            using var reader = new StreamReader(path, new UTF8Encoding(false, throwOnInvalidBytes: true));
            text = reader.ReadToEnd();
        }
        catch (DecoderFallbackException e)
        {
            throw new ArgumentException($"'{path}' is not text in UTF-8; if it is a CSV file in another encoding, save it as UTF-8.", e);
        }
        catch (OutOfMemoryException e)
        {
            throw new ArgumentException($"'{path}' is too large to be read into memory.", e);
        }
        if (text.Contains('\0', StringComparison.Ordinal))
            throw new ArgumentException($"'{path}' is not a text file: it has a zero byte.");
        return string.IsNullOrWhiteSpace(text) ? throw new ArgumentException($"'{path}' is empty.") : text;
    }

    /// <summary>How well a delimiter suits: the fields of the header, and far more if all of the first rows have as many.</summary>
    private static int Score(string path, string text, char delimiter)
    {
        const int equal = 1 << 24;
        int fields = 0;
        try
        {
            foreach (var row in Rows(path, text, delimiter).Take(Sample))
            {
                fields = fields == 0 ? row.Fields.Length : fields;
                if (row.Fields.Length != fields)
                    return fields;
            }
        }
        catch (ArgumentException)
        {
            return 1 + text.Split(['\r', '\n'], 2)[0].Count(c => c == delimiter); // the chosen delimiter reports the fault
        }
        return fields > 1 ? fields + equal : fields;
    }

    private static IEnumerable<CsvRow> Rows(string path, string text, char delimiter)
    {
        string[]? header = null;
        int at = 0;
        for (int number = 1; at < text.Length; number++)
        {
            List<string> fields = [];
            while (true)
            {
                fields.Add(Field(path, text, delimiter, number, Column(fields.Count), ref at));
                if (at == text.Length || text[at] != delimiter)
                    break;
                at++;
            }
            if (at < text.Length)
                at += text[at] == '\r' && at + 1 < text.Length && text[at + 1] == '\n' ? 2 : 1;
            if (fields is [""])
                continue;
            header ??= [.. fields];
            yield return new(number, [.. fields]);
        }

        string Column(int i) => i < header?.Length ? $"'{header[i]}'" : FormattableString.Invariant($"{i + 1}");
    }

    private static string Field(string path, string text, char delimiter, int row, string column, ref int at)
    {
        int end = at;
        while (end < text.Length && text[end] == ' ')
            end++;
        if (end < text.Length && text[end] == '"')
            return Quoted(path, text, delimiter, row, column, at = end, out at);
        int length = text.AsSpan(end).IndexOfAny(delimiter, '\r', '\n');
        string field = text[at..(end = length < 0 ? text.Length : end + length)].Trim();
        at = end;
        return field;
    }

    private static string Quoted(string path, string text, char delimiter, int row, string column, int open, out int at)
    {
        var field = new StringBuilder();
        int start = open + 1;
        while (true)
        {
            at = text.IndexOf('"', start);
            if (at < 0)
                throw new ArgumentException($"'{path}', row {row}, column {column}: the quote is never closed.");
            field.Append(text, start, at - start);
            start = at + 2;
            if (++at == text.Length || text[at] != '"')
                break;
            field.Append('"');
        }
        while (at < text.Length && text[at] == ' ')
            at++;
        string content = field.ToString();
        if (at == text.Length || text[at] == delimiter || text[at] is '\r' or '\n')
            return content.Trim();
        int lines = content.ReplaceLineEndings("\n").Count(c => c == '\n');
        string why =
            lines == 0
                ? $"'{text[at]}' comes after the closing quote; a quote within quotes must be doubled"
                : $"the quote is not closed in its row; the next is {lines} line{(lines == 1 ? "" : "s")} below, before '{text[at]}'";
        throw new ArgumentException($"'{path}', row {row}, column {column}: {why}.");
    }
}
