using Amari.Optimizers;
using Amari.Reporting;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>An optimizer as commands know it.</summary>
/// <param name="Name">On the command line.</param>
/// <param name="Summary">One line for tables and help.</param>
/// <param name="OptionsType">Its options record.</param>
/// <param name="Create">Makes it for a model; the likelihood gives curvature methods their Fisher.</param>
/// <param name="SearchSpace">What tuning varies.</param>
/// <param name="Variant">The entry of which this is a variant: a workload's settings of that one hold where it has none of this; null for
/// none.</param>
/// <param name="Preset">What makes the variant; settings under its own name and explicit ones override it.</param>
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
    /// <summary>Whether it takes the loss as a function, and may evaluate it many times in a step.</summary>
    public bool EvaluatesLoss => OptionsType.DeclaringType is { } type && type.IsSubclassOf(typeof(SecondOrderOptimizer));

    /// <summary>What of the search space these options leave an effect.</summary>
    /// <param name="options">By name, defaults included, as a run tells them.</param>
    public IReadOnlyList<SearchDimension> SearchSpaceOf(IReadOnlyDictionary<string, string> options) =>
        [.. SearchSpace.Where(d => d.Unless is not { } idle || options.GetValueOrDefault(idle.Option) != idle.Value)];

    /// <summary>What holds on a workload where nothing is asked for: its settings of this optimizer, or of the one that it is a variant of;
    /// and the preset. What is missing is the default.</summary>
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
