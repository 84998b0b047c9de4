using System.Text;

namespace Amari;

/// <summary>The coverage report: one row per parameter. Prints as a table.</summary>
public sealed record Coverage(IReadOnlyList<CoverageRow> Rows)
{
    /// <summary>The rows as an aligned plain-text table.</summary>
    public override string ToString()
    {
        int name = Rows.Select(r => r.Parameter.Length).Append("parameter".Length).Max();
        int block = Rows.Select(r => r.Block.Length).Append("block".Length).Max();
        var text = new StringBuilder();
        foreach (var row in Rows.Prepend(new("parameter", "block", "reason")))
            text.Append(row.Parameter.PadRight(name + 2)).Append(row.Block.PadRight(block + 2)).AppendLine(row.Reason);
        return text.ToString();
    }
}
