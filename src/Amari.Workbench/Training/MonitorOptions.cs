using Amari.Native;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>The quantities, sample, accuracy and time share of a <see cref="CurvatureMonitor"/>.</summary>
public sealed record MonitorOptions
{
    /// <summary>The measured quantities; at least one.</summary>
    public MonitorQuantities Quantities
    {
        get;
        init =>
            field =
                (value & ~MonitorQuantities.All) == 0 && value != MonitorQuantities.None
                    ? value
                    : throw new ArgumentOutOfRangeException(
                        nameof(Quantities),
                        $"Quantities is {value}; it must be some of {string.Join(", ", Names)}."
                    );
    } = MonitorQuantities.All;

    /// <summary>In [0, 1): the share of the run time (training and monitor) that measurements after the first take; 0 for the first
    /// measurement only.</summary>
    public double Share
    {
        get;
        init => field = Require.UnitInterval(value);
    } = 0.05;

    /// <summary>Training examples in the fixed sample that <see cref="Trainer"/> draws, ≥ 2.</summary>
    public int Examples
    {
        get;
        init => field = Require.AtLeast(2, value);
    } = 256;

    /// <summary>Number of eigenvalues of the spectrum, ≥ 1.</summary>
    public int Eigenvalues
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 5;

    /// <summary>Maximum residual of an eigenvalue relative to the largest, > 0. The error of the eigenvalue is of the order of its
    /// square.</summary>
    public double Tolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-2;

    /// <summary>Maximum number of products per measurement, ≥ 1. Lanczos then returns its current estimates.</summary>
    public int MaxProducts
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 200;

    /// <summary>Seed of the sample and of Lanczos, ≥ 0. Torch's own generator is not used.</summary>
    public int Seed
    {
        get;
        init => field = Require.AtLeast(0, value);
    }

    /// <summary>The names of the quantities on the command line.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        .. Enum.GetValues<MonitorQuantities>()
            .Where(q => q is not (MonitorQuantities.None or MonitorQuantities.All))
            .Select(q => q.ToString().ToLowerInvariant()),
    ];

    /// <summary>Parses comma-separated names of quantities: <c>sharpness,noise</c>, or <c>all</c>.</summary>
    /// <exception cref="ArgumentException">A name is unknown or repeated, or there is none. The message lists the names.</exception>
    public static MonitorQuantities Parse(string names)
    {
        ArgumentNullException.ThrowIfNull(names);
        var result = MonitorQuantities.None;
        foreach (string name in CommaSeparated.Names("The list of monitored quantities", names))
            result |= Names.Append("all").Contains(name, StringComparer.OrdinalIgnoreCase)
                ? Enum.Parse<MonitorQuantities>(name, ignoreCase: true)
                : throw new ArgumentException($"The monitored quantity is '{name}'; it must be one of {string.Join(", ", Names)}, or all.");
        return result != MonitorQuantities.None
            ? result
            : throw new ArgumentException($"No monitored quantity is given; it must be one of {string.Join(", ", Names)}, or all.");
    }
}
