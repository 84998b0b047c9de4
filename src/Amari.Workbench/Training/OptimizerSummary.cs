namespace Amari.Training;

/// <summary>What the result of a run says about its optimizer, as it is at one moment.</summary>
/// <param name="Parameters">Number of trained parameters.</param>
/// <param name="StateBytes">Bytes of state.</param>
/// <param name="Coverage">The method that updates each parameter.</param>
/// <param name="Events">Failed factorisations, fallbacks and similar events.</param>
/// <param name="CurvatureChoice">K-FAC's choice of intervals; null without one.</param>
internal sealed record OptimizerSummary(
    long Parameters,
    long StateBytes,
    IReadOnlyList<CoverageRow> Coverage,
    IReadOnlyList<OptimizerEvent> Events,
    CurvatureChoice? CurvatureChoice
)
{
    /// <summary>A summary that does not change when the optimizer does.</summary>
    public static OptimizerSummary Of(Optimizer optimizer) =>
        new(
            optimizer.parameters().Sum(p => p.numel()),
            optimizer.StateBytes,
            [.. optimizer.Coverage.Rows],
            [.. optimizer.Events],
            (optimizer as Kfac)?.CurvatureChoice
        );
}
