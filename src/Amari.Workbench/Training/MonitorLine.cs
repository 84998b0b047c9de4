using Amari.Reporting;
using Amari.Spectrum;

namespace Amari.Training;

/// <summary>A row, and whose it is.</summary>
/// <param name="Optimizer">The optimizer's name.</param>
/// <param name="Seed">The run's seed.</param>
/// <param name="Row">The row: a measurement, or only what a step of a second-order method reports of itself.</param>
public readonly record struct MonitorLine(string Optimizer, int Seed, MonitorRow Row);
