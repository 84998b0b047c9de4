using System.Net;
using System.Text;
using System.Text.RegularExpressions;
using Amari.Curvature;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;

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
        var planted = new (string Case, TrainingRun[] Runs)[]
        {
            ("Two optimizers reach the target", [Run("adamw", 0, 2, 1000, 0.05), Run("kfac", 0, 4, 100, 0.01)]),
            (
                "A tie over several seeds",
                [
                    Run("adamw", 0, 2, 1000, 0.05),
                    Run("adamw", 1, 2.4, 1100, 0.05),
                    Run("lion", 0, 2.1, 900, 0.05),
                    Run("lion", 1, 2.5, 950, 0.06),
                ]
            ),
            (
                "One optimizer misses the target with a seed",
                [
                    Run("adamw", 0, 2, 1000, 0.05),
                    Run("adamw", 1, null, null, 0.3),
                    Run("sgd", 0, 5, 2000, 0.08),
                    Run("sgd", 1, 6, 2100, 0.08),
                ]
            ),
            ("No optimizer reaches the target", [Run("adamw", 0, null, null, 0.5), Run("kfac", 0, null, null, 0.2)]),
            ("One optimizer diverges", [Run("adamw", 0, 2, 1000, 0.05), Run("kfac", 0, null, null, double.NaN, RunStatus.Diverged)]),
            (
                "All optimizers come apart",
                [Run("adamw", 0, 2, 1000, 5, RunStatus.CameApart), Run("kfac", 0, 1, 50, 7, RunStatus.CameApart)]
            ),
            (
                "A run stays at the loss of a constant prediction",
                [
                    Run("sgd", 0, null, null, 2.3) with
                    {
                        Plateau = new(2.3, 0, 1000, 1, true, 0.01),
                    },
                    Run("adamw", 0, 2, 1000, 0.05) with
                    {
                        Best = new(1000, 10, 0.05, 0.9),
                    },
                ]
            ),
            ("An interrupted comparison", [Run("adamw", 0, 2, 1000, 0.05), Run("kfac", 0, null, null, 0.5, RunStatus.Interrupted)]),
            ("A single optimizer", [Run("kfac", 0, 4, 100, 0.01)]),
            ("No run", []),
        };
        var text = new StringBuilder();
        foreach (var (name, runs) in planted)
            text.AppendLine(name).AppendLine("  " + Answer.Of(Comparison(runs))).AppendLine();
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
        string html = HtmlReport.Of(comparison, WorkloadCatalog.Find("digits-mlp", null));
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
