using Amari.Distributed;

namespace Amari;

// What several ranks do together.
public sealed partial class Kfac
{
    /// <summary>Over the ranks of a communicator: sums that make the factors are added up, and the inverses shared out as
    /// <see cref="Options.InverseFraction"/> and
    /// <see cref="Options.InverseWork"/> say. Steps equal those of one process with the whole batch, to rounding; Monte-Carlo draws differ
    /// from rank to rank.</summary>
    /// <inheritdoc/>
    /// <exception cref="InvalidOperationException">There are factors already.</exception>
    /// <exception cref="NotSupportedException">EKFAC with an <see cref="Options.InverseFraction"/> below 1: every rank measures in the
    /// eigenbasis.</exception>
    public override void Distribute(Communicator communicator, bool shardState = false)
    {
        ArgumentNullException.ThrowIfNull(communicator);
        if (communicator.Size == 1) return;
        if (Shared.CurvatureBudget is not null) throw new NotSupportedException("A CurvatureBudget goes by a rank's own clock: over several ranks give FactorInterval and InverseInterval.");
        if (_sharing is not null || _blocks.Exists(b => b.IsMeasured)) throw new InvalidOperationException("The work can be shared over ranks only once, before the first step.");
        _fallback.Distribute(communicator, shardState);
        _sharing = new(communicator, Shared.InverseFraction);
        if (Shared.DampingMethod == DampingMethod.Ekfac && !_sharing.IsEverywhere)
            throw new NotSupportedException("EKFAC needs every inverse on every rank: InverseFraction must be 1.");
        Reseed();
    }

    /// <summary>Ranks draw differently; rank 0 as one process does.</summary>
    private void Reseed()
    {
        if (_sharing is { Rank: > 0 }) _generator.manual_seed(HashSeed.Of(Shared.Seed, _step, _sharing.Rank));
    }

    private bool HasInverse(CurvatureBlock block) => _sharing is null ? block.Inverse is not null : _sharing.HasInverse(block);

    /// <summary>Adds up sums and terms over ranks.</summary>
    /// <returns>Whether all ranks' outputs were finite.</returns>
    private bool Reduce(InverseSharing sharing, Options options)
    {
        if (_capture.Failure is not null || !(_capture.Active || options.Reduction == LossReduction.Sum)) return true;
        (_terms, bool finite) = InverseSharing.Reduce(sharing.World, _capture.Active ? _blocks : [], _terms, !_capture.NotFinite,
            _capture.Kind == FisherKind.Empirical && options.Reduction == LossReduction.Mean);
        return finite;
    }
}
