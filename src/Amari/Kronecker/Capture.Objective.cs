using Amari.Curvature;

namespace Amari.Kronecker;

// A walk over the data of an objective: every pass counts, without a training loss and also where others are suspended.
internal sealed partial class Capture
{
    private Objective? _measured;

    /// <summary>Accumulates in the blocks what all of the data gives; earlier passes are forgotten.</summary>
    /// <param name="objective">Of the same model, with a likelihood.</param>
    /// <param name="draws">The source of draws in this walk.</param>
    /// <returns>The terms of all ranks, and whether all outputs on this one were finite.</returns>
    public (long Terms, bool Finite) Measure(Objective objective, Generator draws)
    {
        var (active, generator) = (Active, _generator);
        Reset();
        (_measured, Active, _generator) = (objective, true, draws);
        bool finite = true;
        try
        {
            long terms = objective.Walk(
                true,
                piece =>
                {
                    var output = piece.Output;
                    if (FisherSettings.FromLoss(Kind) && output.requires_grad)
                        using (var f = output.detach())
                            Propagate(output, objective.Likelihood!.Score(f, piece.Target));
                    finite &= !NotFinite;
                    Reset();
                }
            );
            return (terms, finite);
        }
        finally
        {
            Reset();
            (_measured, Active, _generator) = (null, active, generator);
        }
    }
}
