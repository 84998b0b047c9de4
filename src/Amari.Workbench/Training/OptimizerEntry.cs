using Amari.Optimizers;
using Amari.Reporting;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>An optimizer of the command line.</summary>
/// <param name="Name">The name on the command line.</param>
/// <param name="Summary">One line for tables and help.</param>
/// <param name="OptionsType">The type of its options record.</param>
/// <param name="Create">Creates it for a model; the likelihood defines the Fisher of curvature methods.</param>
/// <param name="SearchSpace">The options that tuning varies.</param>
/// <param name="Variant">The entry of which this is a variant. If a workload has no settings for this one, it takes those of that entry.
/// Null for none.</param>
/// <param name="Preset">The settings of the variant. Settings under its own name and explicit settings override them.</param>
public sealed record OptimizerEntry(
    string Name,
    string Summary,
    Type OptionsType,
    Func<nn.Module<Tensor, Tensor>, OptimizerOptions, Likelihood, Optimizer> Create,
    IReadOnlyList<SearchDimension> SearchSpace,
    string? Variant = null,
    IReadOnlyList<KeyValuePair<string, string>>? Preset = null
)
{
    /// <summary>Whether it takes the loss as a function and may evaluate it many times per step.</summary>
    public bool EvaluatesLoss => OptionsType.DeclaringType is { } type && type.IsSubclassOf(typeof(SecondOrderOptimizer));

    /// <summary>Whether it can train with a likelihood: a least-squares method needs one whose negative logarithm is a sum of
    /// squares.</summary>
    public bool Takes(Likelihood likelihood)
    {
        ArgumentNullException.ThrowIfNull(likelihood);
        return likelihood.Precision is not null
            || (OptionsType != typeof(LevenbergMarquardt.Options) && OptionsType != typeof(DampedGaussNewton.Options));
    }

    /// <summary>Why the schedule of a run has no effect on it, in words that follow its name; null where the rate follows it.</summary>
    public string? OwnSchedule =>
        OptionsType == typeof(ScheduleFree.Options) ? "averages its iterates in place of a schedule"
        : OptionsType == typeof(NewtonCg.Options) ? "bounds its steps by a trust region"
        : OptionsType == typeof(LevenbergMarquardt.Options) ? "bounds its steps by an adaptive damping"
        : OptionsType == typeof(HessianFree.Options) || OptionsType == typeof(Lbfgs.Options)
            ? "finds the length of its steps by a line search"
        : null;

    /// <summary>The dimensions of the search space that have an effect with these options.</summary>
    /// <param name="options">Options by name, with defaults, as a run records them.</param>
    public IReadOnlyList<SearchDimension> SearchSpaceOf(IReadOnlyDictionary<string, string> options) =>
        [.. SearchSpace.Where(d => d.Unless is not { } idle || options.GetValueOrDefault(idle.Option) != idle.Value)];

    /// <summary>The settings on a workload without explicit ones: the workload's settings for this optimizer, or for the one that it is a
    /// variant of, and the preset. Missing settings take the defaults.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> SettingsIn(Workload workload)
    {
        ArgumentNullException.ThrowIfNull(workload);
        var own = workload.Settings.GetValueOrDefault(Name);
        var original = own is null ? workload.Settings.GetValueOrDefault(Variant ?? "") : null;
        return
        [
            .. ((IEnumerable<KeyValuePair<string, string>>)[.. original ?? None, .. Preset ?? [], .. own ?? None])
                .GroupBy(s => Settings.Canonical(s.Key))
                .Select(s => s.Last()),
        ];
    }

    private static readonly Dictionary<string, string> None = [];
}
