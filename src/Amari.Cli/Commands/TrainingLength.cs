namespace Amari.Cli.Commands;

/// <summary>How long a <see cref="Subject"/> trains before its curvature is measured.</summary>
/// <param name="Steps">Maximum steps; null for none.</param>
/// <param name="Seconds">Maximum training time; null for none. Only then do the weights depend on the machine.</param>
/// <param name="ToTarget">Whether the first evaluation that meets the workload's target ends it.</param>
internal readonly record struct TrainingLength(long? Steps, double? Seconds = null, bool ToTarget = false)
{
    /// <summary>Whether the weights stay as initialised.</summary>
    public bool IsZero => Steps == 0 || Seconds == 0;

    /// <summary>The completed share, 0..1.</summary>
    public double Share(long steps, double seconds) =>
        Math.Min(
            1,
            Seconds is { } s ? seconds / s
                : Steps is { } n ? (double)steps / n
                : 0
        );

    public override string ToString() =>
        Seconds is { } s ? FormattableString.Invariant($"{s:0.##} s")
        : ToTarget ? FormattableString.Invariant($"at most {Steps} steps")
        : FormattableString.Invariant($"{Steps} steps");
}
