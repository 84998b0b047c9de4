using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Amari.Curvature;
using Amari.Reporting;
using Amari.Tests.Reporting;
using Amari.Training;
using Amari.Workloads;
using Spectre.Console;
using static Amari.Tests.Cli.PlantedRuns;

namespace Amari.Tests.Cli;

/// <summary>The texts that users see, compared with <c>Snapshots/*.txt</c>: a change shows in review. Set AMARI_UPDATE_SNAPSHOTS=1 to
/// accept one.</summary>
public sealed partial class SnapshotTests
{
    private static readonly MonitorResult Monitor = new(
        MonitorQuantities.Sharpness | MonitorQuantities.Noise,
        [
            new MonitorRow
            {
                Step = 0,
                Seconds = 0,
                Sharpness = -1,
            },
            new MonitorRow
            {
                Step = 500,
                Seconds = 5,
                Sharpness = 20,
                StabilityBound = 38,
            },
        ],
        0.05,
        0.04,
        0.2,
        0.4,
        "2 (1 + μ) / η"
    );

    [Fact]
    public void Texts_are_as_recorded()
    {
        string folder = Path.Combine(Folder(), "Snapshots");
        var texts = Texts().ToDictionary(t => t.Name + ".txt", t => t.Text.ReplaceLineEndings("\n").Trim() + "\n");
        if (Environment.GetEnvironmentVariable("AMARI_UPDATE_SNAPSHOTS") == "1")
        {
            foreach (string file in Directory.GetFiles(folder))
                File.Delete(file);
            foreach (var (name, text) in texts)
                File.WriteAllText(Path.Combine(folder, name), text);
        }
        Assert.Equal(texts.Keys.Order(), Directory.GetFiles(folder).Select(f => Path.GetFileName(f)).Order());
        foreach (var (name, text) in texts)
            Assert.Equal(File.ReadAllText(Path.Combine(folder, name)).ReplaceLineEndings("\n"), text);
    }

    private static IEnumerable<(string Name, string Text)> Texts()
    {
        yield return ("help", Help());
        foreach (string command in (string[])["compare", "train", "report", "plan", "verify", "lecture", "spectrum", "landscape", "info"])
            yield return ("help-" + command, Help(command));
        yield return ("answers", Answers());
        yield return ("tables", Tables());
        yield return ("report", ReportText());
    }

    /// <summary>The help of a command. The name of the program and the number of threads are placeholders.</summary>
    private static string Help(params string[] command)
    {
        var (code, output, error) = Tool.Run([.. command, "--help"]);
        Assert.Equal((0, ""), (code, error));
        string text = Threads().Replace(Program().Replace(output, "$1amari$2"), "$1[default: THREADS]");
        return Spaces().Replace(text, "  ");
    }

    private static string Answers()
    {
        var planted = new (string Case, BenchmarkResult Comparison)[]
        {
            ("One seed", Comparison(Run("adamw", 0, 2, 1000, 0.05), Run("kfac", 0, 4, 100, 0.01))),
            ("A clear win over several seeds", Win),
            (
                "A tie over several seeds",
                Compared(
                    "loss",
                    0.1,
                    Times("adamw", [2, 2.4, 2.1]),
                    Times("lion", [2.1, 2.3, 2.3], millisecondsPerStep: 8),
                    Times("sgd", [5, 5.2, 5.1])
                )
            ),
            ("Two optimizers that cannot be told apart", Compared("loss", 0.1, Times("adamw", [2, 2.4]), Times("lion", [2.1, 2.5]))),
            (
                "Equal optimizers",
                Compared("loss", 0.1, Times("adamw", [2, 2.4, 2.1]), Times("lion", [2, 2.4, 2.1]), Times("sgd", [2, 2.4, 2.1]))
            ),
            (
                "Another optimizer is best at the end",
                Compared(
                    "held-out loss",
                    0.3,
                    Times("kfac", [1, 1.1, 1.2], 40).HeldOut([0.2, 0.21, 0.2], [0.2, 0.21, 0.2]),
                    Times("adamw", [3, 3.3, 3.1]).HeldOut([0.12, 0.11, 0.12], [0.12, 0.11, 0.13])
                )
            ),
            (
                "Optimizers miss the target with a seed or all",
                Compared(
                    "loss",
                    0.1,
                    Times("adamw", [1, double.NaN, 1]),
                    Times("lion", [double.NaN, double.NaN, double.NaN]),
                    Times("sgd", [2, 2.1, 2.2])
                )
            ),
            ("No optimizer reaches the target", Comparison(Run("adamw", 0, null, null, 0.5), Run("kfac", 0, null, null, 0.2))),
            (
                "No optimizer reaches a held-out accuracy",
                Compared(
                    "accuracy",
                    0.99,
                    Missed("adamw").HeldOut([0.3, 0.3, 0.3], [0.3, 0.3, 0.3], [0.9, 0.91, 0.905]),
                    Missed("kfac").HeldOut([0.3, 0.3, 0.3], [0.3, 0.3, 0.3], [0.95, 0.96, 0.954]),
                    Missed("lion").HeldOut([0.3, 0.3, 0.3], [0.3, 0.3, 0.3], [0.94, 0.96, 0.95])
                )
            ),
            (
                "One optimizer diverges",
                Comparison(Run("adamw", 0, 2, 1000, 0.05), Run("kfac", 0, null, null, double.NaN, RunStatus.Diverged))
            ),
            (
                "All optimizers come apart",
                Comparison(Run("adamw", 0, 2, 1000, 5, RunStatus.CameApart), Run("kfac", 0, 1, 50, 7, RunStatus.CameApart))
            ),
            (
                "A run stays at the loss of a constant prediction",
                Comparison(
                    Run("sgd", 0, null, null, 2.3) with
                    {
                        Plateau = new(2.3, 0, 1000, 1, true, 0.01),
                    },
                    Run("adamw", 0, 2, 1000, 0.05) with
                    {
                        Best = new(1000, 10, 0.05, 0.9),
                    }
                )
            ),
            ("A busy machine", Win with { Runs = [.. Win.Runs.Select(r => r.Seed == 1 ? r with { WaitedForCpu = 0.43 } : r)] }),
            ("Tuned, on a workload that K-FAC's defaults were chosen on", Tuned),
            (
                "Overfitting, and an optimizer without the schedule",
                Compared(
                    "held-out loss",
                    0.3,
                    Times("adamw", [1, 1.1, 1.2]).HeldOut([0.2, 0.21, 0.2], [0.9, 0.8, 0.85]),
                    Times("schedulefree-adamw", [3, 3.3, 3.1]).HeldOut([0.2, 0.21, 0.2], [0.9, 0.7, 0.85])
                )
            ),
            (
                "An interrupted comparison",
                Comparison(Run("adamw", 0, 2, 1000, 0.05), Run("kfac", 0, null, null, 0.5, RunStatus.Interrupted))
            ),
            ("A single optimizer", Comparison(Run("kfac", 0, 4, 100, 0.01))),
            ("No run", Comparison()),
        };
        var text = new StringBuilder();
        foreach (var (name, comparison) in planted)
            text.AppendLine(name).AppendLine("  " + Answer.Of(comparison)).AppendLine();
        return text.ToString();
    }

    private static readonly BenchmarkResult Win = Compared(
        "held-out loss",
        0.3,
        Times("kfac", [1, 1.1, 1.2], 40).HeldOut([0.2, 0.21, 0.2], [0.2, 0.21, 0.2]),
        Times("adamw", [3, 3.3, 3.1]).HeldOut([0.25, 0.26, 0.27], [0.25, 0.26, 0.27]),
        Times("sgd", [double.NaN, double.NaN, double.NaN], 8).HeldOut([0.4, 0.44, 0.43], [0.4, 0.44, 0.43])
    );

    private static readonly BenchmarkResult Tuned = Win with
    {
        Settings = SettingsSource.Tuned,
        DefaultsChosenHere = true,
        Trials =
        [
            .. ((string[])["kfac", "adamw", "sgd"]).SelectMany(name =>
                Enumerable
                    .Range(0, 4)
                    .Select(i => new Trial(
                        name,
                        new Dictionary<string, string> { ["LearningRate"] = $"{i % 3}" },
                        Budget.OfSeconds(i < 3 ? 2.5 : 10),
                        0.3
                    ))
            ),
        ],
    };

    private static TrainingRun[] Missed(string optimizer) => Times(optimizer, [double.NaN, double.NaN, double.NaN]);

    /// <summary>The console's table at two widths.</summary>
    private static string Tables()
    {
        using var text = new StringWriter();
        foreach (int width in (int[])[100, 80])
        {
            var console = AnsiConsole.Create(new() { Ansi = AnsiSupport.No, Out = new AnsiConsoleOutput(text) });
            console.Profile.Width = width;
            console.Profile.Capabilities.Unicode = true;
            foreach (var table in ResultTable.Of(Win, width))
                console.Write(table);
            foreach (
                var table in ResultTable.Of(
                    Comparison(Run("adamw", 0, 2, 1000, 0.05), Run("sgd", 0, null, null, double.NaN, RunStatus.Diverged)),
                    width
                )
            )
                console.Write(table);
        }
        return text.ToString();
    }

    /// <summary>The text of a report, without its scripts. The description of the machine is a placeholder.</summary>
    private static string ReportText()
    {
        var kfac = Run("kfac", 0, 4, 100, 0.01) with
        {
            Options = new Dictionary<string, string> { ["LearningRate"] = "0.1", ["Damping"] = "0.001" },
            Coverage = [new("0.weight", "Kronecker (Linear)", "linear layer"), new("scale", "AdamW", "no layer with a block")],
            Events = [new(7, "fc1", "the inverse failed; the last one stays")],
            Monitor = Monitor,
        };
        var adamw = Run("adamw", 0, 2, 1000, 0.05) with { Options = new Dictionary<string, string> { ["LearningRate"] = "0.001" } };
        var diverged = Run("sgd", 0, null, null, double.NaN, RunStatus.Diverged);
        var options = OptimizerCatalog.Find("adamw").SearchSpace.ToDictionary(d => d.Option, _ => "0.01");
        var comparison = Comparison(adamw, kfac, diverged) with { Trials = [new("adamw", options, Budget.OfSeconds(2.5), 0.3)] };
        string html = HtmlReport.Of([new(comparison, WorkloadCatalog.Find("digits-mlp", null))]);
        html = Hidden().Replace(html, "");
        html = MachineLine().Replace(html, "$1MACHINE$2");
        html = Blocks().Replace(html, "\n");
        html = Cells().Replace(html, " | ");
        string text = WebUtility.HtmlDecode(Tags().Replace(html, ""));
        return Lines().Replace(text, "\n");
    }

    private static TrainingRun Run(
        string optimizer,
        int seed,
        double? seconds,
        long? steps,
        double loss,
        RunStatus status = RunStatus.Completed
    ) => AnswerTests.Make(optimizer, seed, seconds, steps, loss, status);

    private static BenchmarkResult Comparison(params TrainingRun[] runs) =>
        new("digits-mlp", "accuracy", new("loss", 0.1), Budget.OfSeconds(10), runs, []);

    private static string Folder([System.Runtime.CompilerServices.CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;

    [GeneratedRegex(@"(Usage:\s+)\S+(.*)")]
    private static partial Regex Program();

    [GeneratedRegex(@"(--threads.*)\[default: \d+\]")]
    private static partial Regex Threads();

    [GeneratedRegex(@"(?<=\S) {2,}")]
    private static partial Regex Spaces();

    [GeneratedRegex(@"<(script|style)\b.*?</\1>|<title>.*?</title>", RegexOptions.Singleline)]
    private static partial Regex Hidden();

    [GeneratedRegex(@"(<h2>Machine</h2>\s*<p>).*?(</p>)", RegexOptions.Singleline)]
    private static partial Regex MachineLine();

    [GeneratedRegex(@"</?(p|h1|h2|h3|tr|table|div|details|summary)\b[^>]*>")]
    private static partial Regex Blocks();

    [GeneratedRegex(@"</(td|th)>")]
    private static partial Regex Cells();

    [GeneratedRegex(@"<[^>]+>")]
    private static partial Regex Tags();

    [GeneratedRegex(@"\s*\n\s*")]
    private static partial Regex Lines();
}
