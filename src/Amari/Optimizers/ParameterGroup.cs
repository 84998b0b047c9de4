using Amari.Native;
using Amari.Optimizers;

namespace Amari;

/// <summary>Named parameters that share options. TorchSharp's schedulers drive its learning rate and momentum.</summary>
/// <typeparam name="TOptions">The optimizer's options record.</typeparam>
public sealed class ParameterGroup<TOptions> : IParameterGroup<TOptions>
    where TOptions : OptimizerOptions
{
    /// <param name="parameters">Names and parameters. A name must be unique over all groups of an optimizer; state is saved under it. The
    /// parameters are not owned.</param>
    /// <param name="options">The group's options.</param>
    public ParameterGroup(IEnumerable<(string name, Parameter parameter)> parameters, TOptions options)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(options);
        Parameters = [.. parameters];
        Options = options; // validates them
        InitialLearningRate = options.LearningRate;
    }

    /// <summary>The parameters with their names.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters { get; internal set; }

    IReadOnlyList<(string Name, Parameter Parameter)> IParameterGroup<TOptions>.Parameters
    {
        get => Parameters;
        set => Parameters = value;
    }

    Action<string>? IParameterGroup<TOptions>.MomentumCut
    {
        get => MomentumCut;
        set => MomentumCut = value;
    }

    bool IParameterGroup<TOptions>.IsNumbered => IsNumbered;

    void IParameterGroup<TOptions>.Rename(nn.Module model) => Rename(model);

    /// <summary>Where the parameters come from, if from one module.</summary>
    internal nn.Module? Module { get; init; }

    /// <summary>Whether another optimizer hands the group on, which has checked that there is something to train: here there may be
    /// nothing.</summary>
    internal bool IsPart
    {
        get => field || (Module is not null && !IsWhole);
        init;
    }

    /// <summary>Whether it is of <see cref="ParameterGroup.Of{TOptions}(nn.Module, TOptions)"/>.</summary>
    internal bool IsWhole { get; init; }

    /// <summary>Takes the parameters that stand under the same names in the module now: <c>module.to</c> makes new ones and disposes the
    /// old.</summary>
    internal void Refresh()
    {
        if (Module is null)
            throw new InvalidOperationException(
                "A parameter was disposed, as module.to(...) does: make the optimizer from the module, not from its parameters."
            );
        Parameters = ParameterGroup.Current(Module, Parameters);
    }

    /// <summary>The present options. You can replace them between any two steps.</summary>
    /// <remarks>Options that determine which state is kept (a format, a block size, a grafting) only affect parameters without state: a
    /// parameter keeps the state that it has.</remarks>
    /// <exception cref="ArgumentNullException">The options are null.</exception>
    /// <exception cref="ArgumentException">The options contradict each other.</exception>
    public TOptions Options
    {
        get;
        set
        {
            field = value ?? throw new ArgumentNullException(nameof(value), "A parameter group needs options.");
            value.Validate();
        }
    }

    /// <summary>η of <see cref="Options"/>.</summary>
    public double LearningRate
    {
        get => Options.LearningRate;
        set => Options = Options with { LearningRate = value };
    }

    /// <summary>The learning rate that schedulers start from.</summary>
    public double InitialLearningRate { get; set; }

    private const double MostMomentum = 0.99;

    /// <summary>The coefficient that momentum-cycling schedulers drive (μ or β₁). TorchSharp's <c>CyclicLR</c> moves it from the largest
    /// value upwards, with its defaults to 1, and the last call of its <c>OneCycleLR</c> sets 0. A value of 1 or more is replaced by 0.99,
    /// and one that the optimizer cannot use (in <see cref="ScheduleFree"/> 0) by the least that it can; each is reported once.</summary>
    public double Momentum
    {
        get => Options.CycledMomentum;
        set
        {
            double least = Options.LeastCycledMomentum;
            var (taken, replaced) =
                value >= 1 ? (MostMomentum, CutTo)
                : value < least ? (least, RaisedTo(least))
                : (value, null);
            Options = (TOptions)Options.WithCycledMomentum(taken);
            if (replaced is null)
                return;
            Warnings.Once(replaced);
            MomentumCut?.Invoke(replaced);
        }
    }

    private static readonly string CutTo = FormattableString.Invariant(
        $"a scheduler drove the momentum to 1 or more, which never forgets; it was cut to {MostMomentum}: give CyclicLR its max_momentum"
    );

    private static string RaisedTo(double least) =>
        FormattableString.Invariant($"a scheduler drove the momentum below the least that can be used; it was raised to {least}")
        + ": OneCycleLR sets it to 0 at its last call";

    /// <summary>Takes what is to be said when <see cref="Momentum"/> was replaced.</summary>
    internal Action<string>? MomentumCut { get; set; }

    /// <summary>Whether the names are numbers in order, and not the caller's.</summary>
    internal bool IsNumbered { get; init; }

    /// <summary>Gives numbered parameters the names that they have in a model, if they are its own.</summary>
    internal void Rename(nn.Module model)
    {
        var names = model.named_parameters().DistinctBy(p => p.parameter.Handle).ToDictionary(p => p.parameter.Handle, p => p.name);
        Parameters = [.. Parameters.Select(p => (names.GetValueOrDefault(p.Parameter.Handle, p.Name), p.Parameter))];
    }

    /// <summary>Numbers a group on where its numbers are taken by other groups of the optimizer.</summary>
    /// <param name="taken">The names in use.</param>
    internal void Distinguish(IEnumerable<string> taken)
    {
        var names = taken.ToHashSet();
        if (!IsNumbered || !Parameters.Any(p => names.Contains(p.Name)))
            return;
        int next = names.Count;
        Parameters = [.. Parameters.Select(p => (Free(), p.Parameter))];

        string Free()
        {
            while (names.Contains(ParameterGroup.Number(next)))
                next++;
            return ParameterGroup.Number(next++);
        }
    }
}

/// <summary>Makes parameter groups.</summary>
/// <example><code>
/// nn.Module body = nn.Linear(4, 16), head = nn.Linear(16, 3);
/// using var optimizer = new AdamW([
///     ParameterGroup.Of(body.parameters(), new AdamW.Options { LearningRate = 1e-4 }),
///     ParameterGroup.Of(head.parameters(), new AdamW.Options { LearningRate = 1e-3, WeightDecay = 0 }),
/// ]);
/// var group = optimizer.Groups[0];
/// group.Options = group.Options with { WeightDecay = 0.1 };   // from the next step on
/// optim.lr_scheduler.StepLR(optimizer, step_size: 10);        // schedulers drive the rates of all groups
/// </code></example>
public static class ParameterGroup
{
    /// <summary>The parameters that stand under the same names in a module now.</summary>
    /// <exception cref="InvalidOperationException">There is none of a name, as after the module was disposed.</exception>
    internal static IReadOnlyList<(string Name, Parameter Parameter)> Current(
        nn.Module module,
        IEnumerable<(string Name, Parameter Parameter)> parameters
    )
    {
        var current = module.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        return
        [
            .. parameters.Select(p =>
                current.TryGetValue(p.Name, out var parameter) && !parameter.IsInvalid
                    ? (p.Name, parameter)
                    : throw new InvalidOperationException(
                        $"The parameter '{p.Name}' was disposed, and the model has none of that name: was the model disposed before the "
                            + "optimizer?"
                    )
            ),
        ];
    }

    internal static string Number(int i) => FormattableString.Invariant($"{i}");

    /// <summary>All parameters of a module under their names, also frozen ones, which are trained after they are unfrozen. A tensor with
    /// several names is taken once; a tensor of integers cannot be trained and is left out.</summary>
    public static ParameterGroup<TOptions> Of<TOptions>(nn.Module model, TOptions options)
        where TOptions : OptimizerOptions
    {
        ArgumentNullException.ThrowIfNull(model);
        var real = model.named_parameters().Where(p => p.parameter.is_floating_point() || p.parameter.is_complex());
        return new(real.DistinctBy(p => p.parameter.Handle), options) { Module = model, IsWhole = true };
    }

    /// <summary>Parameters without names. They get the names 0, 1, 2, ..., counted through all groups of an optimizer, and a saved state is
    /// matched by them. A parameter that is given twice is taken once.</summary>
    public static ParameterGroup<TOptions> Of<TOptions>(IEnumerable<Parameter> parameters, TOptions options)
        where TOptions : OptimizerOptions
    {
        ArgumentNullException.ThrowIfNull(parameters);
        return new(parameters.DistinctBy(p => p.Handle).Select((p, i) => (Number(i), p)), options) { IsNumbered = true };
    }
}
