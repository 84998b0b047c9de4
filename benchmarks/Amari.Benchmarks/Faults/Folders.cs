using Amari.Training;

namespace Amari.Benchmarks.Faults;

/// <summary>Two processes in one folder, folders that hold something else, no folder for temporary files.</summary>
internal sealed class Folders : IFaultKind
{
    private const int Epochs = 400;

    /// <inheritdoc/>
    public string Name => "folders";

    /// <inheritdoc/>
    public string Promise => "files of another process, run or user are never overwritten; leftover temporary files do no harm";

    /// <inheritdoc/>
    public string? Missing => OperatingSystem.IsWindows() ? "it needs signals and pipes" : null;

    /// <inheritdoc/>
    public IEnumerable<Fault> Inject(string folder, Random random, int repeats)
    {
        for (int i = 0; i < repeats; i++)
        {
            yield return Second(Path.Combine(folder, $"second-{i}"), killed: false);
            yield return Second(Path.Combine(folder, $"killed-{i}"), killed: true);
        }
        foreach (string temporary in (string[])["/nonexistent", "/proc", "/dev/null"])
        {
            using var run = Tool.StartWith(
                new Dictionary<string, string> { ["TMPDIR"] = temporary },
                TrainingRun.Arguments(Path.Combine(folder, temporary[1..]), "adamw", 2)
            );
            var (code, _, error) = run.End();
            bool whole = File.Exists(Path.Combine(folder, temporary[1..], "out", "report.html"));
            yield return new($"TMPDIR is {temporary}", whole && error.Length == 0 ? null : $"exit code {code}: {error}");
        }
        foreach (var fault in Occupied(Path.Combine(folder, "occupied")))
            yield return fault;
    }

    private static Fault Second(string folder, bool killed)
    {
        using var first = Tool.Start(TrainingRun.Arguments(folder, "adamw", Epochs));
        if (!first.WaitUntil(() => TrainingRun.Count(folder) > 0))
            return new("two processes in one folder", first.End().Error);
        if (killed)
            first.Signal(TrainingRun.KillSignal); // the lock dies with its owner
        if (killed)
            first.End();
        var (code, _, error) = Tool.Run(TrainingRun.Arguments(folder, "adamw", Epochs, resumes: true, results: "second"));
        return killed
            ? new("a folder that a killed process had", code == 0 ? null : $"exit code {code}: {error}")
            : new("two processes in one folder", code == 2 ? null : $"the second had exit code {code}: {error}");
    }

    private static IEnumerable<Fault> Occupied(string folder)
    {
        const string Own = "a file of the user's";
        Directory.CreateDirectory(Path.Combine(folder, "out"));
        foreach (
            var (name, arguments) in ((string, string[])[])
                [
                    ("file.json", ["--json", Path.Combine(folder, "file.json"), "--out", Path.Combine(folder, "empty")]),
                    (Path.Combine("out", "result.json"), ["--out", Path.Combine(folder, "out")]),
                    (Path.Combine("out", "report.html"), ["--out", Path.Combine(folder, "out")]),
                ]
        )
        {
            string file = Path.Combine(folder, name);
            File.WriteAllText(file, Own);
            var (code, _, error) = Tool.Run(["train", "--optimizer", "adamw", "--epochs", "1", "--threads", "1", .. arguments]);
            bool kept = File.ReadAllText(file) == Own;
            yield return new(
                $"{name} is there",
                code == 2 && kept ? null : $"exit code {code}, {(kept ? "kept" : "overwritten")}: {error}"
            );
            File.Delete(file);
        }
        string nothing = Path.Combine(folder, "mistyped");
        var (refused, _, said) = Tool.Run([
            "train",
            "--epochs",
            "1",
            "--checkpoint",
            nothing,
            "--resume",
            "--out",
            Path.Combine(folder, "other"),
        ]);
        yield return new("--resume from a folder that is not there", refused == 2 ? null : $"exit code {refused}: {said}");
    }
}
