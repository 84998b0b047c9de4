using System.CommandLine;
using Amari.Distributed;
using Amari.Reporting;
using Amari.Training;

namespace Amari.Cli.Commands;

/// <summary><c>--tensorboard</c> and <c>--log-jsonl</c>: what is written while runs train. They belong to one process: a command that
/// continues logs where its own command line says.</summary>
internal sealed class LogArguments
{
    /// <summary>The option for lines of JSON.</summary>
    public const string LinesName = "--log-jsonl";

    private const string TensorBoardName = "--tensorboard";
    private readonly Option<string?> _tensorBoard = TypedOptions.Named(
        new(TensorBoardName)
        {
            Description = "write event files for TensorBoard to this folder during training, one sub-folder per run; existing files stay",
            HelpName = "DIR",
        }
    );
    private readonly Option<string?> _lines = TypedOptions.Named(
        new(LinesName)
        {
            Description =
                "write one line of JSON per evaluation to this file, pipe or device during training; a continued run appends; - is "
                + "standard output, which then contains nothing else",
            HelpName = "FILE",
        }
    );

    public IReadOnlyList<Option> All => [_tensorBoard, _lines];

    public void AddTo(Command command)
    {
        foreach (var option in All)
            command.Add(option);
    }

    /// <summary>Whether an option is one of these, which may differ between ranks.</summary>
    public static bool Has(Option option) => option.Name is TensorBoardName or LinesName;

    /// <summary>The logs of the command line; none where there is no folder of results, which only rank 0 has.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="common">Its common options.</param>
    /// <param name="folder">The folder of results, or null.</param>
    /// <param name="continues">Whether lines are appended to those of an earlier process.</param>
    /// <param name="hasWorkloads">Whether there are several workloads.</param>
    /// <exception cref="ArgumentException">An output cannot be written to, or has another use.</exception>
    public RunLogs Open(ParseResult parsed, CommonOptions common, ResultFolder? folder, bool continues, bool hasWorkloads = false)
    {
        List<IProgress<RunProgress>> logs = [];
        if (folder is not null && parsed.GetValue(_tensorBoard) is { } directory)
            try
            {
                logs.Add(new TensorBoardLog(directory, hasWorkloads));
            }
            catch (ArgumentException e)
            {
                throw new ArgumentException($"{TensorBoardName}: {e.Message}", e);
            }
        if (folder is not null && parsed.GetValue(_lines) is { } path) // last, as it may empty a file
        {
            bool replace = continues || parsed.GetValue(common.Overwrite);
            var target = OutputTarget.Of(LinesName, path, replace, parsed.InvocationConfiguration.Output);
            folder.RequireOther(target);
            logs.Add(new EvaluationLog(target, target.Open(append: continues)));
        }
        return new([.. logs]);
    }
}
