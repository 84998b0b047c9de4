using Amari.Reporting;
using Amari.Spectrum;

namespace Amari.Training;

/// <summary>A row of a monitor with its run.</summary>
/// <param name="Optimizer">The optimizer's name.</param>
/// <param name="Seed">The run's seed.</param>
/// <param name="Row">A measurement, or only the report of a second-order method's step.</param>
public readonly record struct MonitorLine(string Optimizer, int Seed, MonitorRow Row);
