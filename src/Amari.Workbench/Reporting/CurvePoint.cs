namespace Amari.Reporting;

/// <summary>A quantity at an evaluation.</summary>
/// <param name="Step">Completed optimizer steps.</param>
/// <param name="Seconds">Training time so far, without evaluation.</param>
/// <param name="Value">The quantity there; it need not be finite.</param>
internal readonly record struct CurvePoint(long Step, double Seconds, double Value);
