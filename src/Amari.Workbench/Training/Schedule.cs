using Amari.Native;
using Amari.Optimizers;

namespace Amari.Training;

/// <summary>The learning rate over a run as a multiple of its peak, the rate in the optimizer's options.</summary>
/// <remarks>With the share s of the budget that is used (seconds or steps) and the warm-up w:
/// <code>
/// s &lt; w       0.01 + 0.99 s / w                linear, from a hundredth of the peak
/// Constant    1
/// Linear      min(1, (1 - s) / 0.2)
/// Cosine      ½ (1 + cos(π (s - w) / (1 - w)))
/// </code></remarks>
/// <param name="Shape">The shape after the warm-up.</param>
public sealed record Schedule(ScheduleShape Shape)
{
    private const double Floor = 0.01, // of the warm-up: a rate of 0 would waste the first step
        DecayShare = 0.2;

    /// <summary>A constant rate.</summary>
    public static Schedule Constant { get; } = new(ScheduleShape.Constant);

    /// <summary>Linear decay over the last fifth, without a warm-up: the default of the command line.</summary>
    public static Schedule Default { get; } = new(ScheduleShape.Linear);

    /// <summary>Share of the budget in which the rate rises to its peak, 0 to 0.5.</summary>
    public double Warmup
    {
        get;
        init =>
            field = value is >= 0 and <= 0.5
                ? value
                : throw new ArgumentException(FormattableString.Invariant($"The warm-up is {value}; it must be a share from 0 to 0.5."));
    }

    /// <summary>The rate as a multiple of the peak.</summary>
    /// <param name="share">The used share of the budget; values outside of [0, 1] count as the nearest end.</param>
    public double Factor(double share)
    {
        double s = Math.Clamp(share, 0, 1);
        return s < Warmup
            ? Floor + (1 - Floor) * s / Warmup
            : Shape switch
            {
                ScheduleShape.Linear => Math.Min(1, (1 - s) / DecayShare),
                ScheduleShape.Cosine => 0.5 * (1 + Math.Cos(Math.PI * (s - Warmup) / (1 - Warmup))),
                _ => 1,
            };
    }

    /// <summary>Applies the schedule to an optimizer.</summary>
    /// <param name="optimizer">With the peak rates.</param>
    /// <param name="share">The used share of the budget.</param>
    /// <returns>Its <c>step</c> sets the rates of the next step.</returns>
    internal optim.lr_scheduler.LRScheduler For(Optimizer optimizer, Func<double> share) =>
        optim.lr_scheduler.LambdaLR(optimizer, _ => Factor(share()));

    /// <summary>The schedule in words, such as <c>linear, warm-up 5 %</c>.</summary>
    public override string ToString() =>
        Shape.ToString().ToLowerInvariant() + (Warmup > 0 ? FormattableString.Invariant($", warm-up {100 * Warmup:0.##} %") : "");

    /// <summary>Parses the name of a shape.</summary>
    /// <exception cref="ArgumentException">It is unknown.</exception>
    internal static ScheduleShape ParseShape(string name) =>
        Enum.GetValues<ScheduleShape>()
            .Cast<ScheduleShape?>()
            .FirstOrDefault(s => NameOf(s!.Value).Equals(name, StringComparison.OrdinalIgnoreCase))
        ?? throw new ArgumentException(
            $"The schedule is '{name}'; it must be one of {string.Join(", ", Enum.GetValues<ScheduleShape>().Select(NameOf))}."
        );

    /// <summary>The name of a shape on the command line and in results.</summary>
    internal static string NameOf(ScheduleShape shape) => shape.ToString().ToLowerInvariant();
}
