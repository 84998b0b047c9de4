using Amari.Native;

namespace Amari;

// What has no block, and AdamW trains: its rate, and who comes to it later.
public sealed partial class Kfac
{
    private readonly AdamW _fallback;
    private readonly Dictionary<string, string> _demoted = [];
    private readonly HashSet<string> _frozen = []; // parameters without a block that were frozen when the optimizer was made
    private readonly Dictionary<ParameterGroup<Options>, double> _peaks = []; // the largest η of each group so far
    private double[] _rates; // η of each group as it was made: the fall-back's rate is in proportion

    /// <summary>All parameters of a model, frozen ones too: AdamW trains those once they are thawed.</summary>
    private static ParameterGroup<Options> WithFrozen(nn.Module model, Options options) =>
        new(model.named_parameters().DistinctBy(p => p.parameter.Handle), options) { Module = model };

    /// <exception cref="ArgumentException">There is nothing to train, a parameter is complex, or its numbers share memory.</exception>
    private static void RefuseUnfit(IReadOnlyList<(string Name, Parameter Parameter)> parameters)
    {
        if (!parameters.Any(p => p.Parameter.requires_grad && p.Parameter.numel() > 0))
            throw new ArgumentException("There is no parameter to train: the model has none, or all are frozen.", nameof(parameters));
        if (parameters.FirstOrDefault(p => p.Parameter.is_complex()) is (string name, not null))
            throw new ArgumentException(
                $"The parameter '{name}' is complex; K-FAC trains real ones: keep real and imaginary parts as two.",
                nameof(parameters)
            );
        foreach (var trained in parameters.Where(p => p.Parameter.requires_grad))
            Require.Separate(trained.Name, trained.Parameter);
    }

    /// <summary>Logs parameters that have been thawed since the optimizer was made, once each.</summary>
    private void LogThawed()
    {
        if (_frozen.Count == 0)
            return;
        foreach (var (name, p) in _fallback.Groups.SelectMany(g => g.Parameters))
            if (!p.IsInvalid && _frozen.Contains(name) && HasGradient(p) && _frozen.Remove(name))
                Log(name, "it was frozen when the optimizer was made: AdamW trains it; make K-FAC again for curvature of it");
    }

    /// <summary>The fall-back's options as <see cref="Options.Fallback"/> says, its rate multiplied by what has become of η.</summary>
    private void FollowGroups()
    {
        foreach (var (group, fallback, first) in _groups.Zip(_fallback.Groups, _rates))
        {
            _peaks[group] = Math.Max(_peaks.GetValueOrDefault(group, first), group.LearningRate);
            var own = group.Options.Fallback;
            fallback.Options = first > 0 ? own with { LearningRate = own.LearningRate * (group.LearningRate / first) } : own;
        }
    }

    /// <summary>Takes the parameters that stand under the same names in the model now: <c>module.to</c> makes new ones and disposes the
    /// old.</summary>
    private void FollowModel()
    {
        if (!_groups.Exists(g => g.Parameters.Any(p => p.Parameter.IsInvalid)))
            return;
        var current = Model.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        foreach (var group in _groups)
            group.Parameters = [.. group.Parameters.Select(p => (p.Name, current[p.Name]))];
    }

    /// <summary>Takes options whose <see cref="Options.Fallback"/> has its rate as it is to be now.</summary>
    internal void Follow(Options options) => (Group.Options, _rates[0]) = (options, options.LearningRate);

    /// <summary>Hands a block's parameters to the fall-back for good.</summary>
    private void Demote(CurvatureBlock block, string reason)
    {
        if (Shared.Strict)
            throw new InvalidOperationException($"No K-FAC for the layer {block.Name}: {reason}.");
        _blocks.Remove(block);
        if (_momentum.Remove(block, out var b))
            b.Dispose();
        var (group, names) = (_groupOf[block], Named(block));
        foreach (var (name, _) in names)
            _rows[name] = new(name, nameof(AdamW), reason);
        group.Parameters = [.. group.Parameters.Except(names)];
        _fallback.Extend(names, _groups.IndexOf(group));
        _demoted[block.Name] = reason;
        Log(block.Name, reason + "; trained by AdamW from now on");
        block.Dispose();
    }

    private List<(string Name, Parameter Parameter)> Named(CurvatureBlock block) =>
        [.. _groupOf[block].Parameters.Where(p => block.Parameters.Any(q => q.Handle == p.Parameter.Handle))];

    /// <summary>Throws what restoring the fall-back would once it has these blocks too, for a demotion cannot be taken back.</summary>
    private void Replay(IReadOnlyList<CurvatureBlock> blocks, OptimizerSnapshot state)
    {
        using var trial = new AdamW(
            _groups.Zip(
                _fallback.Groups,
                (group, fallback) =>
                    new ParameterGroup<AdamW.Options>(
                        [.. fallback.Parameters, .. blocks.Where(b => _groupOf[b] == group).SelectMany(Named)],
                        fallback.Options
                    )
            )
        );
        trial.Restore(state);
    }
}
