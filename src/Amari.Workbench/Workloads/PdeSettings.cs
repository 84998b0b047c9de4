using System.Globalization;
using Amari.Native;

namespace Amari.Workloads;

/// <summary>What can be chosen about a <see cref="PdeWorkload"/>.</summary>
public sealed record PdeSettings
{
    internal const string HiddenName = "hidden",
        PointsName = "points",
        BoundaryPointsName = "boundary-points";
    private const string BoundaryWeightName = "boundary-weight",
        ResampleName = "resample";

    /// <summary>Units of the hidden layers, each ≥ 1; empty for a linear model.</summary>
    public IReadOnlyList<int> Hidden
    {
        get;
        init => field = [.. value.Select(units => Require.AtLeast(1, units, "number of hidden units"))];
    } = [32];

    /// <summary>Points in the interior, ≥ 1.</summary>
    public int Points
    {
        get;
        init => field = Require.AtLeast(1, value, "number of points");
    } = 900;

    /// <summary>Points of all other conditions together: at least one for each.</summary>
    public int BoundaryPoints
    {
        get;
        init => field = Require.AtLeast(0, value, "number of boundary points");
    } = 120;

    /// <summary>The factor > 0 of the mean squared residual of each boundary or initial condition; that of the equation has 1.</summary>
    public double BoundaryWeight
    {
        get;
        init => field = Require.Positive(value, "boundary weight");
    } = 1;

    /// <summary>Training uses new points after this many steps; 0 for the same points in all steps.</summary>
    public int Resample
    {
        get;
        init => field = Require.AtLeast(0, value, "number of steps between new points");
    }

    /// <summary>By name, as on the command line.</summary>
    /// <param name="boundary">Whether there are conditions on the boundary, and so settings for them.</param>
    internal IReadOnlyDictionary<string, string> Values(bool boundary)
    {
        var values = new Dictionary<string, string>
        {
            [HiddenName] = string.Join(',', Hidden),
            [PointsName] = FormattableString.Invariant($"{Points}"),
            [ResampleName] = FormattableString.Invariant($"{Resample}"),
        };
        if (!boundary)
            return values;
        values[BoundaryPointsName] = FormattableString.Invariant($"{BoundaryPoints}");
        values[BoundaryWeightName] = FormattableString.Invariant($"{BoundaryWeight}");
        return values;
    }

    /// <summary>These settings with the values of <see cref="Values"/>.</summary>
    /// <exception cref="ArgumentException">A value is invalid.</exception>
    internal PdeSettings With(IReadOnlyDictionary<string, string> values)
    {
        var read = this with
        {
            Hidden =
            [
                .. CommaSeparated
                    .Items(values[HiddenName])
                    .Select(units =>
                        Whole(units)
                        ?? throw Invalid(
                            HiddenName,
                            values[HiddenName],
                            $"whole numbers from 1 to {int.MaxValue} separated by commas, as 32,32"
                        )
                    ),
            ],
            Points = Count(PointsName),
            Resample = Count(ResampleName),
        };
        return values.TryGetValue(BoundaryWeightName, out string? weight)
            ? read with
            {
                BoundaryPoints = Count(BoundaryPointsName),
                BoundaryWeight = double.TryParse(weight, NumberStyles.Float, CultureInfo.InvariantCulture, out double factor)
                    ? factor
                    : throw Invalid(BoundaryWeightName, weight, "a number"),
            }
            : read;

        int Count(string name) => Whole(values[name]) ?? throw Invalid(name, values[name], $"a whole number from 0 to {int.MaxValue}");
    }

    private static int? Whole(string value) =>
        int.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int number) ? number : null;

    private static ArgumentException Invalid(string name, string value, string allowed) =>
        new($"The setting {name} is '{value}'; it must be {allowed}.");
}
