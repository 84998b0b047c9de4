using System.Text;

namespace Amari;

/// <summary>How one parameter is updated.</summary>
/// <param name="Parameter">Its name.</param>
/// <param name="Block">The method: <c>AdamW</c>, <c>Kronecker (Linear)</c>, ...</param>
/// <param name="Reason">Why, in a few words.</param>
public sealed record CoverageRow(string Parameter, string Block, string Reason)
{
    private const string Frozen = "; frozen now";

    /// <summary>The same, with a word at the end of the reason if the parameter is frozen.</summary>
    internal CoverageRow AsTrained(Tensor parameter) =>
        parameter.requires_grad || Reason.EndsWith(Frozen, StringComparison.Ordinal) ? this : this with { Reason = Reason + Frozen };
}

/// <summary>The coverage report: one row for each parameter. Prints as a table.</summary>
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
