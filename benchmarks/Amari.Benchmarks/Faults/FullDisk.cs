namespace Amari.Benchmarks.Faults;

/// <summary>No room, or no folder, for checkpoints.</summary>
internal sealed class FullDisk : IFaultKind
{
    private const int Epochs = 60;

    private static readonly (string What, string Script)[] Ways =
    [
        ("no room from the start", "mount -t tmpfs -o size=16k none \"$1\"; shift; exec \"$@\""),
        ("room for one checkpoint and a half", "mount -t tmpfs -o size=220k none \"$1\"; shift; exec \"$@\""),
        ("the disk fills up while it trains", "mount -t tmpfs -o size=2m none \"$1\"; (sleep 1.5; head -c 4m /dev/zero > \"$1/other\") 2> /dev/null & shift; exec \"$@\""),
        ("full for a while", "mount -t tmpfs -o size=2m none \"$1\"; head -c 4m /dev/zero > \"$1/other\" 2> /dev/null; (sleep 2; rm \"$1/other\") & shift; exec \"$@\""),
        ("read-only while it trains", "mount -t tmpfs -o size=2m none \"$1\"; (sleep 1.5; mount -o remount,ro \"$1\") 2> /dev/null & shift; exec \"$@\""),
        ("the folder is removed while it trains", "(sleep 1.5; rm -rf \"$1\") & shift; exec \"$@\""),
        ("the folder becomes a file", "(sleep 1.5; rm -rf \"$1\"; touch \"$1\") & shift; exec \"$@\""),
    ];

    /// <inheritdoc/>
    public string Name => "full-disk";
    /// <inheritdoc/>
    public string Promise => "checkpoints that cannot be written cost no results: the run goes on, tries again and reports it";
    /// <inheritdoc/>
    public string? Missing => OperatingSystem.IsLinux() && Tool.Find("unshare") is not null && Tool.StartProgram("unshare", "-m", "true").End().Code == 0
        ? null : "mounting a small file system needs Linux, root and unshare";

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
        if (code == 2 && error.Contains("cannot be written", StringComparison.Ordinal)) return null;   // before it trained
        var (expected, run) = (TrainingRun.Results(whole)!["runs"]![0]!, TrainingRun.Results(part)?["runs"]?[0]);
        if (run is null) return $"no results; exit code {code}: {error}";
        if ((double)run["finalLoss"]! != (double)expected["finalLoss"]!) return $"the loss is {run["finalLoss"]}, not {expected["finalLoss"]}";
        return error.Contains("checkpoint", StringComparison.OrdinalIgnoreCase) ? null : $"it was not reported: {error}";
    }
}
