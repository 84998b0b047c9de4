namespace Amari;

/// <summary>Named parameters that share options. TorchSharp's schedulers drive its learning rate and momentum.</summary>
/// <typeparam name="TOptions">The optimizer's options record.</typeparam>
public sealed class ParameterGroup<TOptions> : optim.ILearningRateController, optim.IMomentum
    where TOptions : OptimizerOptions
{
    /// <param name="parameters">Names (unique over all groups of an optimizer; state is saved under them) and parameters. Not owned.</param>
    /// <param name="options">The group's options.</param>
    public ParameterGroup(IEnumerable<(string name, Parameter parameter)> parameters, TOptions options)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(options);
        Parameters = [.. parameters];
        Options = options;
        InitialLearningRate = options.LearningRate;
    }

    /// <summary>The parameters with their names.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters { get; internal set; }

    /// <summary>Where the parameters come from, if from one module.</summary>
    internal nn.Module? Module { get; init; }

    /// <summary>Whether another optimizer hands the group on, which has checked that there is something to train: here there may be
    /// nothing.</summary>
    internal bool IsPart { get => field || (Module is not null && !IsWhole); init; }

    /// <summary>Whether it is of <see cref="ParameterGroup.Of{TOptions}(nn.Module, TOptions)"/>.</summary>
    internal bool IsWhole { get; init; }

    /// <summary>Takes the parameters that stand under the same names in the module now: <c>module.to</c> makes new ones and disposes the old.</summary>
    internal void Refresh()
    {
        if (Module is null)
            throw new InvalidOperationException("A parameter was disposed, as module.to(...) does: make the optimizer from the module, not from its parameters.");
        var current = Module.named_parameters().ToDictionary(p => p.name, p => p.parameter);
        Parameters = [.. Parameters.Select(p => (p.Name, current[p.Name]))];
    }

    /// <summary>The options in force; replace them at any time between steps.</summary>
    /// <remarks>Those that say which state is kept (a format, a block size, a grafting) are of effect where there is none yet: a parameter keeps the state that it has.</remarks>
    /// <exception cref="ArgumentNullException">There are none.</exception>
    public TOptions Options { get; set => field = value ?? throw new ArgumentNullException(nameof(value), "A parameter group needs options."); }

    /// <summary>η of <see cref="Options"/>.</summary>
    public double LearningRate
    {
        get => Options.LearningRate;
        set => Options = Options with { LearningRate = value };
    }

    /// <summary>The learning rate that schedulers start from.</summary>
    public double InitialLearningRate { get; set; }

    /// <summary>The coefficient that momentum-cycling schedulers drive (μ or β₁).</summary>
    public double Momentum
    {
        get => Options.CycledMomentum;
        set => Options = (TOptions)Options.WithCycledMomentum(value);
    }
}

/// <summary>Makes parameter groups.</summary>
public static class ParameterGroup
{
    /// <summary>All parameters of a module under their names, frozen ones too: they are left alone until they are thawed. A tensor that is
    /// used under several names is taken once;
    /// one of whole numbers, which cannot be trained, is left out.</summary>
    public static ParameterGroup<TOptions> Of<TOptions>(nn.Module model, TOptions options) where TOptions : OptimizerOptions
    {
        ArgumentNullException.ThrowIfNull(model);
        var real = model.named_parameters().Where(p => p.parameter.is_floating_point() || p.parameter.is_complex());
        return new(real.DistinctBy(p => p.parameter.Handle), options)
        {
            Module = model,
            IsWhole = true,
        };
    }

    /// <summary>Parameters without names; they are called 0, 1, 2, ... in order, and saved state finds them by that.</summary>
    public static ParameterGroup<TOptions> Of<TOptions>(IEnumerable<Parameter> parameters, TOptions options) where TOptions : OptimizerOptions
    {
        ArgumentNullException.ThrowIfNull(parameters);
        return new(parameters.Select((p, i) => (FormattableString.Invariant($"{i}"), p)), options);
    }
}
