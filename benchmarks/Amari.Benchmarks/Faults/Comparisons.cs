using System.Text.Json.Nodes;
using Amari.Training;

namespace Amari.Benchmarks.Faults;

/// <summary><c>compare</c>, killed at any moment, then continued.</summary>
internal sealed class Comparisons : IFaultKind
{
    private const int MaxKills = 20;
    private static readonly string[] What =
    [
        "compare",
        "digits-mlp",
        "--optimizers",
        "adamw,kfac,muon",
        "--seeds",
        "2",
        "--epochs",
        "15",
        "--threads",
        "1",
    ];

    /// <inheritdoc/>
    public string Name => "comparisons";

    /// <inheritdoc/>
    public string Promise => "a comparison killed at any moment keeps its finished runs, and ends as an uninterrupted one";

    /// <inheritdoc/>
    public string? Missing => OperatingSystem.IsWindows() ? "Windows has no signals" : null;

    /// <inheritdoc/>
    public IEnumerable<Fault> Inject(string folder, Random random, int repeats)
    {
        string whole = Path.Combine(folder, "whole");
        Tool.Run([.. What, "--out", whole]);
        string expected = Losses(whole);
        for (int i = 0; i < repeats; i++)
        {
            string part = Path.Combine(folder, $"{i}");
            (int kills, int code, string error) = (0, -1, "");
            for (; kills < MaxKills; kills++)
            {
                using var run = Tool.Start(
                    File.Exists(Path.Combine(part, "result.json")) ? ["compare", "--resume", part] : [.. What, "--out", part, "--overwrite"]
                );
                for (int waited = 0, wait = 1000 + random.Next(4000); waited < wait && !run.HasExited; waited += 10)
                    Thread.Sleep(10);
                if (!run.HasExited)
                    run.Signal(random.Next(2) == 0 ? TrainingRun.KillSignal : 1);
                (code, _, error) = run.End();
                if (code == 0)
                    break;
            }
            string what = $"killed {kills} times";
            yield return new(
                what,
                code != 0 ? $"it did not end: {code}: {error}"
                    : Losses(part) == expected ? null
                    : "other losses than those of the uninterrupted one"
            );
        }
    }

    private static string Losses(string folder)
    {
        string file = Path.Combine(folder, "result.json");
        if (!File.Exists(file))
            return "";
        return string.Join(
            "; ",
            JsonNode.Parse(File.ReadAllText(file))!["runs"]!
                .AsArray()
                .Select(r => $"{r!["optimizer"]} {r["seed"]} {r["status"]} {r["steps"]} {r["finalLoss"]}")
                .Order(StringComparer.Ordinal)
        );
    }
}
