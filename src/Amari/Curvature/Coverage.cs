using System.Text;

namespace Amari;

/// <summary>The coverage report: one row per parameter. Prints as a table.</summary>
/// <example><code>
/// var model = nn.Sequential(("conv", nn.Conv1d(2, 4, 3)), ("prelu", nn.PReLU(4)), ("pool", nn.AdaptiveAvgPool1d(1)));
/// using var optimizer = new Kfac(model, new() { Damping = 1e-2 });
/// foreach (var row in optimizer.Coverage.Rows)
///     Console.WriteLine($"{row.Parameter}: {row.Block} {row.Reason}");   // AdamW trains the PReLU, which has no block
/// </code></example>
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
