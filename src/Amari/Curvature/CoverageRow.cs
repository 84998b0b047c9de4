using System.Text;

namespace Amari;

/// <summary>How one parameter is updated.</summary>
/// <param name="Parameter">Its name.</param>
/// <param name="Block">The method: <c>AdamW</c>, <c>Kronecker (Linear)</c>, ...</param>
/// <param name="Reason">Why, in a few words.</param>
public sealed record CoverageRow(string Parameter, string Block, string Reason)
{
    private const string Frozen = "; frozen now";

    /// <summary>The same row, with a note in the reason if the parameter is frozen.</summary>
    internal CoverageRow AsTrained(Tensor parameter) =>
        parameter.requires_grad || Reason.EndsWith(Frozen, StringComparison.Ordinal) ? this : this with { Reason = Reason + Frozen };
}
