using Amari.Native;

namespace Amari.Training;

/// <summary>What a <see cref="CurvatureMonitor"/> measures, on how many examples, how exactly, and at which share of the time.</summary>
public sealed record MonitorOptions
{
    /// <summary>What is measured; at least one quantity.</summary>
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

    /// <summary>In [0, 1): the share of the run time (training and monitor together) that measurements after the first take; 0 for the
    /// first alone.</summary>
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

    /// <summary>Eigenvalues of the spectrum, ≥ 1.</summary>
    public int Eigenvalues
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 5;

    /// <summary>Largest residual of an eigenvalue relative to the largest, > 0. The eigenvalue's own error is of the order of its
    /// square.</summary>
    public double Tolerance
    {
        get;
        init => field = Require.Positive(value);
    } = 1e-2;

    /// <summary>Products of one measurement after which Lanczos gives what it has, ≥ 1.</summary>
    public int MaxProducts
    {
        get;
        init => field = Require.AtLeast(1, value);
    } = 200;

    /// <summary>≥ 0: of the sample and of Lanczos. Torch's own generator is never drawn from.</summary>
    public int Seed
    {
        get;
        init => field = Require.AtLeast(0, value);
    }

    /// <summary>The names of the quantities, as on the command line.</summary>
    public static IReadOnlyList<string> Names { get; } =
    [
        .. Enum.GetValues<MonitorQuantities>()
            .Where(q => q is not (MonitorQuantities.None or MonitorQuantities.All))
            .Select(q => q.ToString().ToLowerInvariant()),
    ];

    /// <summary>Reads comma-separated names of quantities: <c>sharpness,noise</c>, or <c>all</c>.</summary>
    /// <exception cref="ArgumentException">A name that is none, or no name; the message lists them.</exception>
    public static MonitorQuantities Parse(string names)
    {
        ArgumentNullException.ThrowIfNull(names);
        var result = MonitorQuantities.None;
        foreach (string name in names.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            result |= Names.Append("all").Contains(name, StringComparer.OrdinalIgnoreCase)
                ? Enum.Parse<MonitorQuantities>(name, ignoreCase: true)
                : throw new ArgumentException(
                    $"There is nothing called '{name}' to monitor; there are {string.Join(", ", Names)}, and all."
                );
        return result != MonitorQuantities.None
            ? result
            : throw new ArgumentException($"Nothing to monitor is named; there are {string.Join(", ", Names)}, and all.");
    }
}
