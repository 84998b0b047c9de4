using Amari.Reporting;
using Amari.Spectrum;

namespace Amari.Training;

/// <summary>All measurements of one run, and what they cost.</summary>
/// <param name="Quantities">What was measured.</param>
/// <param name="Rows">In the order of steps.</param>
/// <param name="TargetShare">The share of the run time that was asked for.</param>
/// <param name="Share">The share that was taken, the first measurement and the last not counted.</param>
/// <param name="EndSeconds">What the first measurement took, warming up included, and those that were not waited for, such as the
/// last.</param>
/// <param name="Seconds">What the others took.</param>
/// <param name="BoundRule">The formula of the stability bound; null if the optimizer has none.</param>
public sealed record MonitorResult(
    MonitorQuantities Quantities,
    IReadOnlyList<MonitorRow> Rows,
    double TargetShare,
    double Share,
    double EndSeconds,
    double Seconds,
    string? BoundRule
);
