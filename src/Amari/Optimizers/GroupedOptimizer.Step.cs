using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <content>A step: it is planned, its gradients are checked, and only then does anything move. Where that is too slow, it is undone: see
/// <see cref="CanUndo"/>.</content>
public abstract partial class GroupedOptimizer<TOptions, TState>
{
    private const long Cheap = 1 << 17; // elements whose gradients are checked in no time to speak of
    private readonly Sweep _gradients = new();
    private readonly GradientCheck _check = new();
    private readonly List<Batch> _batches = []; // the first _batchCount are of this step; the others wait for a later one
    private readonly List<(Slot Slot, TOptions Options)> _byTorch = [];
    private readonly List<Slot> _stepped = [];
    private int _batchCount;

    /// <summary>Parameters that go through one kernel call, as they share options and step.</summary>
    private sealed class Batch
    {
        public readonly Sweep Sweep = new();
        public TOptions Options = null!;
        public long Step;

        public FusedStep Fused(double scale, bool guarded) =>
            new(Sweep, scale * Sign(Options), guarded, Options.IsCautious, Options.CautiousDecay);
    }

    /// <summary>Whether the optimizer is elementwise and has kernels; without, all parameters take <see cref="Update"/>.</summary>
    private protected virtual bool HasKernel => false;

    /// <summary>Gives the optimizer's rule to a fused step over tensors that share options and step.</summary>
    /// <param name="fused">Takes the rule.</param>
    /// <param name="options">Of their group.</param>
    /// <param name="step">Of each parameter.</param>
    private protected virtual void UpdateFused(FusedStep fused, TOptions options, long step) { }

    /// <summary>Whether a state is what the kernel expects; if not, the torch lines take the step, and may add to the state what options
    /// that changed since it was made ask for (<see cref="ParameterState.Replace"/>).</summary>
    private protected virtual bool Suits(TState state, TOptions options) => true;

    /// <summary>Whether a kernel call without cautious masks can be undone to rounding by <see cref="UndoFused"/>. Then large gradients
    /// are not read twice: a sample is checked before the step, all of them in it, and a step that met what is not finite outside of the
    /// sample is taken back.</summary>
    private protected virtual bool CanUndo(TOptions options) => false;

    /// <summary>Undoes a guarded <see cref="UpdateFused"/>, called with the same arguments.</summary>
    private protected virtual void UndoFused(FusedStep fused, TOptions options, long step) { }

    /// <summary>Whether gradients are checked; benchmarks turn it off to see what that costs.</summary>
    internal bool Guarded { get; init; } = true;

    /// <summary>Whether every gradient is read before anything moves, however large it is.</summary>
    internal bool Exact { get; init; }

    /// <summary>One update of every parameter that has a gradient; none, if a gradient is not finite.</summary>
    /// <param name="closure">Optional: computes and returns the loss, gradients included; evaluated first.</param>
    /// <returns>The closure's loss, or null.</returns>
    public override Tensor? step(Func<Tensor>? closure = null)
    {
        RequireState();
        Tensor? loss = null;
        if (closure is not null)
            using (enable_grad())
                loss = closure();
        double scale = MaxGradientNorm is null ? 1 : ClipScale(SumOfSquaredGradients());
        bool known = MaxGradientNorm < GradientBound.Single; // no entry is larger than the norm
        if (!double.IsFinite(scale))
            Skip(NonFiniteGradients(1));
        else if (!TryStep(scale, guard: Guarded && !known))
            Skip(NonFiniteGradients(scale));
        return loss;
    }

    /// <inheritdoc/>
    internal override void StepScaled(double scale) => TryStep(scale, guard: false);

    private void Skip(IReadOnlyList<string> parameters)
    {
        long made = Slots.Select(s => s.State?.Step ?? 0).DefaultIfEmpty().Max();
        EventLog.AddSkipped(parameters, made + 1);
        CountSkipped(EventLog.GradientNotFinite, made);
        Skip();
    }

    /// <summary>A step is about to be taken. It may be refused by an exception here: nothing has moved yet.</summary>
    private protected virtual void Stepping() { }

    /// <summary>The step; false, and nothing has moved, if it is guarded and a gradient is not finite.</summary>
    private bool TryStep(double scale, bool guard)
    {
        FollowModules();
        bool planned = !(guard && _ranks is not null) && Plan(prepare: !guard);
        if (!planned) // the first step; or over ranks, with parameters of others
        {
            if (guard && NonFiniteGradients(scale).Count > 0)
                return false;
            guard = false;
            Plan(prepare: true);
        }
        bool undoable = guard && IsUndoable();
        if (guard && !IsFinite(scale, sample: undoable))
            return false;
        Stepping();
        foreach (var slot in _stepped)
            slot.State!.Step++;
        if (!Run(scale, undoable))
        {
            foreach (var slot in _stepped)
                slot.State!.Step--;
            return false;
        }
        foreach (var (slot, options) in _byTorch)
            UpdateByTorch(slot, options, scale);
        Exchange();
        return true;
    }

    /// <summary>Puts every parameter that is to be updated into a batch of the kernels, or with those that take the torch lines; nothing
    /// moves.</summary>
    /// <param name="prepare">Whether a parameter may be given its state.</param>
    /// <returns>False if one lacks a state and may not be given it.</returns>
    private bool Plan(bool prepare)
    {
        _batchCount = 0;
        _byTorch.Clear();
        _stepped.Clear();
        foreach (var (group, slots) in _groups)
        {
            var options = group.Options;
            bool fused = Fused && HasKernel;
            Batch? batch = null;
            foreach (var slot in slots)
            {
                nint w = slot.Parameter.Handle,
                    g = slot.Gradient;
                if (g == 0 || !IsMine(slot))
                    continue;
                if (slot.Handle != w)
                {
                    if (!prepare)
                        return false;
                    Prepare(slot, options);
                }
                _stepped.Add(slot);
                long step = slot.State!.Step + 1;
                if (fused && !(batch?.Step == step && (batch.Sweep.Count == 0 || batch.Sweep.StateCount == slot.StateHandles.Length)))
                    batch = Begin(options, step);
                if (!fused || !Suits(slot.State, options) || !batch!.Sweep.TryAdd(ref slot.Row, w, g, slot.StateHandles, step))
                    _byTorch.Add((slot, options));
            }
        }
        return true;
    }

    private Batch Begin(TOptions options, long step)
    {
        if (_batchCount == _batches.Count)
            _batches.Add(new());
        var batch = _batches[_batchCount++];
        batch.Sweep.Clear();
        (batch.Options, batch.Step) = (options, step);
        return batch;
    }

    private bool IsUndoable()
    {
        if (Exact || _byTorch.Count > 0)
            return false;
        long elements = 0;
        for (int i = 0; i < _batchCount; i++)
        {
            var options = _batches[i].Options;
            if (options.IsCautious || options.CautiousDecay || !CanUndo(options) || !_batches[i].Sweep.IsFloat32)
                return false;
            elements += _batches[i].Sweep.Elements;
        }
        return elements > Cheap;
    }

    /// <summary>Whether the gradients of the plan are finite, or a sample of them is.</summary>
    private bool IsFinite(double scale, bool sample)
    {
        for (int i = 0; i < _batchCount; i++)
        {
            var sweep = _batches[i].Sweep;
            if (!(sample ? sweep.IsWithinSampled(GradientBound.Single / scale) : sweep.IsWithin(GradientBound.Single / scale)))
                return false;
        }
        foreach (var (slot, _) in _byTorch)
            if (!IsFinite(slot, scale))
                return false;
        return true;
    }

    /// <summary>The kernels; false, and they are undone, if one met a gradient that is not finite.</summary>
    private bool Run(double scale, bool undoable)
    {
        bool finite = true;
        for (int i = 0; i < _batchCount; i++)
        {
            UpdateFused(_batches[i].Fused(scale, undoable), _batches[i].Options, _batches[i].Step);
            finite &= !undoable || !_batches[i].Sweep.HasBeyond;
        }
        for (int i = 0; i < _batchCount && !finite; i++)
            UndoFused(_batches[i].Fused(scale, undoable), _batches[i].Options, _batches[i].Step);
        return finite;
    }

    /// <summary>The largest magnitude that an entry of a parameter's gradient may have, so that what is computed of it is finite; by
    /// default its square.</summary>
    private protected virtual double LargestGradient(Tensor parameter) => GradientBound.Of(StateType(parameter));

    private bool IsFinite(Slot slot, double scale) => _check.IsWithin(slot.Parameter, LargestGradient(slot.Parameter) / scale, slot.Row);

    /// <inheritdoc/>
    internal override IReadOnlyList<string> NonFiniteGradients(double scale)
    {
        FollowModules();
        List<string> names = [];
        foreach (var slot in Slots)
            if (slot.Gradient != 0 && !IsFinite(slot, scale))
                names.Add(slot.Name);
        return names;
    }

    private void FollowModules()
    {
        foreach (var (group, slots) in _groups)
            for (int i = 0; i < slots.Count; i++)
            {
                if (!slots[i].Parameter.IsInvalid)
                    continue;
                group.Refresh();
                for (; i < slots.Count; i++)
                    slots[i].Parameter = group.Parameters[i].Parameter;
            }
    }

    /// <summary>Of the gradient.</summary>
    private static int Sign(TOptions options) => options.Maximize ? -1 : 1;

    private void UpdateByTorch(Slot slot, TOptions options, double scale)
    {
        scale *= Sign(options);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var g = slot.Parameter.grad!;
        if (g.is_sparse)
            g = g.to_dense();
        _updated = slot;
        var type = StateType(slot.Parameter);
        g = g.to_type(type);
        if (scale != 1)
            g = g.mul(scale);
        var w = slot.Parameter.dtype == type ? slot.Parameter : slot.Parameter.to_type(type);
        var format = slot.State!.HasMoments ? slot.Made!.StateFormat : options.StateFormat;
        slot.State.WithMoments(format, type, () => Update(w, g, slot.State, options), keep: true, slot.State.Step);
        if (slot.Parameter.dtype != type)
            slot.Parameter.copy_(w);
        if (slot.State.IsRenewed)
            Adopt(slot, options with { StateFormat = format });
    }

    /// <summary>Σ g² over all gradients, in one read of them.</summary>
    internal override double SumOfSquaredGradients()
    {
        FollowModules();
        _gradients.Clear();
        double sum = 0;
        foreach (var (_, slots) in _groups)
        foreach (var slot in slots)
        {
            nint g = slot.Gradient;
            if (g == 0 || (Fused && _gradients.TryAddGradient(slot.Row, g)))
                continue;
            using var scope = NewDisposeScope();
            var gradient = slot.Parameter.grad!;
            if (gradient.is_sparse)
                gradient = gradient.to_dense();
            sum += gradient.to_type(ScalarType.Float64).square().sum().ToDouble();
        }
        return sum + _gradients.SumOfSquares();
    }

    /// <summary>Leaves the parameters without gradients: one that the next backward pass does not reach stays without, and is not
    /// moved.</summary>
    public override void zero_grad()
    {
        FollowModules();
        foreach (var (_, slots) in _groups)
        foreach (var slot in slots)
            LibTorch.ReleaseGradient(slot.Parameter.Handle);
    }
}
