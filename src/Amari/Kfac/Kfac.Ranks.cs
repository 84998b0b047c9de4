using Amari.Distributed;
using Amari.Kronecker;
using Amari.Serialization;

namespace Amari;

// What several ranks do together.
public sealed partial class Kfac
{
    private long _batchExamples; // of all ranks, when factors were measured last

    private protected override IEnumerable<OptimizerOptions> GroupOptions => _groups.Select(g => g.Options);

    internal override void RefuseUnshareable(int ranks, bool shardState)
    {
        if (Shared.CurvatureTimeFraction is not null)
            throw new NotSupportedException(
                "A CurvatureTimeFraction goes by a rank's own clock: over several ranks give FactorInterval and InverseInterval."
            );
        if (_sharing is not null || _blocks.Exists(b => b.IsMeasured))
            throw new InvalidOperationException("The work can be shared over ranks only once, before the first step.");
        if (Shared.DampingMethod == DampingMethod.Ekfac && InverseSharing.Holders(ranks, Shared.GradWorkerFraction) < ranks)
            throw new NotSupportedException("EKFAC needs every inverse on every rank: GradWorkerFraction must be 1.");
        _fallback.RefuseUnshareable(ranks, shardState);
    }

    /// <summary>Over the ranks of a communicator: sums that make the factors are added up, and the inverses shared out as
    /// <see cref="Options.GradWorkerFraction"/> and <see cref="Options.InverseWork"/> say. Steps equal those of one process with the whole
    /// batch, to rounding: what is drawn for an example is drawn by its place in the whole batch, see
    /// <see cref="Optimizer.BatchPart"/>.</summary>
    internal override void Share(Communicator communicator, bool shardState)
    {
        _fallback.Share(communicator, shardState);
        _sharing = new(communicator, Shared.GradWorkerFraction);
    }

    /// <summary>Which part of the whole batch a pass of so many examples is of.</summary>
    private BatchPart? PartOf(long examples)
    {
        if (_sharing is not { World: { Rank: var rank, Size: var size } })
            return null;
        if (BatchPart is not null)
            return PartGiven(examples);
        var asBefore = Distributed.BatchPart.Of(_batchExamples, rank, size);
        return asBefore.Length == examples ? asBefore : Distributed.BatchPart.Of(examples * size, rank, size);
    }

    /// <summary>Notes the size of the whole batch, and has ranks that drew less than others, because they had no example, take over the
    /// generator of one that drew most.</summary>
    private void Synchronize(Communicator world)
    {
        double[] mine = new double[2 * world.Size];
        (mine[2 * world.Rank], mine[2 * world.Rank + 1]) = (_capture.LiveInputRows, _capture.Draws);
        double[] all = world.Sum(mine);
        _batchExamples = (long)Enumerable.Range(0, world.Size).Sum(r => all[2 * r]);
        int most = Enumerable.Range(0, world.Size).MaxBy(r => all[2 * r + 1]);
        if (Enumerable.Range(0, world.Size).All(r => all[2 * r + 1] == all[2 * most + 1]))
            return;
        using var state = _generator.get_state();
        world.Broadcast(state, most);
        _generator.set_state(state);
        _capture.Draws = (long)all[2 * most + 1];
    }

    private bool HasInverse(CurvatureBlock block) => _sharing is null ? block.Inverse is not null : _sharing.HasInverse(block);

    /// <summary>Adds up sums and terms over ranks.</summary>
    /// <returns>Whether all ranks' outputs were finite.</returns>
    private bool Reduce(InverseSharing sharing, Options options)
    {
        if (_capture.Failure is not null || !(_capture.Active || options.Reduction == LossReduction.Sum))
            return true;
        if (_capture.Active && _capture.Kind is not (FisherKind.Empirical or FisherKind.ForwardOnly))
            Synchronize(sharing.World);
        (_terms, bool finite) = InverseSharing.Reduce(
            sharing.World,
            _capture.Active ? _blocks : [],
            _terms,
            !_capture.NotFinite,
            _capture.Kind == FisherKind.Empirical && options.Reduction == LossReduction.Mean
        );
        return finite;
    }
}
