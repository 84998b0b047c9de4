using Amari.Kronecker;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

// What has no block, and AdamW trains: its rate, and who comes to it later.
public sealed partial class Kfac
{
    private readonly AdamW _fallback;
    private readonly Dictionary<string, string> _demoted = [];
    private readonly HashSet<string> _left = []; // parameters that AdamW trains
    private readonly HashSet<string> _frozen = []; // parameters without a block that were frozen when the optimizer was made

    /// <summary>Logs parameters that have been thawed since the optimizer was made, once each.</summary>
    private void LogThawed()
    {
        if (_frozen.Count == 0)
            return;
        foreach (var (name, p) in _fallback.Groups.SelectMany(g => g.Parameters))
            if (!p.IsInvalid && _frozen.Contains(name) && CurvatureBlock.HasGradient(p) && _frozen.Remove(name))
                Log(name, "it was frozen when the optimizer was made: AdamW trains it; make K-FAC again for curvature of it");
    }

    /// <summary>The fall-back's options as <see cref="BaseOptions.Fallback"/> says, its rate multiplied by what has become of η.</summary>
    private void FollowGroups()
    {
        foreach (var (rate, fallback) in _rates.Zip(_fallback.Groups))
        {
            rate.Begin();
            var own = rate.Group.Options.Fallback;
            fallback.Options = rate.First > 0 ? own with { LearningRate = own.LearningRate * (rate.Now / rate.First) } : own;
        }
    }

    /// <summary>Hands a block's parameters to the fall-back for good.</summary>
    private void Demote(CurvatureBlock block, string reason)
    {
        if (Shared.Strict)
            throw new InvalidOperationException($"No K-FAC for the layer {block.Name}: {reason}.");
        if (_momentum.Remove(block, out var b))
            b.Dispose();
        var (group, names) = (_rateOf[block].Group, Named(block));
        _left.UnionWith(names.Select(p => p.Name));
        group.Parameters = [.. group.Parameters.Except(names)];
        _fallback.Extend(names, _groups.IndexOf(group));
        _demoted[block.Name] = reason;
        Log(block.Name, reason + "; trained by AdamW from now on");
        Estimate.Remove(block, names.Select(p => p.Name), reason);
    }

    private List<(string Name, Parameter Parameter)> Named(CurvatureBlock block) =>
        [.. _rateOf[block].Group.Parameters.Where(p => block.Parameters.Any(q => q.Handle == p.Parameter.Handle))];
}
