using System.Text.Json.Nodes;
using Amari.Distributed;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <content>Optimizer state divided over ranks: ZeRO stage 1 (Rajbhandari et al. 2020, arXiv:1910.02054). Each parameter belongs to one
/// rank, the largest first to the rank with the least; that rank alone has its state, updates it, and sends the parameter to the others.
/// The state of a rank is 1/N of it where no parameter is larger than that.</content>
public abstract partial class GroupedOptimizer<TOptions, TState>
{
    private Communicator? _ranks;
    private long[] _loads = [];

    private protected override IEnumerable<OptimizerOptions> OptionsOfGroups => _groups.Select(g => g.Group.Options);

    /// <exception cref="InvalidOperationException">There is state already.</exception>
    /// <exception cref="NotSupportedException">The state is to be divided, and the optimizer is not an elementwise one.</exception>
    internal override void RefuseUnshareable(int ranks, bool shardState)
    {
        if (!shardState)
            return;
        if (!HasKernel)
            throw new NotSupportedException(
                $"The state of {GetType().Name} cannot be divided over ranks; that of SGD, Adam, AdamW and Lion can."
            );
        if (Slots.Any(s => s.State is not null))
            throw new InvalidOperationException("The state can be divided over ranks only before the first step.");
    }

    internal override void Share(Communicator communicator, bool shardState)
    {
        if (shardState)
            (_ranks, _loads) = (communicator, new long[communicator.Size]);
    }

    private bool IsMine(Slot slot)
    {
        if (_ranks is null)
            return true;
        if (slot.Owner < 0)
            Assign();
        return slot.Owner == _ranks.Rank;
    }

    private void Assign()
    {
        foreach (var slot in Slots.Where(s => s.Owner < 0).OrderByDescending(s => s.Parameter.numel()))
        {
            slot.Owner = Array.IndexOf(_loads, _loads.Min());
            _loads[slot.Owner] += slot.Parameter.numel();
        }
    }

    /// <summary>After a step: every rank gets the parameters that others updated.</summary>
    private void Exchange()
    {
        if (_ranks is null)
            return;
        using var off = no_grad();
        foreach (var slot in Slots)
            if (slot.Gradient != 0)
                _ranks.BroadcastAny(slot.Parameter, slot.Owner);
    }

    /// <summary>The states of all parameters that have one; where they are divided, every rank must ask, and rank 0 gets them all (the
    /// others' as temporary tensors).</summary>
    private IEnumerable<(Slot Slot, TState State, JsonObject? Shaping)> States()
    {
        var own = _groups
            .SelectMany(g =>
                g.Slots.Where(s => s.State is not null).Select(s => (s, s.State!, SavedState.Shaping(s.Made!, g.Group.Options)))
            )
            .ToList();
        if (_ranks is null)
            return own;
        var made = own.Where(s => s.Item3 is not null).Select(s => KeyValuePair.Create(s.s.Name, (JsonNode?)s.Item3));
        return Gathered(_ranks, new(made));
    }

    /// <param name="ranks">All of them.</param>
    /// <param name="made">What this rank's states were made with, where that differs from the options in force.</param>
    private List<(Slot, TState, JsonObject?)> Gathered(Communicator ranks, JsonObject made)
    {
        using var off = no_grad();
        var slots = Slots.ToList();
        var shaping = ranks
            .AllGather(made.ToJsonString())
            .SelectMany(text => JsonNode.Parse(text)!.AsObject())
            .ToDictionary(m => m.Key, m => m.Value!.AsObject());
        using var steps = torch.tensor(slots.Select(s => IsMine(s) ? (double)(s.State?.Step ?? 0) : 0).ToArray());
        ranks.AllReduce(steps, Reduction.Max);
        double[] taken = steps.Elements<double>();
        var result = new List<(Slot, TState, JsonObject?)>();
        foreach (var (slot, step) in slots.Zip(taken))
        {
            if (step == 0)
                continue;
            var own = shaping.GetValueOrDefault(slot.Name);
            var state = slot.State ?? NewState(slot.Parameter, SavedState.Read<TOptions>(SavedState.Write(OptionsOf(slot)), own));
            state.Step = (long)step;
            foreach (var (_, tensor) in state.Tensors())
                ranks.BroadcastAny(tensor, slot.Owner);
            if (ranks.Rank == 0 || slot.State is not null)
                result.Add((slot, state, own?.DeepClone().AsObject()));
            else
                foreach (var (_, tensor) in state.Tensors())
                    tensor.Dispose();
        }
        return result;
    }

    private TOptions OptionsOf(Slot slot) => _groups.First(g => g.Slots.Contains(slot)).Group.Options;
}
