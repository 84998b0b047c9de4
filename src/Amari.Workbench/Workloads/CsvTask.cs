namespace Amari.Workloads;

/// <summary>What is predicted of a <see cref="CsvDataset"/>'s target.</summary>
public enum CsvTask
{
    /// <summary>Classes if the target is text or has at most ten different whole numbers; otherwise its number.</summary>
    Auto,

    /// <summary>The number.</summary>
    Regression,

    /// <summary>The class: each different value of the target is one.</summary>
    Classification,
}
