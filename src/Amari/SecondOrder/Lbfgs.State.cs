using System.Text.Json.Nodes;
using Amari.Optimizers;
using Amari.SecondOrder;

namespace Amari;

// Saving, restoring and moving.
public sealed partial class Lbfgs
{
    /// <inheritdoc/>
    public override OptimizerSnapshot Snapshot()
    {
        var (tensors, values) = base.Snapshot();
        values["skippedPairs"] = SkippedPairs;
        values["historyOf"] = new JsonArray([.. _names.Select(n => (JsonNode)n)]);
        return new(
            _history.Tensors.Aggregate(
                tensors.ToDictionary(),
                (all, t) =>
                {
                    all[t.Name] = t.Tensor;
                    return all;
                }
            ),
            values
        );
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        List<string> names = [.. snapshot.Values["historyOf"]?.AsArray().Select(n => (string)n!) ?? []];
        long skipped = SavedState.Count(snapshot.Values, "skippedPairs", optional: true);
        var sizes = Group.Parameters.ToDictionary(p => p.Name, p => p.Parameter.numel());
        var history = LbfgsHistory.Of(snapshot.Tensors, names.Sum(n => sizes.GetValueOrDefault(n)));
        try
        {
            base.Restore(snapshot);
        }
        catch
        {
            history.Dispose();
            throw;
        }
        _history.Dispose();
        (_history, _names, SkippedPairs) = (history, names, skipped);
    }

    /// <summary>It is the last loss.</summary>
    private protected override void RequireAdapted(double value)
    {
        if (!double.IsFinite(value))
            throw new InvalidDataException(FormattableString.Invariant($"The state's last loss is {value}; it must be a finite number."));
    }

    /// <inheritdoc/>
    public override void to(Device device)
    {
        base.to(device);
        if (_history.Count > 0)
            _history.To(_history.Tensors.First().Tensor.dtype, device);
    }

    /// <inheritdoc/>
    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _history.Dispose();
        base.Dispose(disposing);
    }
}
