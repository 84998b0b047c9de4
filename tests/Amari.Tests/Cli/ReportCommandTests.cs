using System.Text.Json.Nodes;
using Amari.Reporting;
using Amari.Tests.Reporting;
using Amari.Tests.Training;
using Amari.Training;
using Amari.Workloads;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>amari report</c>: several results in one page.</summary>
public sealed class ReportCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>Plants the result of a command.</summary>
    private string Plant(string name, Func<BenchmarkResult, BenchmarkResult> change, params TrainingRun[] runs)
    {
        string folder = Directory.CreateDirectory(_folder.File(name)).FullName;
        var result = new BenchmarkResult("digits-mlp", "accuracy", new("loss", 0.1), Budget.OfSeconds(10), runs, [])
        {
            Schedule = Schedule.Default,
            Provenance = new(ProgramStart.Of($"amari train --out {name}"), [0]),
        };
        File.WriteAllText(Path.Combine(folder, "result.json"), ResultJson.Of([change(result)]));
        return folder;
    }

    private string Plant(string name, params TrainingRun[] runs) => Plant(name, r => r, runs);

    private JsonNode Report(params string[] results)
    {
        var (code, _, error) = Run(["report", .. results, "--out", _folder.File("report"), "--overwrite"]);
        Assert.Equal((0, ""), (code, error));
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder.File("report"), "report.json")))!;
        Assert.Empty(ResultSchema.Faults(json));
        return json;
    }

    private string Page() => System.Net.WebUtility.HtmlDecode(File.ReadAllText(Path.Combine(_folder.File("report"), "report.html")));

    private static IEnumerable<string> Optimizers(JsonNode comparison) =>
        comparison["runs"]!.AsArray().Select(r => (string)r!["optimizer"]!);

    [Fact]
    public void Results_of_commands_are_overlaid_with_a_verdict_over_all()
    {
        string a = _folder.File("a"),
            b = _folder.File("b");
        string[] common = ["digits-softmax", "--epochs", "1", "--threads", "1", "--out"];
        Assert.Equal(0, Run(["compare", .. common, a, "--optimizers", "sgd,kfac", "--seeds", "1"]).Code);
        Assert.Equal(0, Run(["train", .. common, b, "--optimizer", "kfac", "--set", "damping=1"]).Code);
        var json = Report(a, Path.Combine(b, "result.json"));
        var comparison = Assert.Single(json["comparisons"]!.AsArray())!;
        Assert.Equal(["sgd", "kfac (a)", "kfac (b)"], Optimizers(comparison));
        Assert.Equal("digits-softmax", (string)comparison["workload"]!);
        Assert.Equal([a, b], comparison["sources"]!.AsArray().Select(s => (string)s!["path"]!));
        Assert.Equal(
            JsonNode.Parse(File.ReadAllText(Path.Combine(b, "result.json")))!["runs"]![0]!["losses"]!.ToJsonString(),
            comparison["runs"]![2]!["losses"]!.ToJsonString()
        );
        foreach (string file in (string[])["loss-seconds.png", "loss-steps.svg"])
            Assert.True(File.Exists(Path.Combine(_folder.File("report"), file)), file);
        string page = Page();
        Assert.Contains("kfac (b)", page, StringComparison.Ordinal);
        Assert.Contains((string)comparison["answer"]!, page, StringComparison.Ordinal);
        Assert.Contains("const sections = [", page, StringComparison.Ordinal); // what the figures draw
        Assert.Contains("amari train digits-softmax", page, StringComparison.Ordinal);
        Assert.Contains("The settings come from different sources (a: defaults, b: workload).", page, StringComparison.Ordinal);
        AssertRefused("holds results already", "report", a, b, "--out", _folder.File("report"));
    }

    [Fact]
    public void The_verdict_is_over_all_runs()
    {
        string a = Plant("a", AnswerTests.Make("adamw", 0, 4, 1000, 0.05)),
            b = Plant("b", AnswerTests.Make("kfac", 0, 2, 100, 0.01));
        var comparison = Report(a, b)["comparisons"]![0]!;
        Assert.Equal(["adamw", "kfac"], Optimizers(comparison));
        Assert.StartsWith("kfac was first: it reached loss 0.1", (string)comparison["answer"]!, StringComparison.Ordinal);
        Assert.Equal("[]", comparison["notes"]!.ToJsonString());
        Assert.Equal(4, (double)comparison["runs"]![0]!["secondsToTarget"]!);
    }

    /// <summary>Results of earlier versions do not say what the target is.</summary>
    [Fact]
    public void Results_with_and_without_the_origin_of_their_target_are_overlaid()
    {
        string a = Plant("a", AnswerTests.Make("adamw", 0, 4, 1000, 0.05)),
            b = Plant(
                "b",
                r => r with { Target = r.Target with { Origin = "the loss of a linear model" } },
                AnswerTests.Make("kfac", 0, 2, 100, 0.01)
            );
        var comparison = Assert.Single(Report(a, b)["comparisons"]!.AsArray())!;
        Assert.Equal(["adamw", "kfac"], Optimizers(comparison));
        Assert.Equal("the loss of a linear model", (string)comparison["target"]!["origin"]!);
    }

    [Fact]
    public void Several_workloads_and_targets_give_a_section_each()
    {
        string a = Plant("a", AnswerTests.Make("sgd", 0, 4, 1000, 0.05)),
            b = Plant("b", r => r with { Workload = "<other>" }, AnswerTests.Make("sgd", 0, 2, 100, 0.01)),
            c = Plant("c", AnswerTests.Make("kfac", 0, 4, 1000, 0.05)),
            d = Plant("d", r => r with { Target = new("loss", 0.2) }, AnswerTests.Make("sgd", 0, 2, 100, 0.01));
        var sections = Report(a, b, c, d)["comparisons"]!.AsArray();
        Assert.Equal(["digits-mlp", "<other>", "digits-mlp"], sections.Select(s => (string)s!["workload"]!));
        Assert.Equal(["sgd", "kfac"], Optimizers(sections[0]!));
        Assert.All(sections.Skip(1), s => Assert.Equal(["sgd"], Optimizers(s!)));
        Assert.Equal(
            ["loss-seconds-1.png", "loss-seconds-2.png", "loss-seconds-3.png"],
            Directory.GetFiles(_folder.File("report"), "loss-seconds*.png").Select(Path.GetFileName).Order()
        );
        string page = File.ReadAllText(Path.Combine(_folder.File("report"), "report.html"));
        Assert.DoesNotContain("<other>", page, StringComparison.Ordinal);
        Assert.Contains("optimizers on 3 workloads", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Names_that_collide_get_the_shortest_ends_of_paths()
    {
        string[] folders = [.. ((string[])["x/a", "y/a", "y/b"]).Select(f => Plant(f, AnswerTests.Make("sgd", 0, 4, 1000, 0.05)))];
        Assert.Equal(["sgd (x/a)", "sgd (y/a)", "sgd (y/b)"], Optimizers(Report(folders)["comparisons"]![0]!));
        Assert.Equal(["sgd (a)", "sgd (b)"], Optimizers(Report(folders[1], folders[2])["comparisons"]![0]!));
        Assert.Equal(["sgd"], Optimizers(Report(folders[0])["comparisons"]![0]!));
        string elsewhere = Plant("z/a", r => r with { Workload = "other" }, AnswerTests.Make("sgd", 0, 4, 1000, 0.05));
        var sections = Report(folders[1], elsewhere)["comparisons"]!.AsArray(); // names are those of one page
        Assert.Equal(["y/a", "z/a"], sections.Select(s => (string)s!["sources"]![0]!["name"]!));
        string copy = Path.Combine(folders[0], "other.json");
        File.Copy(Path.Combine(folders[0], "result.json"), copy);
        Assert.Equal(["sgd (a)", "sgd (other.json)"], Optimizers(Report(folders[0], copy)["comparisons"]![0]!));
    }

    [Fact]
    public void Differences_between_results_are_noted()
    {
        var run = AnswerTests.Make("sgd", 0, 4, 1000, 0.05);
        string a = Plant("a", run),
            b = Plant(
                "b",
                r =>
                    r with
                    {
                        Budget = Budget.OfEpochs(3),
                        Settings = SettingsSource.Tuned,
                        Schedule = null,
                        Provenance = r.Provenance! with
                        {
                            First = r.Provenance.First with
                            {
                                Threads = 99,
                                Commit = "0b816b5",
                                Machine = r.Provenance.First.Machine with { Processor = "abacus" },
                            },
                        },
                    },
                run
            );
        var notes = Report(a, b)["comparisons"]![0]!["notes"]!.AsArray().Select(n => (string)n!).ToList();
        foreach (
            string expected in (string[])
                [
                    "The budgets differ (a: 10 s, b: 3 epochs)",
                    "different sources (a: defaults, b: tuned)",
                    "The schedules differ (a: linear, b: chosen by tuning)",
                    "b: abacus): compare steps, not seconds.",
                    "b: 99): compare steps",
                    "b: 0b816b5)",
                ]
        )
            Assert.Single(notes, n => n.Contains(expected, StringComparison.Ordinal));
        Assert.Equal(6, notes.Count);
    }

    [Fact]
    public void Bad_results_are_refused_in_one_sentence()
    {
        string good = Plant("good", AnswerTests.Make("sgd", 0, 4, 1000, 0.05)),
            empty = Directory.CreateDirectory(_folder.File("empty")).FullName,
            none = Plant("none"),
            text = Directory.CreateDirectory(_folder.File("text")).FullName;
        AssertRefused($"'{_folder.File("nowhere")}' does not exist", "report", good, _folder.File("nowhere"));
        AssertRefused($"'{empty}' holds no results: there is no result.json.", "report", good, empty);
        AssertRefused("it has no run, because the command was stopped before the first one.", "report", none);
        AssertRefused($"'{good}' is given twice.", "report", good, Path.Combine(good, "result.json"));
        AssertRefused("which is a result to report; choose another folder", "report", good, "--out", good, "--overwrite");
        AssertRefused(
            "which is a result to report; choose another file",
            ["report", good, "--overwrite", "--out", _folder.File("report"), "--json", Path.Combine(good, "result.json")]
        );
        AssertRefused("Required argument 'RESULT' missing", "report");
        foreach (
            var (content, expected) in ((string, string)[])
                [
                    ("{", "it is not JSON"),
                    ("[]", "it is an array; it must be an object"),
                    ("{\"workload\": \"w\"}", "it has no schema number"),
                    ("{\"schema\": 2}", "it has schema 2; this version reads schema 1."),
                    ("{\"schema\": 1}", "workload is missing; it must be a text."),
                ]
        )
        {
            File.WriteAllText(Path.Combine(text, "result.json"), content);
            AssertRefused(expected, "report", good, text);
        }
        Assert.False(Directory.Exists(_folder.File("report")));
        var (code, output, _) = Run("report", good, "--out", _folder.File("report"), "--json", "-");
        Assert.Equal(0, code);
        Assert.Empty(ResultSchema.Faults(JsonNode.Parse(output)!)); // standard output has nothing else
        AssertRefused("workload is missing", "report", Path.Combine(_folder.File("report"), "report.json")); // is no result itself
    }
}
