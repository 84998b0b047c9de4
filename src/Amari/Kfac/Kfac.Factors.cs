using Amari.Distributed;
using Amari.Native;
using Amari.Serialization;

namespace Amari;

// From what was captured to running factors, and from those to inverses.
public sealed partial class Kfac
{
    private void UpdateFactors(Options options, bool finite)
    {
        if (_capture.Failure is { } failure)
            throw new InvalidOperationException($"K-FAC could not measure its factors: {failure.Message}", failure);
        if (!finite)
        {
            foreach (var block in _blocks)
            {
                block.Discard();
                Log(block.Name, NotFinite);
            }
            return;
        }
        foreach (var block in _blocks.Where(b => !b.HasPending && (!b.IsMeasured || b.Unseen is not null) && IsUsed(b)).ToList())
        {
            if (_terms == 0)
                throw new InvalidOperationException(
                    "K-FAC has seen no forward pass of the model: call it through call(x), not forward(x), and call backward() before "
                        + "step()."
                );
            if (block.Unseen is null && _capture.HasSeen(block))
                continue; // in a pass that does not count
            string reason =
                block.Unseen ?? "its input was not seen: call layer.call(x) instead of layer.forward(x), inside the model's own call";
            Demote(block, reason);
            Warnings.Once($"K-FAC has no curvature of the layer {block.Name}: {reason}. AdamW trains it.");
        }
        double? scale =
            _capture.Kind == FisherKind.ForwardOnly ? null
            : _capture.Kind == FisherKind.Empirical && options.Reduction == LossReduction.Mean && _sharing is null ? _terms
            : 1.0 / _terms;
        foreach (var block in _blocks.Where(b => b.HasPending))
            if (!block.UpdateRunningAverage(scale, options.FactorEma, IdentityOf(options)))
                Log(block.Name, NotFinite);
    }

    private void Refresh(Options options)
    {
        var measured = _blocks.Where(b => b.IsMeasured).ToList();
        _inverter.Begin(
            options.InverseSettings,
            measured.SelectMany(b => b.Factors()).Select(f => f.Tensor),
            Clock,
            begins: options.RefreshWarmup * _step < 2
        );
        if (_sharing is not null)
            foreach (var (block, message) in _sharing.Refresh(measured, b => OfInverse(b, options), options.InverseSettings, _inverter))
                Log(block.Name, message);
        else
            foreach (var block in measured)
            foreach (string message in block.Refresh(OfInverse(block, options), _inverter, options.InversePrecision))
                Log(block.Name, message);
        _inverter.End(_sharing?.World);
    }
}
