namespace Amari.Training;

/// <summary>Where the runs of an optimizer in a comparison come from that joins several results.</summary>
/// <param name="Result">The result.</param>
/// <param name="Optimizer">The optimizer's name there, as in the catalog.</param>
internal sealed record ResultSource(BenchmarkResult Result, string Optimizer);
