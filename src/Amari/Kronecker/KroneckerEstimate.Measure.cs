using Amari.Distributed;
using Amari.Kronecker;
using Amari.Native;

namespace Amari.Curvature;

// Measuring over all of the data at once.
public sealed partial class KroneckerEstimate
{
    /// <summary>Measures the factors over the data of an objective, in place of those there are, and inverts them: one walk over the data,
    /// two where eigenvalues are corrected. Passes since the last update are forgotten.</summary>
    /// <remarks>The model runs in evaluation mode. Under <see cref="LossReduction.Sum"/> the factors G are those of the mean times the
    /// number of terms.</remarks>
    /// <param name="objective">Of the same model, with a likelihood. Not kept.</param>
    /// <exception cref="ArgumentException">It is of another model, or of a plain function.</exception>
    /// <exception cref="InvalidOperationException">The estimate is an optimizer's.</exception>
    public void Measure(Objective objective) => Measure(objective, inverts: true);

    /// <param name="objective">As above.</param>
    /// <param name="inverts">Whether inverses are made; where eigenvalues are corrected they are.</param>
    internal void Measure(Objective objective, bool inverts)
    {
        ArgumentNullException.ThrowIfNull(objective);
        _ = Mine;
        if (!ReferenceEquals(objective.Model, Model))
            throw new ArgumentException(
                $"The objective is of {(objective.Model is null ? "a plain function, which has no layers" : "another model")}.",
                nameof(objective)
            );
        bool corrects = _owner.Curvature.Inverse is InverseOptions.EigenvalueCorrection;
        using var scope = NewDisposeScope();
        FollowModel();
        Walk(objective);
        if (inverts || corrects)
            Refresh(null);
        if (corrects)
            Walk(objective); // with the same draws
    }

    /// <summary>One walk: the running factors become those of the data.</summary>
    private void Walk(Objective objective)
    {
        Discard();
        using var draws = new Generator(
            (ulong)HashSeed.OfRank(_seed, objective.Part is null ? objective.Ranks.Rank : 0),
            objective.Parameters.Device
        );
        long terms;
        bool finite;
        try
        {
            (terms, finite) = Capture.Measure(objective, draws);
        }
        catch
        {
            Discard();
            throw;
        }
        LogReports();
        if (objective.Ranks.Size > 1)
            (_, finite) = InverseSharing.Reduce(objective.Ranks, _blocks, terms, finite);
        foreach (var block in _blocks)
            if (!finite)
            {
                block.Discard();
                _owner.Log(block.Name, "the model's outputs were not finite");
            }
            else if (!block.HasPending)
                _owner.Log(block.Name, block.Unseen ?? NotSeen);
            else if (!block.UpdateRunningAverage(Fisher == FisherKind.ForwardOnly ? null : 1 / objective.Divisor(terms), decay: 0))
                _owner.Log(block.Name, NotFinite);
    }

    /// <summary>Hands over the blocks that were measured, and a row for every parameter.</summary>
    internal (List<CurvatureBlock> Blocks, Dictionary<string, CoverageRow> Rows) Release()
    {
        foreach (var block in _blocks)
        foreach (int i in block.PlacesIn(Parameters))
        {
            var row = _rows[Parameters.Parameters[i].Name];
            var reports = Reports.Where(r => r.Layer == block.Name).Select(r => r.Message);
            _rows[row.Parameter] = block.IsMeasured
                ? row with
                {
                    Reason = string.Join("; ", reports.Prepend(row.Reason)),
                }
                : new(row.Parameter, NoBlock, string.Join("; ", reports));
        }
        var measured = _blocks.FindAll(b => b.IsMeasured);
        _blocks.RemoveAll(b => b.IsMeasured);
        return (measured, _rows);
    }
}
