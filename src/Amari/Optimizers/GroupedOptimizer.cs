using Amari.Kernels;
using Amari.Native;

namespace Amari;

/// <summary>The base of optimizers that treat each parameter alike: group loop, fused sweep, clipping, state, saving, disposal.</summary>
/// <remarks>Contiguous float32 and bfloat16 parameters on the CPU take the optimizer's kernel, all tensors of a group in one parallel
/// sweep; everything else takes <see cref="Update"/>, the torch lines that are also the kernel's reference. A bfloat16 or float16
/// parameter keeps float32 state; its update is computed in float32 and rounded once. A parameter without a gradient is left alone,
/// its step is not counted; a sparse gradient is made dense.</remarks>
/// <typeparam name="TOptions">Hyper-parameters of a group.</typeparam>
/// <typeparam name="TState">What is remembered of a parameter.</typeparam>
public abstract partial class GroupedOptimizer<TOptions, TState> : Optimizer, optim.IMomentum
    where TOptions : OptimizerOptions where TState : ParameterState
{
    private readonly List<(ParameterGroup<TOptions> Group, List<Slot> Slots)> _groups = [];
    private readonly List<(string Subject, string Message, long First, long Count)> _events = [];
    private readonly Sweep _sweep = new();
    private Slot? _updated;

    private sealed class Slot(string name, Parameter parameter)
    {
        public readonly string Name = name;
        public Parameter Parameter = parameter;
        public TState? State;
        public nint[] StateHandles = [];
        public SweepRow Row;
        public nint Handle;
        public int Owner = -1;                                  // the rank that has the state, where it is divided
    }

    /// <param name="groups">At least one; a parameter and a name belong to one group only.</param>
    protected GroupedOptimizer(IEnumerable<ParameterGroup<TOptions>> groups)
    {
        ArgumentNullException.ThrowIfNull(groups);
        foreach (var group in groups) Add(group);
    }

    /// <summary>Whether kernels are used where they can be; tests turn them off to hold them against <see cref="Update"/>.</summary>
    internal bool Fused { get; init; } = true;

    /// <summary>The parameter groups, which TorchSharp's schedulers drive.</summary>
    public override IEnumerable<optim.ILearningRateController> ParamGroups => _groups.Select(g => g.Group);

    /// <summary>The parameter groups with their typed options.</summary>
    public IReadOnlyList<ParameterGroup<TOptions>> Groups => [.. _groups.Select(g => g.Group)];

    /// <inheritdoc/>
    public override IEnumerable<Parameter> parameters() => Slots.Select(s => s.Parameter);

    /// <inheritdoc/>
    public override Coverage Coverage => new([.. _groups.SelectMany(g => g.Slots.Select(s => Covers(s.Name, s.Parameter, g.Group.Options)))]);

    /// <summary>How a parameter is updated.</summary>
    private protected virtual CoverageRow Covers(string name, Parameter parameter, TOptions options) => new(name, GetType().Name, "every parameter");

    /// <inheritdoc/>
    /// <remarks>The same thing happening again is counted in the message of the first time.</remarks>
    public override IReadOnlyList<OptimizerEvent> Events =>
        [.. _events.Select(e => new OptimizerEvent(e.First, e.Subject, e.Count == 1 ? e.Message : FormattableString.Invariant($"{e.Message} ({e.Count} times by now)")))];

    /// <summary>Remembers something of the parameter under update that is worth a user's attention.</summary>
    private protected void Tell(string message) => Tell(_updated!.Name, message, _updated.State!.Step);

    /// <summary>Remembers something that is worth a user's attention.</summary>
    private protected void Tell(string subject, string message, long step)
    {
        int i = _events.FindIndex(e => e.Message == message && e.Subject == subject);
        if (i < 0) _events.Add((subject, message, step, 1));
        else _events[i] = _events[i] with { Count = _events[i].Count + 1 };
    }

    // OneCycleLR and CyclicLR ask the optimizer for it, and then drive the groups.
    double optim.IMomentum.Momentum
    {
        get => _groups[0].Group.Momentum;
        set
        {
            foreach (var (group, _) in _groups) group.Momentum = value;
        }
    }

    private IEnumerable<Slot> Slots => _groups.SelectMany(g => g.Slots);

    /// <summary>Visits every parameter that has a state, with its name.</summary>
    private protected void ForEach(Action<string, Parameter, TState> visit)
    {
        FollowModules();
        foreach (var slot in Slots)
            if (slot.State is { } state) visit(slot.Name, slot.Parameter, state);
    }

    /// <summary>Visits every parameter of a group, in order, with its state, made where there was none.</summary>
    private protected void ForEach(ParameterGroup<TOptions> group, Action<string, Parameter, TState> visit)
    {
        FollowModules();
        foreach (var slot in _groups.Find(g => ReferenceEquals(g.Group, group)).Slots)
        {
            if (slot.Handle != slot.Parameter.Handle) Prepare(slot, group.Options);
            visit(slot.Name, slot.Parameter, slot.State!);
        }
    }

    /// <summary>The most updates that a parameter of a group has had.</summary>
    private protected long StepsOf(ParameterGroup<TOptions> group) =>
        _groups.Find(g => ReferenceEquals(g.Group, group)).Slots.Max(s => s.State?.Step) ?? 0;

    /// <summary>The names of the parameters that have a gradient.</summary>
    private protected IEnumerable<string> WithGradient()
    {
        FollowModules();
        return Slots.Where(s => LibTorch.Gradient(s.Parameter.Handle) != 0).Select(s => s.Name);
    }

    /// <summary>Adds parameters to be trained from now on.</summary>
    /// <exception cref="ArgumentException">A parameter or a name is in the optimizer already.</exception>
    public void Add(ParameterGroup<TOptions> group)
    {
        ArgumentNullException.ThrowIfNull(group);
        FollowModules();
        var names = Slots.Select(s => s.Name).ToHashSet();
        var handles = Slots.Select(s => s.Parameter.Handle).ToHashSet();
        foreach (var (name, parameter) in group.Parameters)
        {
            if (!names.Add(name)) throw new ArgumentException($"The parameter name '{name}' occurs twice.", nameof(group));
            if (!handles.Add(parameter.Handle)) throw new ArgumentException($"The parameter '{name}' is given twice.", nameof(group));
        }
        _groups.Add((group, [.. group.Parameters.Select(p => new Slot(p.Name, p.Parameter))]));
        Added(group);
    }

    /// <summary>A group was added, the first ones while the base is constructed.</summary>
    private protected virtual void Added(ParameterGroup<TOptions> group) { }

    /// <summary>Adds parameters to a group.</summary>
    internal void Extend(IReadOnlyList<(string Name, Parameter Parameter)> parameters, int index)
    {
        var (group, slots) = _groups[index];
        group.Parameters = [.. group.Parameters, .. parameters];   // the same group, for schedulers hold it
        slots.AddRange(parameters.Select(p => new Slot(p.Name, p.Parameter)));
    }

    /// <summary>The update as torch lines, in place: the reference of the kernel, and the path of every dtype, device and layout.</summary>
    /// <param name="parameter">w.</param>
    /// <param name="gradient">g, dense, of the dtype of the state; not to be changed.</param>
    /// <param name="state">The parameter's state; <see cref="ParameterState.Step"/> is 1 at the first update.</param>
    /// <param name="options">The group's options.</param>
    protected abstract void Update(Tensor parameter, Tensor gradient, TState state, TOptions options);

    /// <summary>Whether the optimizer has a kernel for these options; without one all parameters take <see cref="Update"/>.</summary>
    private protected virtual bool HasKernel(TOptions options) => false;

    /// <summary>Runs the optimizer's kernel over all rows of the sweep, whose tensors share options and step.</summary>
    private protected virtual void UpdateFused(Sweep sweep, TOptions options, long step, double gradientScale) { }

    /// <summary>One update of every parameter that has a gradient.</summary>
    /// <param name="closure">Optional: computes and returns the loss, gradients included; evaluated first.</param>
    /// <returns>The closure's loss, or null.</returns>
    public override Tensor? step(Func<Tensor>? closure = null)
    {
        Tensor? loss = null;
        if (closure is not null)
            using (enable_grad()) loss = closure();
        double scale = 1;
        if (MaxGradientNorm is not null) scale = ClipScale(SumOfSquaredGradients());
        if (double.IsFinite(scale)) StepScaled(scale);
        else SkippedSteps++;
        return loss;
    }

    /// <summary>The step with all gradients multiplied by <paramref name="scale"/>.</summary>
    internal override void StepScaled(double scale)
    {
        FollowModules();
        foreach (var (group, slots) in _groups) Step(group.Options, slots, scale);
        Exchange();
    }

    private void FollowModules()
    {
        foreach (var (group, slots) in _groups)
            for (int i = 0; i < slots.Count; i++)
            {
                if (!slots[i].Parameter.IsInvalid) continue;
                group.Refresh();
                for (; i < slots.Count; i++) slots[i].Parameter = group.Parameters[i].Parameter;
            }
    }

    private void Step(TOptions options, List<Slot> slots, double scale)
    {
        long step = 0;
        bool fused = Fused && HasKernel(options);
        _sweep.Clear();
        foreach (var slot in slots)
        {
            nint w = slot.Parameter.Handle, g = LibTorch.Gradient(w);
            if (g == 0 || !IsMine(slot)) continue;
            if (slot.Handle != w) Prepare(slot, options);
            var state = slot.State!;
            state.Step++;
            if (state.Step != step || slot.StateHandles.Length != _sweep.StateCount)   // rows of one kernel call share both
            {
                Flush();
                step = state.Step;
            }
            if (!fused || !_sweep.TryAdd(ref slot.Row, w, g, slot.StateHandles, step)) UpdateByTorch(slot, options, scale);
        }
        Flush();

        void Flush()
        {
            if (_sweep.Count > 0) UpdateFused(_sweep, options, step, scale);
            _sweep.Clear();
        }
    }

    private void UpdateByTorch(Slot slot, TOptions options, double scale)
    {
        if (slot.Parameter.NumberOfElements == 0) return;
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var g = slot.Parameter.grad!;
        if (g.is_sparse) g = g.to_dense();
        _updated = slot;
        var type = StateType(slot.Parameter);
        g = g.to_type(type);
        if (scale != 1) g = g.mul(scale);
        if (slot.Parameter.dtype == type) Update(slot.Parameter, g, slot.State!, options);
        else
        {
            var w = slot.Parameter.to_type(type);
            Update(w, g, slot.State!, options);
            slot.Parameter.copy_(w);
        }
    }

    /// <summary>Σ g² over all gradients, in one read of them.</summary>
    internal override double SumOfSquaredGradients()
    {
        FollowModules();
        _sweep.Clear();
        double sum = 0;
        foreach (var (_, slots) in _groups)
            foreach (var slot in slots)
            {
                nint g = LibTorch.Gradient(slot.Parameter.Handle);
                if (g == 0 || (Fused && _sweep.TryAddGradient(slot.Row, g))) continue;
                using var scope = NewDisposeScope();
                var gradient = slot.Parameter.grad!;
                if (gradient.is_sparse) gradient = gradient.to_dense();
                sum += gradient.to_type(ScalarType.Float64).square().sum().ToDouble();
            }
        return sum + _sweep.SumOfSquares();
    }

    /// <summary>Zeroes the gradients in place, so that backward passes reuse their memory.</summary>
    public override void zero_grad()
    {
        FollowModules();
        _sweep.Clear();
        foreach (var (_, slots) in _groups)
            foreach (var slot in slots)
            {
                nint g = LibTorch.Gradient(slot.Parameter.Handle);
                if (g == 0 || (Fused && _sweep.TryAddGradient(slot.Row, g))) continue;
                using var gradient = slot.Parameter.grad;
                gradient!.zero_().Dispose();
            }
        _sweep.Zero();
    }
}
