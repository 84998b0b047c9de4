using System.Diagnostics;
using System.Globalization;

namespace Amari.Benchmarks.Faults;

/// <summary>A rank that is killed or stopped, ranks that were started differently.</summary>
internal sealed class RankFaults : IFaultKind
{
    private const int Epochs = 60,
        StopSignal = 19;
    private const double LongestAfterStop = 20; // seconds: 15 by default, and the launcher's own
    private static readonly string[] Optimizers = ["adamw", "kfac"];

    private static readonly string[][] Differences =
    [
        ["--lr", "0.02"],
        ["--set", "weightDecay=0.1"],
        ["--seed", "4"],
        ["--start", "glorot"],
        ["--epochs", "61"],
        ["--optimizer", "sgd"],
    ];

    /// <inheritdoc/>
    public string Name => "ranks";

    /// <inheritdoc/>
    public string Promise =>
        "a lost or stopped rank ends the job within 15 s, and its checkpoint continues bit for bit; ranks that differ are refused";

    /// <inheritdoc/>
    public string? Missing => Tool.Find("mpirun") is null ? "no MPI is installed" : null;

    /// <summary>Two ranks; each writes its process into the folder.</summary>
    private static Tool Start(string folder, string[] first, string[] second)
    {
        Directory.CreateDirectory(folder);
        string script =
            $"r=${{OMPI_COMM_WORLD_RANK:-$PMI_RANK}}; echo $$ > '{folder}'/$r.pid; if [ $r = 0 ]; then exec {Quoted(first)}; else exec "
            + $"{Quoted(second)}; fi";
        string[] options = Tool.Find("ompi_info") is null ? [] : ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"];
        return Tool.StartProgram("mpirun", [.. options, "-np", "2", "sh", "-c", script]);
    }

    private static string Quoted(string[] arguments) => string.Join(' ', Tool.Command.Concat(arguments).Select(a => $"'{a}'"));

    private static Tool Start(string folder, params string[] arguments) => Start(folder, arguments, arguments);

    private static string[] With(string[] arguments, string[] option) =>
        Array.IndexOf(arguments, option[0]) is var i && i < 0
            ? [.. arguments, .. option]
            : [.. arguments[..i], .. option, .. arguments[(i + 2)..]];

    /// <inheritdoc/>
    public IEnumerable<Fault> Inject(string folder, Random random, int repeats)
    {
        foreach (string optimizer in Optimizers)
        {
            string whole = Path.Combine(folder, optimizer);
            using (var run = Start(whole, TrainingRun.Arguments(whole, optimizer, Epochs)))
                run.End();
            for (int i = 0; i < repeats; i++)
                foreach (int signal in (int[])[TrainingRun.KillSignal, StopSignal])
                    yield return Lose(whole, Path.Combine(folder, $"{optimizer}-{signal}-{i}"), optimizer, signal, random);
        }
        foreach (string[] difference in Differences)
        {
            string[] arguments = TrainingRun.Arguments(Path.Combine(folder, "different"), "adamw", Epochs);
            using var run = Start(Path.Combine(folder, "different"), arguments, With(arguments, difference));
            var (code, _, error) = run.End();
            bool refused = code == 2 && error.Contains("rank", StringComparison.OrdinalIgnoreCase);
            yield return new($"rank 1 has {string.Join(' ', difference)}", refused ? null : $"exit code {code}: {error}");
        }
    }

    private static Fault Lose(string whole, string folder, string optimizer, int signal, Random random)
    {
        string[] arguments = TrainingRun.Arguments(folder, optimizer, Epochs);
        int rank = random.Next(2),
            wait = random.Next(300);
        string what = FormattableString.Invariant(
            $"{optimizer}, rank {rank} {(signal == StopSignal ? "stopped" : "killed")} {wait} ms after the first checkpoint"
        );
        using (var run = Start(folder, arguments))
        {
            run.WaitUntil(() => TrainingRun.Count(folder) > 0);
            Thread.Sleep(wait);
            int process = int.Parse(File.ReadAllText(Path.Combine(folder, $"{rank}.pid")), CultureInfo.InvariantCulture);
            long begun = Stopwatch.GetTimestamp();
            Tool.Signal(process, signal);
            var (code, _, _) = run.End();
            double took = Stopwatch.GetElapsedTime(begun).TotalSeconds;
            Tool.Signal(process, TrainingRun.KillSignal); // nobody wakes it
            if (code == -1 || took > LongestAfterStop)
                return new(what, FormattableString.Invariant($"the job went on for {took:F0} s"));
            if (code == 0)
                return new(what + ", too late", TrainingRun.Difference(whole, folder));
        }
        using var resumed = Start(folder, [.. arguments, "--resume"]);
        var (end, _, error) = resumed.End();
        return new(
            what,
            end < 0 || TrainingRun.Results(folder) is null
                ? $"the resumed run: exit code {end}: {error}"
                : TrainingRun.Difference(whole, folder)
        );
    }
}
