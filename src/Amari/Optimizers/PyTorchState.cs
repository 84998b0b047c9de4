using System.Globalization;
using System.Text.Json.Nodes;
using Amari.Native;
using Amari.Serialization;

namespace Amari.Optimizers;

/// <summary>The <c>state_dict()</c> of an optimizer of PyTorch, as a snapshot of the same optimizer here.</summary>
/// <remarks>PyTorch numbers the parameters through all groups; the numbers are matched with the groups here in their order. Options that
/// PyTorch does not have stay as they are.</remarks>
internal sealed class PyTorchState
{
    private const string Decoupled = "decoupled_weight_decay",
        AmsGrad = "amsgrad",
        Maximize = "maximize", // since PyTorch 1.12
        Step = "step",
        Momentum = "momentum_buffer";

    /// <summary>Entries of a group that change no step: choices of an implementation, and what PyTorch's schedulers keep there.</summary>
    private static readonly HashSet<string> WithoutEffect =
    [
        "params",
        "param_names",
        "foreach",
        "fused",
        "capturable",
        "differentiable",
        Decoupled,
        "initial_lr",
        "max_lr",
        "min_lr",
        "base_momentum",
        "max_momentum",
    ];

    private static readonly (string There, string Here)[] AdamNumbers =
    [
        ("lr", nameof(AdamW.Options.LearningRate)),
        ("betas.0", nameof(AdamW.Options.Beta1)),
        ("betas.1", nameof(AdamW.Options.Beta2)),
        ("eps", nameof(AdamW.Options.Epsilon)),
        ("weight_decay", nameof(AdamW.Options.WeightDecay)),
    ];
    private static readonly (string There, string Here)[] AdamFlags =
    [
        (AmsGrad, nameof(AdamW.Options.AmsGrad)),
        (Maximize, nameof(AdamW.Options.Maximize)),
    ];
    private static readonly (string There, string Here)[] AdamMoments =
    [
        ("exp_avg", nameof(AdamW.State.FirstMoment)),
        ("exp_avg_sq", nameof(AdamW.State.SecondMoment)),
    ];

    /// <summary>The names of an optimizer's options and state there and here.</summary>
    private sealed record Layout(
        (string There, string Here)[] Numbers,
        (string There, string Here)[] Flags,
        (string There, string Here)[] Moments
    );

    private static readonly Dictionary<Type, Layout> Layouts = new()
    {
        [typeof(AdamW)] = new(AdamNumbers, AdamFlags, AdamMoments),
        [typeof(Adam)] = new(AdamNumbers, AdamFlags, AdamMoments),
        [typeof(Sgd)] = new(
            [
                ("lr", nameof(Sgd.Options.LearningRate)),
                ("momentum", nameof(Sgd.Options.Momentum)),
                ("dampening", nameof(Sgd.Options.Dampening)),
                ("weight_decay", nameof(Sgd.Options.WeightDecay)),
            ],
            [("nesterov", nameof(Sgd.Options.Nesterov)), (Maximize, nameof(Sgd.Options.Maximize))],
            [(Momentum, nameof(Sgd.State.Momentum))]
        ),
    };

    private readonly PyTorchFile _file;
    private readonly string _path; // of the state dict in the file
    private readonly OrderedDictionary<object, object?> _states;
    private readonly List<object?> _groups;

    private PyTorchState(PyTorchFile file)
    {
        var found = (file.Content as OrderedDictionary<object, object?> ?? [])
            .Select(e => (Path: PyTorchFile.NameOf(e.Key) + ".", e.Value))
            .Prepend((Path: "", Value: file.Content))
            .Where(e => IsState(e.Value))
            .ToList();
        if (found is not [var (path, state)])
            throw new InvalidDataException(
                found.Count == 0
                    ? "The file holds no state of an optimizer, with state and param_groups."
                    : $"The file holds the states of {found.Count} optimizers; save one of them."
            );
        var parts = (OrderedDictionary<object, object?>)state!;
        (_file, _path) = (file, path);
        (_states, _groups) = ((OrderedDictionary<object, object?>)parts["state"]!, (List<object?>)parts["param_groups"]!);

        static bool IsState(object? value) =>
            value is OrderedDictionary<object, object?> all
            && all.GetValueOrDefault("state") is OrderedDictionary<object, object?>
            && all.GetValueOrDefault("param_groups") is List<object?>;
    }

    /// <summary>The snapshot that an optimizer can continue from. Its tensors are those of the file.</summary>
    /// <param name="optimizer">The optimizer; its type is one of <see cref="AdamW"/>, <see cref="Adam"/> and <see cref="Sgd"/>.</param>
    /// <param name="now">Its present snapshot: the names of the parameters, and the options.</param>
    /// <param name="file">The file.</param>
    /// <exception cref="InvalidDataException">The file holds no such state, or it does not fit. The message says why.</exception>
    public static OptimizerSnapshot Of(Type optimizer, OptimizerSnapshot now, PyTorchFile file)
    {
        if (!Layouts.TryGetValue(optimizer, out var layout))
            throw new InvalidDataException(
                $"States of PyTorch are read by {string.Join(", ", Layouts.Keys.Select(t => t.Name))}, not by {optimizer.Name}."
            );
        var state = new PyTorchState(file);
        var groups = now.Values["groups"]!.AsArray();
        if (state._groups.Count != groups.Count)
            throw Fault($"has {state._groups.Count} parameter groups, the optimizer has {groups.Count}");
        var (tensors, steps) = (new Dictionary<string, Tensor>(), new JsonObject());
        foreach (var (i, group) in groups.Index())
            state.Read(i, group!.AsObject(), layout, isDecoupled: optimizer == typeof(AdamW), tensors, steps);
        return new(
            tensors,
            new()
            {
                ["type"] = optimizer.Name,
                ["schema"] = SavedState.Schema,
                ["groups"] = groups.DeepClone(),
                ["steps"] = steps,
            }
        );
    }

    /// <summary>Replaces the options of a group, and adds the states of its parameters.</summary>
    private void Read(int at, JsonObject group, Layout layout, bool isDecoupled, Dictionary<string, Tensor> tensors, JsonObject steps)
    {
        string path = FormattableString.Invariant($"{_path}param_groups.{at}.");
        var entries = _groups[at] as OrderedDictionary<object, object?> ?? throw Fault("has a group that is no dictionary");
        var options = group["options"]!.AsObject();
        foreach (var (there, here) in layout.Numbers)
            options[here] = Number(there);
        foreach (var (there, here) in layout.Flags)
            options[here] = Flag(there);
        if (options.ContainsKey(nameof(Sgd.Options.DecoupledDecay)))
            options[nameof(Sgd.Options.DecoupledDecay)] = false;
        if (entries.ContainsKey(Decoupled) && Flag(Decoupled) != isDecoupled)
            throw Fault($"has {Decoupled} {(isDecoupled ? "False: load it into Adam" : "True: load it into AdamW")}");
        HashSet<string> known = [.. layout.Numbers.Concat(layout.Flags).Select(n => n.There.Split('.')[0]), .. WithoutEffect];
        if (entries.Keys.Select(PyTorchFile.NameOf).FirstOrDefault(k => !known.Contains(k)) is { } other)
            throw Fault($"has the option '{other}', which is not known here");
        group["initialLearningRate"] = Number(entries.ContainsKey("initial_lr") ? "initial_lr" : "lr");

        var names = group["parameters"]!.AsArray();
        if (entries.GetValueOrDefault("params") is not List<object?> numbers || numbers.Count != names.Count)
            throw Fault($"has another number of parameters in group {at}, which has {names.Count} here");
        foreach (var (name, number) in names.Select(n => (string)n!).Zip(numbers))
            if (number is long parameter && StepOf(parameter) is { } step)
            {
                steps[name] = step;
                foreach (var (there, here) in layout.Moments)
                    Take(there, here);
                if (layout.Flags.Any(f => f.There == AmsGrad) && Flag(AmsGrad))
                    Take("max_exp_avg_sq", nameof(AdamW.State.LargestMoment));

                void Take(string there, string here) =>
                    tensors[$"{name}.{here}"] =
                        _file.Tensors.GetValueOrDefault(NameOf(parameter, there)) ?? throw Fault($"lacks {NameOf(parameter, there)}");
            }

        bool Flag(string name) => (name != Maximize || entries.ContainsKey(name)) && Number(name) != 0;

        double Number(string name)
        {
            string[] parts = name.Split('.');
            object? value = entries.GetValueOrDefault(parts[0]);
            if (parts is [_, var place])
                value = value is object?[] { Length: 2 } pair ? pair[int.Parse(place, CultureInfo.InvariantCulture)] : null;
            return NumberOf(value, path + name) ?? throw Fault($"has no number '{parts[0]}' in group {at}");
        }
    }

    /// <summary>The updates of a parameter; null if it had none. SGD does not count them: 1 if there is a momentum.</summary>
    private long? StepOf(long parameter)
    {
        if (!_states.TryGetValue(parameter, out object? value) || value is not OrderedDictionary<object, object?> { Count: > 0 } state)
            return null;
        if (!state.TryGetValue(Step, out object? step))
            return state.GetValueOrDefault(Momentum) is PyTorchTensor ? 1 : null;
        return NumberOf(step, NameOf(parameter, Step)) is >= 0 and <= int.MaxValue and var count && double.IsInteger(count)
            ? (long)count
            : throw Fault($"has no whole number {NameOf(parameter, Step)}");
    }

    private string NameOf(long parameter, string tensor) => FormattableString.Invariant($"{_path}state.{parameter}.{tensor}");

    /// <summary>A number, also as a tensor of one element.</summary>
    private double? NumberOf(object? value, string name) =>
        value switch
        {
            double number => number,
            long number => number,
            bool flag => flag ? 1 : 0,
            PyTorchTensor => _file.Tensors.GetValueOrDefault(name) is { } tensor && tensor.numel() == 1
                ? tensor.Elements<double>()[0]
                : null,
            _ => null,
        };

    private static InvalidDataException Fault(string what) => new($"The state from PyTorch {what}.");
}
