using Amari.Reporting;
using Amari.Spectrum;

namespace Amari.Training;

/// <summary>All measurements of one run and their cost.</summary>
/// <param name="Quantities">The measured quantities.</param>
/// <param name="Rows">The measurements, ordered by step.</param>
/// <param name="TargetShare">The requested share of the run time.</param>
/// <param name="Share">The actual share, without the first and the last measurement.</param>
/// <param name="EndSeconds">Seconds of the first measurement, with warm-up, and of requested ones such as the last.</param>
/// <param name="Seconds">Seconds of the other measurements.</param>
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
