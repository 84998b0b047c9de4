using Amari.Workloads;

namespace Amari.Benchmarks;

/// <summary>How a run went.</summary>
/// <param name="Workload">What was trained.</param>
/// <param name="Optimizer">By its name in the catalogue, at its defaults.</param>
/// <param name="Seed">Of weights, batches and corruption.</param>
/// <param name="Corrupted">Whether one batch in a hundred was.</param>
/// <param name="Steps">Steps done.</param>
/// <param name="Start">Loss over the training set before the first step.</param>
/// <param name="Best">The least loss.</param>
/// <param name="BestStep">When it was.</param>
/// <param name="Worst">The largest loss after that.</param>
/// <param name="End">The last loss.</param>
/// <param name="Metric">The workload's, at the end.</param>
/// <param name="Skipped">Steps that the optimizer skipped.</param>
/// <param name="Cut">Steps that K-FAC's growth bound cut.</param>
/// <param name="CameApart">As commands judge runs; also where it failed, or did not end at a number.</param>
/// <param name="Failure">What was thrown; null for nothing.</param>
/// <param name="Seconds">It took.</param>
internal sealed record EnduranceRun(
    string Workload,
    string Optimizer,
    int Seed,
    bool Corrupted,
    long Steps,
    double Start,
    double Best,
    long BestStep,
    double Worst,
    double End,
    double Metric,
    long Skipped,
    long Cut,
    bool CameApart,
    string? Failure,
    double Seconds
)
{
    /// <summary>In a line.</summary>
    public override string ToString() =>
        FormattableString.Invariant($"seed {Seed}: best {Best:G3} at {BestStep}, end {End:G3}, metric {Metric:F3}, {Seconds:F0} s")
        + (CameApart ? $", CAME APART {Failure}" : "");
}
