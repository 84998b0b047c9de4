using Amari.Curvature;
using Amari.Native;

namespace Amari.Kronecker;

// The targets of a forward pass, where they are known: which of its terms count.
internal sealed partial class Capture
{
    private Tensor? _targets;

    /// <summary>The next forward pass is of these targets; null where they are not known. Not owned.</summary>
    public void SetTargets(Tensor? targets) => _targets = targets;

    /// <summary>Counts the terms of a pass.</summary>
    /// <returns>1 for terms that count and 0 for others, shaped to multiply an output; null if all do, or if that is not known.</returns>
    private Tensor? Count(ForwardPass pass, Tensor output)
    {
        var targets = _measured is null ? _targets : MeasuredTargets.Current;
        _targets = null;
        LastTerms = pass.Terms = _likelihood?.Terms(output) ?? pass.Examples;
        if (_likelihood is null || targets is null || targets.IsInvalid)
            return null;
        if (_measured is null && !pass.IsUnbatched && targets.dim() > 0 && targets.shape[0] != pass.Examples)
            return null; // of a part of the batch
        if (pass.IsUnbatched)
            targets = targets.unsqueeze(0);
        pass.KnowsTargets = true;
        LastTerms = pass.Terms = _likelihood.Terms(output, targets);
        if (pass.Input is not null)
            pass.Target = targets.detach().DetachFromDisposeScope();
        if (_likelihood.Counted(output, targets) is not { } counted)
            return null;
        var some = counted.reshape(counted.shape[0], -1).sum(1).ne(0);
        pass.Rows = some.nonzero().reshape(-1).Elements<long>();
        return counted;
    }

    /// <summary>Leaves out examples of which no term counts: the model must not mix examples.</summary>
    private static Tensor OfRows(Tensor t, ForwardPass pass)
    {
        if (pass.Rows is not { Length: > 0 } rows || t.shape[0] != pass.Examples || rows.Length == pass.Examples)
            return t;
        using var index = tensor(rows, dtype: ScalarType.Int64, device: t.device);
        return t.index_select(0, index);
    }
}
