using Amari.Kernels;
using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>The base of optimizers that update every parameter by the same rule. It has the loop over groups, the fused kernels, clipping,
/// the state, saving and disposal.</summary>
/// <remarks>Contiguous float32 and bfloat16 parameters on the CPU are updated by the optimizer's kernel, all tensors of a group in one
/// parallel pass. All others are updated by <see cref="Update"/>: torch operations, which are also the reference that the kernel is tested
/// against. For a bfloat16 or float16 parameter, the state is float32, and the update is computed in float32 and rounded once. A parameter
/// that is frozen, has no gradient or has no elements is not updated, and its steps are not counted. A sparse gradient is converted to a
/// dense one. A step with a gradient that is not finite is skipped: see <see cref="Optimizer.SkippedSteps"/>.</remarks>
/// <typeparam name="TOptions">The options of a group.</typeparam>
/// <typeparam name="TState">The state of a parameter.</typeparam>
public abstract partial class GroupedOptimizer<TOptions, TState> : Optimizer, optim.IMomentum
    where TOptions : GroupedOptions
    where TState : ParameterState
{
    private readonly List<(ParameterGroup<TOptions> Group, List<Slot> Slots)> _groups = [];
    private Slot? _updated;

    private sealed class Slot(string name, Parameter parameter)
    {
        public readonly string Name = name;
        public Parameter Parameter = parameter;
        public TState? State;
        public TOptions? Made; // what the state was made with, as far as options shape it
        public nint[] StateHandles = [];
        public SweepRow Row;
        public nint Handle;
        public int Owner = -1; // the rank that has the state, where it is divided
        public readonly bool IsEmpty = parameter.NumberOfElements == 0;

        /// <summary>A handle of the gradient that a step takes; 0 if there is none: also if the parameter is frozen, whatever a backward
        /// pass has left there.</summary>
        public nint Gradient
        {
            get
            {
                nint w = Parameter.Handle,
                    g = IsEmpty ? 0 : LibTorch.Gradient(w);
                return g != 0 && LibTorch.RequiresGradient(w) ? g : 0;
            }
        }
    }

    /// <param name="groups">At least one. A parameter or a name belongs to one group only.</param>
    /// <exception cref="ArgumentException">There is no trainable parameter, a parameter is complex, or its entries share
    /// memory.</exception>
    protected GroupedOptimizer(IEnumerable<ParameterGroup<TOptions>> groups)
    {
        ArgumentNullException.ThrowIfNull(groups);
        foreach (var group in groups)
            Add(group);
        if (!_groups.Exists(g => g.Group.IsPart))
            Require.Trainable(parameters(), GetType().Name);
        EventLog.AddUninitialised(_groups.SelectMany(g => g.Group.Parameters));
    }

    /// <summary>Whether kernels are used where possible. Tests turn them off to compare with <see cref="Update"/>.</summary>
    internal bool Fused { get; init; } = true;

    /// <summary>The parameter groups, which TorchSharp's schedulers drive.</summary>
    public override IEnumerable<optim.ILearningRateController> ParamGroups => _groups.Select(g => g.Group);

    /// <summary>The parameter groups with their typed options.</summary>
    public IReadOnlyList<ParameterGroup<TOptions>> Groups => [.. _groups.Select(g => g.Group)];

    /// <inheritdoc/>
    public override IEnumerable<Parameter> parameters() => Slots.Select(s => s.Parameter);

    /// <inheritdoc/>
    public override Coverage Coverage =>
        new([
            .. _groups.SelectMany(g =>
                g.Slots.Select(s => Covers(s.Name, s.Parameter, InForce(s, g.Group.Options)).AsTrained(s.Parameter))
            ),
        ]);

    /// <summary>A group's options; where they shape the state, those that a parameter's own was made with.</summary>
    private static TOptions InForce(Slot slot, TOptions options) =>
        slot.Made is { } made && SavedState.Shaping(made, options) is { } shaping
            ? SavedState.Read<TOptions>(SavedState.Write(options), shaping)
            : options;

    /// <summary>How a parameter is updated.</summary>
    private protected virtual CoverageRow Covers(string name, Parameter parameter, TOptions options) =>
        new(name, GetType().Name, "every parameter");

    /// <summary>Remembers something of the parameter under update that is worth a user's attention.</summary>
    private protected void Log(string message) => Log(_updated!.Name, message, _updated.State!.Step);

    /// <summary>Remembers something that is worth a user's attention.</summary>
    private protected void Log(string subject, string message, long step) => EventLog.Add(subject, message, step);

    // OneCycleLR and CyclicLR ask the optimizer for it, and then drive the groups.
    double optim.IMomentum.Momentum
    {
        get => _groups[0].Group.Momentum;
        set
        {
            foreach (var (group, _) in _groups)
                group.Momentum = value;
        }
    }

    private protected override IEnumerable<nn.Module> Models => _groups.Select(g => g.Group.Module).OfType<nn.Module>().Distinct();

    private IEnumerable<Slot> Slots => _groups.SelectMany(g => g.Slots);

    /// <summary>Visits every parameter that has a state, with its name; moments are shown as they are kept.</summary>
    private protected void ForEach(Action<string, Parameter, TState> visit)
    {
        FollowModules();
        foreach (var slot in Slots)
            if (slot.State is { } state)
                visit(slot.Name, slot.Parameter, state);
    }

    /// <summary>Visits every parameter of a group that is trained now (neither frozen nor without elements), in order, with its state, made
    /// where there was none, its moments in full.</summary>
    /// <param name="group">Of this optimizer.</param>
    /// <param name="visit">Takes name, parameter and state.</param>
    /// <param name="keep">Whether changes of moments are kept.</param>
    private protected void ForEach(ParameterGroup<TOptions> group, Action<string, Parameter, TState> visit, bool keep)
    {
        FollowModules();
        foreach (var slot in _groups.Find(g => ReferenceEquals(g.Group, group)).Slots)
        {
            if (slot.IsEmpty || !slot.Parameter.requires_grad)
                continue;
            if (slot.Handle != slot.Parameter.Handle)
                Prepare(slot, group.Options);
            var state = slot.State!;
            state.WithMoments(
                slot.Made!.StateFormat,
                StateType(slot.Parameter),
                () => visit(slot.Name, slot.Parameter, state),
                keep,
                state.Step + 1
            );
        }
    }

    /// <summary>The most updates that a parameter of a group has had.</summary>
    private protected long StepsOf(ParameterGroup<TOptions> group) =>
        _groups.Find(g => ReferenceEquals(g.Group, group)).Slots.Max(s => s.State?.Step) ?? 0;

    /// <summary>The names of the parameters that a step would update.</summary>
    private protected IEnumerable<string> WithGradient()
    {
        FollowModules();
        return Slots.Where(s => s.Gradient != 0).Select(s => s.Name);
    }

    /// <summary>The names of the parameters of a group that are trained now, as those that
    /// <see cref="ForEach(ParameterGroup{TOptions}, Action{string, Parameter, TState}, bool)"/> visits.</summary>
    private protected IEnumerable<string> Trained(ParameterGroup<TOptions> group)
    {
        FollowModules();
        var slots = _groups.Find(g => ReferenceEquals(g.Group, group)).Slots;
        return slots.Where(s => !s.IsEmpty && s.Parameter.requires_grad).Select(s => s.Name);
    }

    /// <summary>Adds parameters to be trained from now on.</summary>
    /// <exception cref="ArgumentException">A parameter or a name is in the optimizer already, a parameter is complex, or its numbers share
    /// memory.</exception>
    public void Add(ParameterGroup<TOptions> group)
    {
        ArgumentNullException.ThrowIfNull(group);
        FollowModules();
        group.Distinguish(Slots.Select(s => s.Name));
        group.MomentumCut = message => Log("all", message, Slots.Select(s => s.State?.Step ?? 0).DefaultIfEmpty().Max());
        var names = Slots.Select(s => s.Name).ToHashSet();
        var handles = Slots.Select(s => s.Parameter.Handle).ToHashSet();
        foreach (var (name, parameter) in group.Parameters)
        {
            if (!names.Add(name))
                throw new ArgumentException($"The parameter name '{name}' occurs twice.", nameof(group));
            if (!handles.Add(parameter.Handle))
                throw new ArgumentException($"The parameter '{name}' is given twice.", nameof(group));
            Require.Real(name, parameter);
            if (parameter.requires_grad)
                Require.Separate(name, parameter);
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
        group.Parameters = [.. group.Parameters, .. parameters]; // the same group, for schedulers hold it
        slots.AddRange(parameters.Select(p => new Slot(p.Name, p.Parameter)));
    }

    /// <summary>The update as torch lines, in place: the reference of the kernel, and the path of every dtype, device and layout.</summary>
    /// <param name="parameter">w.</param>
    /// <param name="gradient">g, dense, of the dtype of the state; not to be changed.</param>
    /// <param name="state">The parameter's state; <see cref="ParameterState.Step"/> is 1 at the first update.</param>
    /// <param name="options">The group's options.</param>
    protected abstract void Update(Tensor parameter, Tensor gradient, TState state, TOptions options);
}
