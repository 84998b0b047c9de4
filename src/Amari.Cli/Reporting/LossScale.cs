using System.Globalization;
using Amari.Training;

namespace Amari.Cli.Reporting;

/// <summary>The axis of the loss, the same in every figure of a comparison.</summary>
/// <param name="Log">Whether it is logarithmic: all losses are positive and far apart.</param>
/// <param name="Low">The smallest loss shown.</param>
/// <param name="High">The largest: where a run that diverges leaves the figure.</param>
internal sealed record LossScale(bool Log, double Low, double High)
{
    private const double Far = 5;

    public static LossScale Of(Comparison comparison)
    {
        var losses = comparison.Runs.SelectMany(r => r.Status == RunStatus.Diverged ? r.Losses.Take(1) : r.Losses)
            .Select(p => p.Loss).Where(double.IsFinite).Append(comparison.Target.Value).ToList();
        var (low, high) = (losses.Min(), losses.Max());
        bool log = low > 0 && high / low > Far;
        double room = log ? Math.Max(1.1, Math.Pow(high / low, 0.04)) : high > low ? 0.04 * (high - low) : 1;
        return log ? new(true, low / room, high * room) : new(false, low - room, high + room);
    }

    /// <summary>Where the loss is on the axis.</summary>
    public double At(double loss) => Log ? Math.Log10(loss) : loss;

    /// <summary>The marks of a logarithmic axis: decades, with 2 and 5 between when there are few; unlabelled ones have a null.</summary>
    public IEnumerable<(double At, string? Label)> LogMarks()
    {
        int first = (int)Math.Floor(Math.Log10(Low)), last = (int)Math.Ceiling(Math.Log10(High));
        double decades = Math.Log10(High / Low);
        int stride = (int)Math.Ceiling(decades / 8);
        for (int power = first; power <= last; power++)
            for (int digit = 1; digit <= 9; digit++)
            {
                double value = double.Parse(FormattableString.Invariant($"{digit}e{power}"), CultureInfo.InvariantCulture);
                if (value < Low || value > High) continue;
                bool labelled = digit == 1 ? power % stride == 0 : digit is 2 or 5 && decades < 2;
                if (labelled || stride == 1) yield return (Math.Log10(value), labelled ? Number.Short(value) : null);
            }
    }
}
