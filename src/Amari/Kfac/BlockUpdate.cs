using Amari.Kernels;

namespace Amari;

/// <summary>Steps of blocks in one pass over memory: b ← μ b + α U, w ← (1 - d) w - η b.</summary>
internal sealed class BlockUpdate
{
    private readonly MomentumSweep _sweep = new();
    private readonly Dictionary<CurvatureBlock, (nint Momentum, MomentumSweep.Place?[] Places)> _places = []; // where b has its parts

    /// <summary>Adds a block; false if it has to go another way, as one of which a parameter does not move.</summary>
    /// <param name="block">The block.</param>
    /// <param name="b">Its momentum.</param>
    /// <param name="u">U.</param>
    /// <param name="by">How; d is that of its matrices.</param>
    public bool TryAdd(CurvatureBlock block, Tensor b, Tensor u, MomentumSweep.Rule by)
    {
        var parameters = block.Parameters;
        if (!(MomentumSweep.IsUsable(b) && MomentumSweep.IsUsable(u)))
            return false;
        foreach (var w in parameters)
            if (!(MomentumSweep.IsUsable(w) && CurvatureBlock.HasGradient(w)))
                return false;
        if (!_places.TryGetValue(block, out var known) || known.Momentum != b.Handle)
        {
            using var scope = NewDisposeScope();
            _places[block] = known = (b.Handle, [.. block.Split(b).Select(part => MomentumSweep.Place.Of(b, part))]);
        }
        if (!Array.TrueForAll(known.Places, p => p is not null))
            return false;
        for (int i = 0; i < parameters.Count; i++)
            _sweep.Add(parameters[i], b, u, known.Places[i]!.Value, parameters[i].dim() > 1 ? by : by with { Decay = 0 });
        return true;
    }

    /// <summary>Forgets what was added, and not made.</summary>
    public void Clear() => _sweep.Clear();

    /// <summary>Makes the steps of all that was added.</summary>
    public void Run() => _sweep.Run();
}
