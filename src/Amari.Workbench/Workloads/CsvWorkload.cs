using System.Globalization;
using System.Numerics;
using Amari.Native;
using Amari.Workloads.Data;

namespace Amari.Workloads;

/// <summary>A regression or classification on the rows of a CSV file, by a multi-layer perceptron. Derive from it to give it a name or
/// another model.</summary>
/// <remarks>How columns become features: <see cref="CsvDataset"/>. 70 % of the rows are to train on, 15 % to tune by and 15 % to judge by;
/// every class is divided alike.
/// <para>The model has two hidden layers of tanh units: as many as the square root of the training rows, rounded up to a power of two, from
/// 16 to 256. A batch has a 32nd of the training rows, rounded up to a power of two, from 16 to 256.</para>
/// <para>The target is the held-out loss of a linear model: ridge regression, or softmax regression with the same penalty 1; at least
/// 0.001.</para></remarks>
public class CsvWorkload : Workload
{
    private const string TargetName = "target",
        TaskName = "task",
        IgnoreName = "ignore",
        HiddenName = "hidden",
        SplitSeedName = "split-seed";
    private const int Least = 16,
        Most = 256,
        BatchesPerEpoch = 32;
    private const int MaxMeasured = 20_000; // training rows of an evaluation
    private const double LeastTarget = 1e-3;
    private static readonly Likelihood OfClasses = new Categorical(),
        OfNumbers = new SquaredError();
    private CsvTable _table;
    private IReadOnlyList<int> _hidden;
    private Lazy<Target> _baseline;

    /// <summary>Reads the file, which is not read again.</summary>
    /// <param name="path">The file.</param>
    /// <param name="target">The name of the column to predict.</param>
    /// <param name="options">How the file is read; null for the defaults.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ArgumentException">The file cannot be used; as for <see cref="CsvDataset"/>.</exception>
    public CsvWorkload(string path, string target, CsvOptions? options = null) =>
        (_table, _hidden, _baseline) = Of(CsvDataset.Open(path, target, options ?? new()), null);

    private static (CsvTable, IReadOnlyList<int>, Lazy<Target>) Of(CsvTable table, IReadOnlyList<int>? hidden)
    {
        int width = PowerOfTwo(Math.Sqrt(table.Count(CsvPart.Training)));
        return (table, hidden ?? [width, width], new(() => Baseline(table)));
    }

    private static Target Baseline(CsvTable table)
    {
        if (table.Count(CsvPart.Test) == 0)
            throw new ArgumentException(
                $"'{table.Path}', column '{table.Target}': no row is left to judge by, because each of the {table.Classes.Count} classes "
                    + "has too few rows. Numbers must be written without units and separators of thousands."
            );
        using var training = table.Examples(CsvPart.Training);
        using var test = table.Examples(CsvPart.Test);
        var (loss, isConstant) = LinearBaseline.Better(training, test, table.Classes.Count);
        string model = $"a linear model ({(table.IsClasses ? "softmax" : "ridge")} regression)";
        return new(Target.HeldOutLoss, Math.Max(LeastTarget, loss))
        {
            Origin =
                loss < LeastTarget ? FormattableString.Invariant($"{LeastTarget}, because {model} has a lower held-out loss")
                : isConstant ? $"the held-out loss of a constant prediction, because {model} has a higher one"
                : $"the held-out loss of {model}",
        };
    }

    /// <summary>The name of the file in lower case, with hyphens.</summary>
    public override string Name =>
        string.Join(
            '-',
            string.Concat(
                    Path.GetFileNameWithoutExtension(_table.Path).ToLowerInvariant().Select(c => char.IsAsciiLetterOrDigit(c) ? c : ' ')
                )
                .Split(' ', StringSplitOptions.RemoveEmptyEntries)
        )
            is { Length: > 0 } name
            ? name
            : "csv";

    /// <inheritdoc/>
    public override string Description =>
        string.Create(
            CultureInfo.InvariantCulture,
            $"{Kind} '{_table.Target}' of {Path.GetFileName(_table.Path)}: {_table.Count(null):N0} rows ({_table.Count(CsvPart.Test):N0} "
                + $"held out), {_table.Features.Count} feature{(_table.Features.Count == 1 ? "" : "s")}, "
                + $"MLP {string.Join('-', Widths)} (tanh)"
        );

    private string Kind => _table.IsClasses ? FormattableString.Invariant($"{_table.Classes.Count} classes") : "regression";

    /// <inheritdoc/>
    public override int BatchSize =>
        Math.Min(PowerOfTwo((double)_table.Count(CsvPart.Training) / BatchesPerEpoch), _table.Count(CsvPart.Training));

    /// <summary><see cref="Categorical"/> for classes, otherwise <see cref="SquaredError"/>.</summary>
    public override Likelihood Likelihood => _table.IsClasses ? OfClasses : OfNumbers;

    /// <summary>Accuracy for classes; otherwise the mean absolute error in the units of the file.</summary>
    public override Metric Metric =>
        _table.IsClasses
            ? Metric.Accuracy
            : new("mean absolute error", false, (output, target) => output.sub(target).abs().sum().mul(_table.Scale));

    /// <inheritdoc/>
    public override Target Target => _baseline.Value;

    /// <inheritdoc/>
    public override Budget DefaultBudget => Budget.OfSeconds(5);

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> SettingValues =>
        new Dictionary<string, string>
        {
            [TargetName] = _table.Target,
            [TaskName] = Enum.GetName(_table.Options.Task)!.ToLowerInvariant(),
            [IgnoreName] = string.Join(',', _table.Options.Ignore),
            [HiddenName] = string.Join(',', _hidden),
            [SplitSeedName] = FormattableString.Invariant($"{_table.Options.SplitSeed}"),
        };

    /// <inheritdoc/>
    protected override Workload Configure(IReadOnlyDictionary<string, string> values)
    {
        ArgumentNullException.ThrowIfNull(values);
        var options = new CsvOptions
        {
            Task =
                Enum.TryParse<CsvTask>(values[TaskName], ignoreCase: true, out var task) && Enum.IsDefined(task)
                    ? task
                    : throw Invalid(TaskName, values, "auto, regression or classification"),
            Ignore = CommaSeparated.Names($"The setting {IgnoreName}", values[IgnoreName]),
            SplitSeed = int.TryParse(values[SplitSeedName], NumberStyles.None, CultureInfo.InvariantCulture, out int seed)
                ? seed
                : throw Invalid(SplitSeedName, values, $"a whole number from 0 to {int.MaxValue}"),
        };
        int[] hidden =
        [
            .. CommaSeparated
                .Items(values[HiddenName])
                .Select(units =>
                    int.TryParse(units, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n > 0
                        ? n
                        : throw Invalid(HiddenName, values, $"whole numbers from 1 to {int.MaxValue} separated by commas, as 32,32")
                ),
        ];
        var configured = (CsvWorkload)MemberwiseClone();
        (configured._table, configured._hidden, configured._baseline) = Of(
            CsvDataset.Open(_table.Path, values[TargetName], options),
            hidden
        );
        NetworkMemory.Require(
            $"{HiddenName}={values[HiddenName]}",
            configured.Widths,
            Math.Max(configured.BatchSize, Math.Min(WorkloadData.EvaluationChunk, configured._table.Count(CsvPart.Training))),
            ScalarType.Float32
        );
        return configured;
    }

    private static ArgumentException Invalid(string name, IReadOnlyDictionary<string, string> values, string allowed) =>
        new($"The setting {name} is '{values[name]}'; it must be {allowed}.");

    /// <summary>The examples; the folder is not used.</summary>
    public override WorkloadData Load(string? directory)
    {
        var training = _table.Examples(CsvPart.Training);
        var measured = training.Count > MaxMeasured ? training.Sample(MaxMeasured / 2, seed: 0) : null;
        return new(training, _table.Examples(CsvPart.Test), measured)
        {
            Validation = _table.Examples(CsvPart.Validation),
            Caution = Repeated,
        };
    }

    private string? Repeated =>
        _table.CountRepeated() is > 0 and var n
            ? FormattableString.Invariant(
                $"{n:N0} of {_table.Count(CsvPart.Test):N0} held-out rows equal a training row in all columns used: "
            ) + "held-out results may be too good."
            : null;

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor> CreateModel()
    {
        List<(string, nn.Module<Tensor, Tensor>)> layers = [];
        for (int i = 1; i < Widths.Count; i++)
        {
            layers.Add(($"fc{i}", nn.Linear(Widths[i - 1], Widths[i])));
            if (i < Widths.Count - 1)
                layers.Add(($"tanh{i}", nn.Tanh()));
        }
        return nn.Sequential(layers);
    }

    private IReadOnlyList<int> Widths => [_table.Features.Count, .. _hidden, Math.Max(1, _table.Classes.Count)];

    private static int PowerOfTwo(double size) => (int)BitOperations.RoundUpToPowerOf2((uint)Math.Clamp(Math.Ceiling(size), Least, Most));
}
