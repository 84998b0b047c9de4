using System.CommandLine;
using System.Globalization;
using Amari.Distributed;
using Amari.Native;
using Amari.Optimizers;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary>Options that several commands share, and their parsing.</summary>
internal sealed class CommonOptions
{
    /// <summary>The option for the machine-readable result.</summary>
    public const string JsonName = "--json";

    /// <summary>Options with paths.</summary>
    public const string DataName = "--data",
        AssemblyName = "--assembly",
        CsvName = "--csv";

    public Option<string?> Json { get; } =
        TypedOptions.Named(
            new(JsonName)
            {
                Description =
                    "write the machine-readable result to this file, pipe or device; - is standard output, which then contains "
                    + "nothing else; missing folders are made",
                HelpName = "FILE",
            }
        );
    public Option<DirectoryInfo?> Out { get; } =
        TypedOptions.ResultsFolder("--out", "folder of the results (default: a new one under out/)");
    public Option<bool> Overwrite { get; } =
        new("--overwrite") { Description = "replace existing results in --out, and the file of --json" };
    public Option<int> Seed { get; } =
        TypedOptions.Integer("--seed", "seed of weights, data order and sampling; with several seeds the first", 0, 0);
    public Option<int> Threads { get; } =
        TypedOptions.Integer(
            "--threads",
            "threads of libtorch and of the kernels (default: one per core; with mpirun, the ranks of a machine share its cores)",
            1,
            Launcher.FairThreads,
            4 * Environment.ProcessorCount
        );
    public Option<bool> OneDnn { get; } =
        new("--onednn")
        {
            Description = "multiply float32 matrices with oneDNN, which is faster on many CPUs; its error is measured and reported",
        };
    public Option<string?> Data { get; } = TypedOptions.Folder(DataName, "folder with the files of the data set");
    public Option<string?> Assembly { get; } =
        TypedOptions.Named(new(AssemblyName) { Description = "load the workload from this .dll", HelpName = "FILE" });
    public Option<string?> Csv { get; } =
        TypedOptions.Named(
            new(CsvName)
            {
                Description = "the workload is to predict a column of this CSV file, which --target names: --csv data.csv --target price",
                HelpName = "FILE",
            }
        );
    public Option<Budget?> Budget { get; } =
        TypedOptions.Time("--budget", "training time per run: 60s, 2m, 500ms; evaluation does not count");
    public Option<int?> Epochs { get; } =
        TypedOptions.OptionalInteger("--epochs", "passes over the training data, in place of --budget", 1);
    public Option<string> Schedule { get; } =
        new("--schedule")
        {
            Description =
                "learning rate over the budget: constant, linear (to zero over the last fifth) or cosine; compare --tune chooses one for "
                + "each optimizer unless it is given",
            DefaultValueFactory = _ => Training.Schedule.NameOf(Training.Schedule.Default.Shape),
            HelpName = "SHAPE",
        };
    public Option<double> Warmup { get; } =
        TypedOptions.Share(
            "--warmup",
            "share of the budget in which the learning rate rises to its peak, 0 to 0.5",
            0,
            s => s is >= 0 and <= 0.5,
            "from 0 to 0.5"
        );
    public Option<string[]> Target { get; } =
        new("--target")
        {
            Description =
                "value that defines the time to target (default: the workload's): loss=V, \"held-out loss=V\", or the workload's metric, "
                + "such as accuracy=V; also, with --csv, the column to predict",
            HelpName = "NAME=V|COLUMN",
        };
    public Option<string> Start { get; } =
        new("--start")
        {
            Description =
                "initialisation of linear layers and convolutions: workload (its own), sparse (Martens 2010), "
                + "glorot (Xavier normal), pytorch (the default of PyTorch's layers)",
            DefaultValueFactory = _ => WeightInits.NameOf(WeightInit.Workload),
            HelpName = "NAME",
        };
    public Option<bool> ShardState { get; } =
        new("--shard-state") { Description = "with mpirun: shard the state of adam, adamw, lion and sgd over the ranks (ZeRO-1)" };
    public Option<bool> Overlap { get; } = new("--overlap") { Description = "with mpirun: send gradients during the backward pass" };
    public Option<Budget?> RankTimeout { get; } =
        TypedOptions.Time(
            "--rank-timeout",
            "with mpirun: how long the ranks wait for a rank that hangs (default: 30m; a stopped rank ends the job within 15s)"
        );
    public Argument<string?> Workload { get; } =
        new("WORKLOAD")
        {
            Arity = ArgumentArity.ZeroOrOne,
            Description =
                string.Join(", ", Workloads.WorkloadCatalog.All.Select(w => w.Name))
                + "; the first is the default, for compare autoencoder, digits-mlp and diabetes-mlp",
        };

    public Option<string[]> Set { get; } =
        new("--set")
        {
            Description = "a setting of the workload, repeatable: --set hidden=32,32; a wrong name prints the list",
            HelpName = "NAME=VALUE",
        };

    public void AddTo(Command command)
    {
        command.Add(Workload);
        Option[] options =
        [
            Set,
            Budget,
            Epochs,
            Schedule,
            Warmup,
            Csv,
            Target,
            Start,
            Assembly,
            Data,
            OneDnn,
            ShardState,
            Overlap,
            RankTimeout,
        ];
        foreach (var option in options)
            command.Add(option);
        AddToAny(command);
    }

    /// <summary>Adds the options of a CSV file to a command that measures no time to target.</summary>
    public void AddCsvTo(Command command)
    {
        (Target.Description, Target.HelpName) = ("the column of the file of --csv that is predicted", "COLUMN");
        command.Add(Csv);
        command.Add(Target);
    }

    /// <summary>Adds the options of every command.</summary>
    public void AddToAny(Command command)
    {
        foreach (Option option in (Option[])[Out, Json, Overwrite, Seed, Threads])
            command.Add(option);
    }

    /// <summary>The first of some options that the command line sets; null if it sets none.</summary>
    public static Option? FirstGiven(ParseResult parsed, params Option[] options) =>
        Array.Find(options, o => parsed.GetResult(o) is { Implicit: false });

    /// <summary>Configures libtorch as requested, and reports settings that differ from the default.</summary>
    public void ApplyTo(ParseResult parsed, TextWriter output)
    {
        torch.set_num_threads(parsed.GetValue(Threads));
        if (!parsed.GetValue(OneDnn))
            return;
        var (error, on) = Float32Products.UseOneDnn();
        output.WriteLine(
            on
                ? FormattableString.Invariant($"float32 products with oneDNN, relative error {error:G2} on a 256x256 product")
                : FormattableString.Invariant($"float32 products stay with MKL: oneDNN's relative error is {error:G2} here")
        );
    }

    /// <summary>The schedule of the command line.</summary>
    /// <exception cref="ArgumentException">A value is invalid.</exception>
    public Schedule ScheduleOf(ParseResult parsed) =>
        new(Training.Schedule.ParseShape(parsed.GetValue(Schedule)!)) { Warmup = parsed.GetValue(Warmup) };

    /// <summary>Whether the command line sets the schedule or the warm-up.</summary>
    public bool SetsSchedule(ParseResult parsed) =>
        parsed.GetResult(Schedule) is { Implicit: false } || parsed.GetResult(Warmup) is { Implicit: false };

    /// <summary>The pairs of --set.</summary>
    /// <exception cref="ArgumentException">One is not NAME=VALUE, or a name is given twice, in any spelling.</exception>
    public IReadOnlyDictionary<string, string> PairsOf(ParseResult parsed)
    {
        var pairs = new Dictionary<string, string>();
        foreach (string pair in parsed.GetValue(Set) ?? [])
        {
            if (pair.Split('=', 2) is not [var name, var value])
                throw new ArgumentException($"--set is '{pair}'; it must be NAME=VALUE.");
            if (pairs.Keys.FirstOrDefault(other => Settings.Canonical(other) == Settings.Canonical(name)) is { } before)
                throw new ArgumentException($"--set has {before}={pairs[before]} and {pair}; give each name once.");
            pairs.Add(name, value);
        }
        return pairs;
    }

    /// <summary>The optimizers of an option that lists their names.</summary>
    /// <exception cref="ArgumentException">There is none, or one does not exist or is repeated.</exception>
    public static IReadOnlyList<OptimizerEntry> OptimizersOf(Option option, string names) =>
        CommaSeparated.Names(option.Name, names) is { Length: > 0 } all
            ? [.. all.Select(OptimizerCatalog.Find)]
            : throw new ArgumentException($"{option.Name} is empty; it must name at least one optimizer.");

    /// <summary>The workload of the command line with the settings of --set.</summary>
    /// <exception cref="ArgumentException">The workload or a setting does not exist, or a value is invalid.</exception>
    public Workload WorkloadOf(ParseResult parsed) => UnsetWorkloadOf(parsed).With(PairsOf(parsed));

    /// <summary>The workload of the command line without the settings of --set.</summary>
    /// <exception cref="ArgumentException">The workload does not exist, or its file cannot be used.</exception>
    public Workload UnsetWorkloadOf(ParseResult parsed)
    {
        var (column, _) = TargetsOf(parsed);
        var (name, assembly) = (parsed.GetValue(Workload), parsed.GetValue(Assembly));
        if (parsed.GetValue(Csv) is not { } file)
            return WorkloadCatalog.Find(name, assembly);
        if (assembly is not null)
            throw new ArgumentException("Use --csv or --assembly, not both.");
        var workload = new CsvWorkload(file, column ?? throw new ArgumentException("--csv needs --target COLUMN: the column to predict."));
        return name is null || name == workload.Name
            ? workload
            : throw new ArgumentException($"Use --csv or the workload '{name}', not both.");
    }

    /// <summary>The folder of results on rank 0; null on other ranks.</summary>
    public ResultFolder? FolderOf(ParseResult parsed, Communicator world, string name) =>
        world.Rank > 0 ? null : FolderOf(parsed, name, Report.Files);

    /// <summary>The folder of results.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="name">The stem of a new folder.</param>
    /// <param name="files">Patterns of the files in addition to <c>result.json</c>.</param>
    public ResultFolder FolderOf(ParseResult parsed, string name, params string[] files) =>
        ResultFolder.Prepare(
            parsed.GetValue(Out)?.FullName,
            parsed.GetValue(Overwrite),
            name,
            JsonOf(parsed, parsed.GetValue(Json), parsed.GetValue(Overwrite)),
            [ResultFolder.Document, .. files],
            parsed.InvocationConfiguration.Output,
            parsed.InvocationConfiguration.Error
        );

    /// <summary>The destination of --json; null if there is none.</summary>
    public static OutputTarget? JsonOf(ParseResult parsed, string? path, bool overwrite) =>
        path is null ? null : OutputTarget.Of(JsonName, path, overwrite, parsed.InvocationConfiguration.Output);

    /// <summary>The trainer of a workload on these ranks.</summary>
    public Trainer TrainerOf(ParseResult parsed, Workload workload, Communicator world)
    {
        var start = WeightInits.Parse(parsed.GetValue(Start)!);
        return new(workload, parsed.GetValue(Data), world, TargetsOf(parsed).Value)
        {
            WeightInit = start,
            ShardState = parsed.GetValue(ShardState),
            Parallelism = new() { Overlap = parsed.GetValue(Overlap) },
        };
    }

    /// <summary>The values of --target: the column of --csv, and the value that defines the time to target.</summary>
    private (string? Column, Target? Value) TargetsOf(ParseResult parsed)
    {
        string[] all = parsed.GetValue(Target) ?? [];
        bool isTimed = parsed.CommandResult.Command.Options.Contains(Budget);
        var values = all.Select(text => isTimed ? TargetOf(text) : null).OfType<Target>().ToList();
        List<string> columns = [.. all.Where(text => !isTimed || TargetOf(text) is null)];
        if (columns is [var column, ..] && parsed.GetValue(Csv) is null)
            throw new ArgumentException(
                isTimed
                    ? $"--target is '{column}'; it must be NAME=V, such as loss=0.01 or \"held-out loss=90\", or a column of --csv."
                    : "--target needs --csv FILE: it names the column to predict."
            );
        return columns.Count <= 1 && values.Count <= 1
            ? (columns.FirstOrDefault(), values.FirstOrDefault())
            : throw new ArgumentException($"--target is given twice, as '{all[0]}' and '{all[1]}'; give a column or a value once.");
    }

    private static Target? TargetOf(string text) =>
        text.LastIndexOf('=') is > 0 and var at
        && double.TryParse(text[(at + 1)..], NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
            ? new(text[..at].Trim(), value)
            : null;

    /// <summary>One line that describes the runs of a trainer.</summary>
    public static string Title(Trainer trainer, string budget, Communicator world) =>
        $"{trainer.Workload.Name}: {trainer.Workload.Description}; {budget}"
        + (trainer.WeightInit == WeightInit.Workload ? "" : $"; initialisation {WeightInits.NameOf(trainer.WeightInit)}")
        + (world.Size > 1 ? "; " + world.Description : "");

    /// <summary>The value of --rank-timeout.</summary>
    public TimeSpan? TimeoutOf(ParseResult parsed) => parsed.GetValue(RankTimeout)?.Seconds is { } s ? TimeSpan.FromSeconds(s) : null;

    /// <summary>The requested budget, or the workload's own.</summary>
    public Budget BudgetOf(ParseResult parsed, Budget preset) => BudgetOf(parsed) ?? preset;

    /// <summary>The requested budget; null if there is none.</summary>
    public Budget? BudgetOf(ParseResult parsed)
    {
        var time = parsed.GetValue(Budget);
        int? epochs = parsed.GetValue(Epochs);
        if (time is not null && epochs is not null)
            throw new ArgumentException("Use --budget or --epochs, not both.");
        return epochs is { } n ? Workloads.Budget.OfEpochs(n) : time;
    }

    /// <summary>The interval between checkpoints.</summary>
    public static Option<Budget?> CheckpointInterval() =>
        TypedOptions.Time("--checkpoint-every", "training time between checkpoints (default: 30s)");

    /// <summary>The value of --checkpoint-every.</summary>
    public static TimeSpan IntervalOf(ParseResult parsed, Option<Budget?> interval) =>
        TimeSpan.FromSeconds(parsed.GetValue(interval)?.Seconds ?? 30);
}
