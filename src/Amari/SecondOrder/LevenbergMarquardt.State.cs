using Amari.Optimizers;

namespace Amari;

// Saving and restoring.
public sealed partial class LevenbergMarquardt
{
    private const string Growth = "dampingGrowth";

    /// <inheritdoc/>
    public override OptimizerSnapshot Snapshot()
    {
        var (tensors, values) = base.Snapshot();
        values[Growth] = _growth;
        return new(tensors, values);
    }

    /// <inheritdoc/>
    public override void Restore(OptimizerSnapshot snapshot)
    {
        ArgumentNullException.ThrowIfNull(snapshot);
        double growth = (double?)snapshot.Values[Growth] ?? FirstGrowth;
        if (!(growth >= FirstGrowth && double.IsFinite(growth)))
            throw new InvalidDataException(
                FormattableString.Invariant($"The state's {Growth} is {growth}; it must be a finite number >= {FirstGrowth}.")
            );
        base.Restore(snapshot);
        _growth = growth;
    }
}
