using Amari.Native;

namespace Amari.Workloads;

/// <summary>The length of a run: either seconds (all work of the optimizer, without evaluation) or epochs.</summary>
public sealed record Budget
{
    private Budget() { }

    /// <summary>Seconds of training; null for a budget in epochs.</summary>
    public double? Seconds { get; private init; }

    /// <summary>Passes over the training data; null for a budget in seconds.</summary>
    public int? Epochs { get; private init; }

    /// <param name="seconds">> 0.</param>
    public static Budget OfSeconds(double seconds) => new() { Seconds = Require.Positive(seconds, "budget in seconds") };

    /// <param name="epochs">≥ 1.</param>
    public static Budget OfEpochs(int epochs) => new() { Epochs = Require.AtLeast(1, epochs, "number of epochs") };

    /// <summary>The share of it that a run has used.</summary>
    internal double UsedBy(long step, double seconds, long stepsPerEpoch) =>
        Seconds is { } s ? seconds / s : (double)step / (Epochs!.Value * stepsPerEpoch);

    /// <inheritdoc/>
    public override string ToString() =>
        Seconds is { } s ? (s < 0.01 ? FormattableString.Invariant($"{s:G2} s") : FormattableString.Invariant($"{s:0.##} s"))
        : Epochs == 1 ? "1 epoch"
        : $"{Epochs} epochs";
}
