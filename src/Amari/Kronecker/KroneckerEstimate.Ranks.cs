using Amari.Distributed;
using Amari.Kronecker;
using Amari.Serialization;

namespace Amari.Curvature;

// What several ranks do together.
public sealed partial class KroneckerEstimate
{
    private long _batchExamples; // of all ranks, when factors were measured last

    /// <summary>The ranks that share the work; null for one process.</summary>
    internal Communicator? World => _sharing?.World;

    /// <summary>Throws what <see cref="Share"/> cannot do.</summary>
    internal void RefuseUnshareable(int ranks)
    {
        var options = _owner.Curvature;
        if (options.Refresh.TimeFraction is not null)
            throw new NotSupportedException(
                "A TimeFraction goes by a rank's own clock: over several ranks give FactorInterval and InverseInterval."
            );
        if (_sharing is not null || _blocks.Exists(b => b.IsMeasured))
            throw new InvalidOperationException("The work can be shared over ranks only once, before the first step.");
        if (
            options.Inverse is InverseOptions.EigenvalueCorrection
            && InverseSharing.Holders(ranks, options.Distribution.GradWorkerFraction) < ranks
        )
            throw new NotSupportedException("EKFAC needs every inverse on every rank: GradWorkerFraction must be 1.");
    }

    /// <summary>Over the ranks of a communicator: sums that make the factors are added up, and the inverses shared out as
    /// <see cref="DistributionOptions"/> say. Steps equal those of one process with the whole batch, to rounding: what is drawn for an
    /// example is drawn by its place in the whole batch.</summary>
    internal void Share(Communicator communicator) => _sharing = new(communicator, _owner.Curvature.Distribution.GradWorkerFraction);

    /// <summary>Whether a block has an inverse, perhaps on another rank.</summary>
    internal bool HasInverse(CurvatureBlock block) => _sharing is null ? block.Inverse is not null : _sharing.HasInverse(block);

    /// <summary>Which part of the whole batch a pass of so many examples is of.</summary>
    private BatchPart? PartOf(long examples)
    {
        if (_sharing is not { World: { Rank: var rank, Size: var size } })
            return null;
        if (_owner.BatchPart is { } given)
            return given.Length == examples
                ? given
                : throw new InvalidOperationException(
                    $"The pass is of {examples} examples, but {nameof(BatchPart)} says {given.Length}: set it before each forward pass."
                );
        var asBefore = BatchPart.Of(_batchExamples, rank, size);
        return asBefore.Length == examples ? asBefore : BatchPart.Of(examples * size, rank, size);
    }

    /// <summary>Notes the size of the whole batch, and has ranks that drew less than others, because they had no example, take over the
    /// generator of one that drew most.</summary>
    private void Synchronize(Communicator world)
    {
        double[] mine = new double[2 * world.Size];
        (mine[2 * world.Rank], mine[2 * world.Rank + 1]) = (Capture.LiveInputRows, Capture.Draws);
        double[] all = world.Sum(mine);
        _batchExamples = (long)Enumerable.Range(0, world.Size).Sum(r => all[2 * r]);
        int most = Enumerable.Range(0, world.Size).MaxBy(r => all[2 * r + 1]);
        if (Enumerable.Range(0, world.Size).All(r => all[2 * r + 1] == all[2 * most + 1]))
            return;
        using var state = _generator.get_state();
        world.Broadcast(state, most);
        _generator.set_state(state);
        Capture.Draws = (long)all[2 * most + 1];
    }

    /// <summary>Adds up sums and terms over ranks.</summary>
    /// <returns>Whether all ranks' outputs were finite.</returns>
    private bool Reduce(InverseSharing sharing)
    {
        if (Capture.Failure is not null || !(Capture.Active || _owner.Reduction == LossReduction.Sum))
            return true;
        if (Capture.Active && Capture.Kind is not (FisherKind.Empirical or FisherKind.ForwardOnly))
            Synchronize(sharing.World);
        (Terms, bool finite) = InverseSharing.Reduce(
            sharing.World,
            Capture.Active ? _blocks : [],
            Terms,
            !Capture.NotFinite,
            Capture.Kind == FisherKind.Empirical && _owner.Reduction == LossReduction.Mean
        );
        return finite;
    }
}
