namespace Amari.Reporting;

/// <summary>What a run is compared by, lower is better.</summary>
/// <param name="Value">The cost.</param>
/// <param name="Resolution">The distance of two neighbouring values that the measurement can give; 0 if it is exact, null if
/// unknown.</param>
internal readonly record struct MeasuredCost(double Value, double? Resolution);
