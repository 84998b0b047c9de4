using Amari.Native;
using Amari.Optimizers;
using Amari.Training;

namespace Amari.Workloads;

/// <summary>A training problem: data, model, likelihood, metric and target. Derive from it, with a parameterless constructor, to run your
/// own with <c>amari compare --assembly My.dll</c>.</summary>
public abstract class Workload
{
    /// <summary>The name on the command line: lower case with hyphens. Only letters, digits, '-', '_' and '.' are allowed.</summary>
    public abstract string Name { get; }

    /// <summary>One line: the data, the network and its size.</summary>
    public abstract string Description { get; }

    /// <summary>Examples per training batch.</summary>
    public abstract int BatchSize { get; }

    /// <summary>p(y | f): defines the training loss (the mean negative log-likelihood of a batch) and the Fisher of K-FAC.</summary>
    public abstract Likelihood Likelihood { get; }

    /// <summary>The metric that is reported in addition to the loss.</summary>
    public abstract Metric Metric { get; }

    /// <summary>The loss that defines the time to target.</summary>
    public abstract Target Target { get; }

    /// <summary>The length of a run if the command does not set it.</summary>
    public abstract Budget DefaultBudget { get; }

    /// <summary>The optimizer of <c>amari train</c> if the command does not name one: its name in the catalog.</summary>
    public virtual string DefaultOptimizer => "kfac";

    /// <summary>A table about a trained model for reports; null if there is nothing to show. It is called at every evaluation, in
    /// evaluation mode and without gradients.</summary>
    /// <param name="model">A result of <see cref="CreateModel"/>. Not owned, not to be changed.</param>
    public virtual ModelTable? Describe(nn.Module<Tensor, Tensor> model) => null;

    /// <summary>Loads the data. The caller disposes it.</summary>
    /// <param name="directory">The directory that the user specified, or null for the default locations.</param>
    /// <exception cref="FileNotFoundException">The files are missing. The message says how to get them.</exception>
    public abstract WorkloadData Load(string? directory);

    /// <summary>A new model with random weights from torch's generator. The caller disposes it.</summary>
    public abstract nn.Module<Tensor, Tensor> CreateModel();

    /// <summary>What can be chosen about the workload, by name, with the present values as on the command line
    /// (<c>amari train NAME --set hidden=32,32</c>). Empty if nothing can.</summary>
    /// <remarks>A workload that has some also overrides <see cref="Configure"/>. A path should be a full one, so that a run that is
    /// continued from another folder finds it.</remarks>
    public virtual IReadOnlyDictionary<string, string> SettingValues { get; } = new Dictionary<string, string>();

    /// <summary>The names in <see cref="SettingValues"/>.</summary>
    public IReadOnlyList<string> SettingNames => [.. SettingValues.Keys];

    /// <summary>The workload with other values of some settings.</summary>
    /// <param name="settings">Names (any case, with or without hyphens) and values; without any, the result is this workload.</param>
    /// <exception cref="ArgumentException">There is no such setting, and the message lists those that exist; or one is given
    /// twice; or a value is invalid.</exception>
    public Workload With(IReadOnlyDictionary<string, string> settings)
    {
        ArgumentNullException.ThrowIfNull(settings);
        var values = new Dictionary<string, string>(SettingValues);
        HashSet<string> given = [];
        foreach (var (name, value) in settings)
        {
            string setting = SettingNamed(name) ?? throw new ArgumentException($"There is no setting '{name}' for {Name}{Known}.");
            if (!given.Add(setting))
                throw new ArgumentException($"The setting {setting} is given twice, the second time as {name}={value}; give it once.");
            values[setting] = value;
        }
        return settings.Count == 0 ? this : Given(Configure(values), nameof(Configure));
    }

    /// <summary>The data: what <see cref="Load"/> returns, which must not be null.</summary>
    internal WorkloadData LoadedData(string? directory) => Given(Load(directory), nameof(Load));

    /// <summary>A new model: what <see cref="CreateModel"/> returns, which must not be null.</summary>
    internal nn.Module<Tensor, Tensor> CreatedModel() => Given(CreateModel(), nameof(CreateModel));

    /// <summary>Throws for a member that is null, or a batch without examples.</summary>
    /// <exception cref="ArgumentException">There is one. The message names the workload and the member.</exception>
    internal void RequireMembers()
    {
        foreach (
            var (member, value) in ((string, object?)[])
                [
                    (nameof(Description), Description),
                    (nameof(Likelihood), Likelihood),
                    (nameof(Metric), Metric),
                    (nameof(Target), Target),
                    (nameof(DefaultBudget), DefaultBudget),
                    (nameof(DefaultOptimizer), DefaultOptimizer),
                    (nameof(SettingValues), SettingValues),
                    (nameof(Settings), Settings),
                ]
        )
            Given(value, member);
        if (BatchSize < 1)
            throw new ArgumentException($"The {nameof(BatchSize)} of the workload {Name} is {BatchSize}; it must be at least 1.");
    }

    /// <summary>The value of a member that a derived class defines.</summary>
    private T Given<T>(T? value, string member)
        where T : class =>
        value ?? throw new ArgumentException($"The workload {Name} cannot be used: {GetType().FullName}.{member} returned null.");

    /// <summary>The workload with these settings: what <see cref="With"/> returns.</summary>
    /// <param name="values">A value for every name in <see cref="SettingValues"/>.</param>
    /// <exception cref="ArgumentException">A value is invalid; the message has the value and what is allowed.</exception>
    protected virtual Workload Configure(IReadOnlyDictionary<string, string> values) =>
        throw new NotSupportedException($"{GetType().Name} has settings, but it does not override {nameof(Configure)}.");

    /// <summary>The exact name of a setting in any spelling; null if there is none.</summary>
    internal string? SettingNamed(string name) =>
        SettingNames.FirstOrDefault(n => Optimizers.Settings.Canonical(n) == Optimizers.Settings.Canonical(name));

    /// <summary>The names of the settings, as the end of a sentence.</summary>
    internal string Known => SettingNames.Count == 0 ? ", which has none" : $"; there are {string.Join(", ", SettingNames)}";

    /// <summary>Tuned settings per optimizer name, as on the command line (<c>LearningRate=0.1</c>). Missing settings take the optimizer's
    /// defaults.</summary>
    public virtual IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>();

    /// <summary>Whether defaults or search ranges of Amari's K-FAC were chosen by results on this workload. A comparison then states that
    /// it supports no claim for others.</summary>
    public virtual bool DefaultsChosenHere => false;
}
