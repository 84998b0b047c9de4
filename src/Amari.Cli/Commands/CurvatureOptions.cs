using System.CommandLine;
using Amari.Curvature;
using Amari.Native;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Solvers;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary>Options of the curvature commands: the model, the data and the matrix.</summary>
internal sealed class CurvatureOptions
{
    private const int ChunkSize = 512; // examples per pass
    private const long LargeModel = 1 << 20; // parameters from which on saving memory is worth page faults
    private const long PathBytes = 256L << 20; // maximum size of a recorded training path
    private const int DefaultSteps = 1000; // of training, unless the target comes first

    private static readonly (string Name, string Title, Func<Objective, long, LinearOperator> Create)[] Operators =
    [
        ("hessian", "Hessian", (o, _) => new Hessian(o)),
        ("ggn", "Gauss-Newton matrix", (o, _) => new GaussNewton(o)),
        ("fisher", "Fisher", (o, _) => new Fisher(o)),
        ("monte-carlo-fisher", "Monte Carlo Fisher (one draw)", (o, seed) => new Fisher(o, FisherKind.MonteCarlo, 1, seed)),
        ("empirical-fisher", "empirical Fisher", (o, _) => new Fisher(o, FisherKind.Empirical)),
    ];

    private readonly CommonOptions _common;

    public CurvatureOptions(CommonOptions common)
    {
        _common = common;
        Operator = new("--operator")
        {
            Description = string.Join(", ", Operators.Select(o => o.Name)),
            DefaultValueFactory = _ => Operators[0].Name,
            HelpName = "NAME",
        };
    }

    public Option<string?> Checkpoint { get; } =
        new("--checkpoint")
        {
            Description =
                "load the weights from this checkpoint, safetensors file or file of PyTorch, or from the newest checkpoint of a run's "
                + "folder; without it the workload is first trained with AdamW",
            HelpName = "FILE|DIR",
        };
    public Option<string> Operator { get; }
    public Option<string?> Layer { get; } =
        new("--layer") { Description = "curvature in the parameters of this layer only, e.g. fc1", HelpName = "NAME" };
    public Option<int> Examples { get; } =
        TypedOptions.Integer("--examples", "number of randomly drawn training examples in the loss", 1, 2048);
    public Option<int?> TrainSteps { get; } =
        TypedOptions.OptionalInteger(
            "--train-steps",
            "training steps before the measurement; 0 for the weights at initialisation (default: until the workload's target, at most "
                + $"{DefaultSteps})",
            0
        );
    public Option<double?> TrainBudget { get; } =
        new("--train-budget")
        {
            Description = "training time in place of --train-steps: 10s, 2m; the weights then depend on the machine and on its load",
            HelpName = "TIME",
            CustomParser = result =>
            {
                string text = result.Tokens[0].Value;
                if (text == "0")
                    return 0;
                if (TypedOptions.Seconds(text) is { } seconds)
                    return seconds;
                result.AddError($"--train-budget is '{text}'; it must be a time such as 60s, 2m or 500ms, or 0.");
                return null;
            },
        };

    public void AddTo(Command command)
    {
        command.Add(_common.Workload);
        foreach (
            Option option in (Option[])
                [
                    Checkpoint,
                    TrainSteps,
                    TrainBudget,
                    Operator,
                    Layer,
                    Examples,
                    _common.Set,
                    _common.Assembly,
                    _common.Data,
                    _common.OneDnn,
                ]
        )
            command.Add(option);
        _common.AddCsvTo(command);
        _common.AddToAny(command);
    }

    /// <summary>The requested matrix: its name on the command line, its title, and the matrix.</summary>
    public (string Name, string Title, LinearOperator Matrix) OperatorOf(ParseResult parsed, Objective objective)
    {
        var (name, title, create) = Find(parsed);
        if (objective.Parameters.Dimension > LargeModel)
            NativeHeap.MapLargeBlocks();
        return (name, title, create(objective, parsed.GetValue(_common.Seed)));
    }

    /// <summary>The model with new weights or a checkpoint's, and its examples. Reports all user errors. The caller disposes it.</summary>
    public Subject Open(ParseResult parsed, Workload workload)
    {
        Find(parsed);
        int seed = parsed.GetValue(_common.Seed);
        string[] origins =
        [
            .. ((Option[])[Checkpoint, TrainSteps, TrainBudget]).Where(o => parsed.GetResult(o) is not null).Select(o => o.Name),
        ];
        if (origins.Length > 1)
            throw new ArgumentException($"Use {origins[0]} or {origins[1]}, not both.");
        using var saved = parsed.GetValue(Checkpoint) is { } file ? CommandLine.Reading(() => Serialization.Checkpoint.Open(file)) : null;
        var trainer = new Trainer(workload, parsed.GetValue(_common.Data));
        torch.manual_seed(seed);
        var subject = new Subject(
            trainer,
            workload.CreatedModel(),
            trainer.Data.Train.Sample(parsed.GetValue(Examples), seed),
            ChunkSize,
            parsed.GetValue(Layer)
        );
        if (saved is null)
            return subject;
        CommandLine.Reading(() => saved.CopyTo(subject.Model));
        (subject.TrainedSteps, subject.Origin) = saved.IsWeights
            ? ((long?)null, $"weights of {parsed.GetValue(Checkpoint)}")
            : (saved.Step, FormattableString.Invariant($"checkpoint of step {saved.Step}"));
        return subject;
    }

    /// <summary>The requested training; null with --checkpoint.</summary>
    public TrainingLength? LengthOf(ParseResult parsed) =>
        parsed.GetValue(Checkpoint) is not null ? null
        : parsed.GetValue(TrainBudget) is { } seconds ? new(null, seconds)
        : parsed.GetValue(TrainSteps) is { } steps ? new(steps)
        : new(DefaultSteps, ToTarget: true); // beyond the target, when the training set is fitted, the curvature vanishes with the loss

    /// <summary>Trains the subject with AdamW, unless it has a checkpoint's weights or is to stay as initialised.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="subject">The result of <see cref="Open"/>.</param>
    /// <param name="output">Receives the progress.</param>
    /// <param name="path">Whether to record the weights during training.</param>
    /// <param name="stop">Ends the training.</param>
    /// <returns>Whether it was not stopped.</returns>
    public bool Train(ParseResult parsed, Subject subject, TextWriter output, bool path, CancellationToken stop)
    {
        if (LengthOf(parsed) is not { } length)
            return true;
        if (length.IsZero)
        {
            (subject.TrainedSteps, subject.Origin) = (0, "weights at initialisation");
            return true;
        }
        var workload = subject.Workload;
        using var view = new ProgressView(output, $"{workload.Name}: {workload.Description}; first trained with AdamW for {length}");
        int maxPoints = path ? (int)Math.Clamp(PathBytes / (4 * subject.Objective.Parameters.Dimension), 8, 200) : 0;
        var training = new SubjectTraining(subject, parsed.GetValue(_common.Seed), length, maxPoints, view);
        return CommandLine.Running(() => training.Run(stop))
            ? !stop.IsCancellationRequested
            : throw new InvalidDataException(
                $"{workload.Name} diverged during training with AdamW"
                    + (subject.Trainer.Data.NotFinite() is { } why ? $". {why}" : "; add settings to the workload, or use --checkpoint.")
            );
    }

    private (string Name, string Title, Func<Objective, long, LinearOperator> Create) Find(ParseResult parsed)
    {
        string name = parsed.GetValue(Operator)!;
        var found = Array.Find(Operators, o => o.Name.Equals(name, StringComparison.OrdinalIgnoreCase));
        return found.Name is null
            ? throw new ArgumentException($"--operator is '{name}'; it must be one of {string.Join(", ", Operators.Select(o => o.Name))}.")
            : found;
    }
}
