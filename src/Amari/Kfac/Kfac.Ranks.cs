using Amari.Distributed;

namespace Amari;

// What several ranks do together: see KroneckerEstimate.Ranks.
public sealed partial class Kfac
{
    /// <summary>All ranks; null for one process.</summary>
    private Communicator? World => Estimate.World;

    internal override void RefuseUnshareable(int ranks, bool shardState)
    {
        Estimate.RefuseUnshareable(ranks);
        _fallback.RefuseUnshareable(ranks, shardState);
    }

    /// <summary>Over the ranks of a communicator: see <see cref="DistributionOptions"/>. Steps equal those of one process with the whole
    /// batch, to rounding: what is drawn for an example is drawn by its place in the whole batch, see
    /// <see cref="Optimizer.BatchPart"/>.</summary>
    internal override void Share(Communicator communicator, bool shardState)
    {
        _fallback.Share(communicator, shardState);
        Estimate.Share(communicator);
    }
}
