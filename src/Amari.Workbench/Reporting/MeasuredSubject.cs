using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>What the runs of a comparison on a workload measure: a comparison that continues must measure the same.</summary>
/// <param name="Workload">The name of the workload.</param>
/// <param name="Data">The <see cref="DataFingerprint"/> of its data.</param>
/// <param name="Target">The target of the runs.</param>
internal sealed record MeasuredSubject(string Workload, string Data, Target Target)
{
    private const double Rounding = 1e-6; // of a target that is computed from the data, relative

    /// <summary>What a trainer measures.</summary>
    public static MeasuredSubject Of(Trainer trainer) => new(trainer.Workload.Name, trainer.Fingerprint, trainer.Target);

    /// <summary>Refuses what differs from the start of the comparison.</summary>
    /// <param name="before">What was measured then.</param>
    /// <param name="folder">Where the comparison was saved.</param>
    /// <exception cref="ArgumentException">The data or the target differ.</exception>
    public void RequireSame(MeasuredSubject before, string folder)
    {
        if (Data != before.Data)
            throw new ArgumentException(
                $"The comparison in '{folder}' was started with other data of {Workload} (fingerprint {before.Data}, now {Data}): "
                    + "it cannot continue."
            );
        bool isSame =
            Target.Metric == before.Target.Metric
            && Math.Abs(Target.Value - before.Target.Value) <= Rounding * Math.Abs(before.Target.Value);
        if (!isSame)
            throw new ArgumentException(
                $"The comparison in '{folder}' was started with the target {Words(before.Target)} on {Workload}, which is now "
                    + $"{Words(Target)}: it cannot continue."
            );
    }

    private static string Words(Target target) => FormattableString.Invariant($"{target.Metric} {target.Value}");
}
