using Amari.Training;

namespace Amari.Benchmarks.Faults;

/// <summary><c>kill -9</c> at any moment, again and again, then <c>--resume</c>.</summary>
internal sealed class Kills : IFaultKind
{
    private const int Epochs = 40,
        KillsOfOneRun = 3;
    private static readonly string[] Optimizers = ["adamw", "kfac", "soap", "routed-muon", "schedulefree-adamw", "lbfgs"];

    /// <inheritdoc/>
    public string Name => "kills";

    /// <inheritdoc/>
    public string Promise => "a run killed at any moment continues from its last checkpoint, and ends bit for bit as an uninterrupted one";

    /// <inheritdoc/>
    public string? Missing => OperatingSystem.IsWindows() ? "Windows has no signals" : null;

    /// <inheritdoc/>
    public IEnumerable<Fault> Inject(string folder, Random random, int repeats)
    {
        foreach (string optimizer in Optimizers)
        {
            string whole = Path.Combine(folder, optimizer);
            var (code, _, error) = Tool.Run(TrainingRun.Arguments(whole, optimizer, Epochs));
            if (TrainingRun.Results(whole) is null)
                yield return new($"{optimizer}, not killed", $"exit code {code}: {error}");
            else
                for (int i = 0; i < repeats; i++)
                    yield return KillAndResume(whole, Path.Combine(folder, $"{optimizer}-{i}"), optimizer, random);
        }
    }

    private static Fault KillAndResume(string whole, string folder, string optimizer, Random random)
    {
        var moments = new List<string>();
        for (int i = 0; i < KillsOfOneRun; i++)
        {
            using var run = Tool.Start(TrainingRun.Arguments(folder, optimizer, Epochs, resumes: TrainingRun.Count(folder) > 0));
            int before = random.Next(3); // while it starts, or once it has saved
            if (before > 0)
                run.WaitUntil(() => TrainingRun.Count(folder) > 0);
            int wait = random.Next(before > 0 ? 300 : 1500);
            Thread.Sleep(wait);
            run.Signal(TrainingRun.KillSignal);
            run.End();
            moments.Add($"{(before > 0 ? "checkpoint" : "start")} + {wait} ms");
        }
        string what = $"{optimizer}, killed at {string.Join(", ", moments)}";
        var (code, _, error) = Tool.Run(TrainingRun.Arguments(folder, optimizer, Epochs, resumes: TrainingRun.Count(folder) > 0));
        if (code < 0 || TrainingRun.Results(folder) is null)
            return new(what, $"the resumed run ended with code {code}: {error}");
        string? left = Directory.GetFiles(folder, "*.tmp", SearchOption.AllDirectories).FirstOrDefault();
        return new(what, TrainingRun.Difference(whole, folder) ?? (left is null ? null : $"{left} was left behind"));
    }
}
