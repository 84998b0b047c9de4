namespace Amari.Training;

/// <summary>Where the settings of a comparison's optimizers come from.</summary>
public enum SettingsSource
{
    /// <summary>The optimizers' defaults.</summary>
    Defaults,

    /// <summary>The workload's <see cref="Workloads.Workload.Settings"/>, found with an unknown number of trials.</summary>
    Workload,

    /// <summary>The same number of tuning trials for each optimizer.</summary>
    Tuned,
}
