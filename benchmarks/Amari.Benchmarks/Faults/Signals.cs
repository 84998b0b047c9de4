using Amari.Reporting;
using Amari.Training;
using Amari.Verification;

namespace Amari.Benchmarks.Faults;

/// <summary>Ctrl-C, a scheduler's signal, a closed terminal.</summary>
internal sealed class Signals : IFaultKind
{
    private const int Epochs = 150;
    private static readonly (string Name, int Number)[] All = [("SIGHUP", 1), ("SIGINT", 2), ("SIGTERM", 15)];

    /// <inheritdoc/>
    public string Name => "signals";

    /// <inheritdoc/>
    public string Promise => "SIGINT, SIGTERM and SIGHUP end a run, after its results and a checkpoint are written";

    /// <inheritdoc/>
    public string? Missing => OperatingSystem.IsWindows() ? "Windows has no signals" : null;

    /// <inheritdoc/>
    public IEnumerable<Fault> Inject(string folder, Random random, int repeats)
    {
        string whole = Path.Combine(folder, "whole");
        Tool.Run(TrainingRun.Arguments(whole, "adamw", Epochs));
        foreach (var (name, number) in All.Where(s => !Tool.Ignores(s.Number)))
            for (int i = 0; i < repeats; i++)
            {
                string part = Path.Combine(folder, $"{name}-{i}");
                using var run = Tool.Start(TrainingRun.Arguments(part, "adamw", Epochs));
                run.WaitUntil(() => TrainingRun.Count(part) > 0);
                int wait = random.Next(100);
                Thread.Sleep(wait);
                run.Signal(number);
                yield return new($"{name}, {wait} ms after the first checkpoint", Check(run, whole, part));
            }
    }

    private static string? Check(Tool run, string whole, string part)
    {
        var (code, _, error) = run.End();
        string? status = (string?)TrainingRun.Results(part)?["runs"]?[0]?["status"];
        if (code == 1 && status != "interrupted")
            return $"the run has the status '{status}': {error}";
        if (code is not (0 or 1))
            return $"exit code {code}: {error}";
        Tool.Run(TrainingRun.Arguments(part, "adamw", Epochs, resumes: true));
        return TrainingRun.Difference(whole, part);
    }
}
