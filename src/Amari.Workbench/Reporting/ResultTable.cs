using Amari.Training;
using Amari.Workloads;
using Spectre.Console;

namespace Amari.Reporting;

/// <summary>The result table of a comparison for a console: in parts below one another if it is wider than the console.</summary>
internal static class ResultTable
{
    private const int Costs = 2, // the last columns: of a step, and of the state
        MinColumn = 6, // characters
        Padding = 3; // of a column, with its border

    /// <param name="comparison">The results.</param>
    /// <param name="width">Columns of the console.</param>
    public static IEnumerable<Table> Of(BenchmarkResult comparison, int width)
    {
        var summaries = Summary.Of(comparison);
        var rows = summaries.Select(s => s.Cells()).ToList();
        var columns = Summary.Heads(comparison).Select((head, i) => new Column(head, [.. rows.Select(r => r[i])])).ToList();
        var names = new Column("optimizer", [.. summaries.Select(s => s.Optimizer)]);
        return names.Fits(columns, width)
            ? [Table([names, .. columns])]
            : Parts(names, columns[..^Costs], width).Concat(Parts(names, columns[^Costs..], width));
    }

    /// <summary>A table without lines between its rows, of which the first column is in each part.</summary>
    /// <param name="heads">The headings.</param>
    /// <param name="rows">The cells, text.</param>
    /// <param name="width">Columns of the console.</param>
    public static IEnumerable<Table> Of(IReadOnlyList<string> heads, IReadOnlyList<IReadOnlyList<string>> rows, int width)
    {
        var columns = heads.Select((head, i) => new Column(head, [.. rows.Select(r => r[i])])).ToList();
        return Parts(columns[0], columns[1..], width).Select(t => t.HideRowSeparators());
    }

    private static IEnumerable<Table> Parts(Column names, List<Column> columns, int width)
    {
        for (int start = 0, count; start < columns.Count; start += count)
        {
            count = Enumerable.Range(1, columns.Count - start).Last(n => n == 1 || names.Fits(columns[start..(start + n)], width));
            yield return Table([names, .. columns[start..(start + count)]]);
        }
    }

    /// <summary>A workload's table about a model.</summary>
    public static Table Of(ModelTable table) =>
        Table([.. table.Heads.Select((head, i) => new Column(head, [.. table.Rows.Select(r => r[i])]))]).Title(Markup.Escape(table.Title));

    private static Table Table(IReadOnlyList<Column> columns)
    {
        var table = new Table().Border(TableBorder.Rounded).ShowRowSeparators();
        foreach (var column in columns)
            table.AddColumn(new TableColumn(Markup.Escape(column.Heading)).NoWrap());
        foreach (int row in Enumerable.Range(0, columns[0].Cells.Count))
            table.AddRow([.. columns.Select(c => Markup.Escape(c.Cells[row]))]);
        return table;
    }

    private sealed record Column(string Head, IReadOnlyList<string> Cells)
    {
        /// <summary>The longest line of the cells and the longest word of the heading.</summary>
        public int Width { get; } =
            Words(Head).Concat(Cells.SelectMany(c => c.Split('\n'))).Append("").Max(l => Math.Max(l.Length, MinColumn));

        private static string[] Words(string text) => text.Split([' ', '\n']);

        /// <summary>Whether it fits into a width with other columns on its right.</summary>
        public bool Fits(IEnumerable<Column> others, int width) => 1 + others.Prepend(this).Sum(c => c.Width + Padding) <= width;

        /// <summary>The heading in lines of that width.</summary>
        public string Heading =>
            Words(Head)
                .Aggregate(
                    (Text: "", Line: 0),
                    (h, word) =>
                        h.Text.Length == 0 ? (word, word.Length)
                        : h.Line + 1 + word.Length <= Width ? ($"{h.Text} {word}", h.Line + 1 + word.Length)
                        : ($"{h.Text}\n{word}", word.Length)
                )
                .Text;
    }
}
