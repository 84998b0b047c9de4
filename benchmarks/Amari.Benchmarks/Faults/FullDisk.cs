using Amari.Training;
using Amari.Verification;

namespace Amari.Benchmarks.Faults;

/// <summary>No room, or no folder, for checkpoints.</summary>
internal sealed class FullDisk : IFaultKind
{
    private const int Epochs = 400;

    // $1 is the folder of checkpoints, the rest the command; what follows an & happens once the first checkpoint is there
    private const string Later = "(until ls \"$1\"/step-* > /dev/null 2>&1; do sleep 0.02; done; ",
        Run = ") 2> /dev/null & shift; exec \"$@\"";

    private static readonly (string What, string Script)[] Ways =
    [
        ("no room from the start", "mount -t tmpfs -o size=16k none \"$1\"; shift; exec \"$@\""),
        ("room for one checkpoint and a half", "mount -t tmpfs -o size=220k none \"$1\"; shift; exec \"$@\""),
        ("the disk fills up while it trains", $"mount -t tmpfs -o size=2m none \"$1\"; {Later} head -c 4m /dev/zero > \"$1/other\"{Run}"),
        (
            "full for a while",
            "mount -t tmpfs -o size=2m none \"$1\"; head -c 4m /dev/zero > \"$1/other\" 2> /dev/null; (sleep 2; rm \"$1/other\") & shift; "
                + "exec \"$@\""
        ),
        ("read-only while it trains", $"{Later} mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"{Run}"),
        ("the folder is removed while it trains", $"{Later} rm -rf \"$1\"{Run}"),
        ("the folder becomes a file", $"{Later} rm -rf \"$1\"; touch \"$1\"{Run}"),
    ];

    /// <inheritdoc/>
    public string Name => "full-disk";

    /// <inheritdoc/>
    public string Promise => "if checkpoints cannot be written, the run continues, tries again and reports it; no result is lost";

    /// <inheritdoc/>
    public string? Missing =>
        OperatingSystem.IsLinux() && Tool.Find("unshare") is not null && Tool.StartProgram("unshare", "-m", "true").End().Code == 0
            ? null
            : "mounting a small file system needs Linux, root and unshare";

    /// <inheritdoc/>
    public IEnumerable<Fault> Inject(string folder, Random random, int repeats)
    {
        string whole = Path.Combine(folder, "whole");
        Tool.Run(TrainingRun.Arguments(whole, "adamw", Epochs));
        foreach (var (what, script) in Ways)
            for (int i = 0; i < repeats; i++)
            {
                string part = Path.Combine(folder, $"{what.Replace(' ', '-')}-{i}");
                Directory.CreateDirectory(TrainingRun.Checkpoints(part));
                string[] run = [.. Tool.Command, .. TrainingRun.Arguments(part, "adamw", Epochs)];
                using var tool = Tool.StartProgram("unshare", ["-m", "sh", "-c", script, "sh", TrainingRun.Checkpoints(part), .. run]);
                yield return new(what, Check(tool, whole, part));
            }
    }

    private static string? Check(Tool tool, string whole, string part)
    {
        var (code, _, error) = tool.End();
        if (code == 2 && error.Contains("cannot be written", StringComparison.Ordinal))
            return null; // before it trained
        var (expected, run) = (TrainingRun.Results(whole)!["runs"]![0]!, TrainingRun.Results(part)?["runs"]?[0]);
        if (run is null)
            return $"no results; exit code {code}: {error}";
        if ((double)run["finalLoss"]! != (double)expected["finalLoss"]!)
            return $"the loss is {run["finalLoss"]}, not {expected["finalLoss"]}";
        if (TrainingRun.Count(part) > 0 && TrainingRun.Difference(whole, part) is null)
            return null; // it could be saved after all
        return error.Contains("checkpoint", StringComparison.OrdinalIgnoreCase) ? null : $"it was not reported: {error}";
    }
}
