using System.Text.Json.Nodes;
using Amari.Tests.Training;
using Amari.Tests.Workloads;
using Amari.Training;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary>Comparisons that are killed or hung up, and go on.</summary>
public sealed class ContinuedCompareTests
{
    private static readonly string[] Comparison =
    [
        "compare",
        "digits-mlp",
        "--optimizers",
        "sgd,schedulefree-adamw",
        "--seeds",
        "2",
        "--epochs",
        "25",
        "--threads",
        "1",
        "--checkpoint-every",
        "5ms",
    ];

    [Fact]
    public async Task Killed_and_hung_up_it_ends_where_an_uninterrupted_one_does()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "Windows has no signals to send.");
        using var folder = new TemporaryFolder();
        string whole = folder.File("whole"),
            parts = folder.File("parts");
        Assert.Equal(0, Run([.. Comparison, "--out", whole]).Code);
        using (var killed = new ToolProcess([.. Comparison, "--out", parts]))
        {
            await killed.Until(() => Runs(parts) == 1 && Saved("1-schedulefree-adamw-0"));
            AssertRefused("is in use by process ", "compare", "--resume", parts);
            killed.Signal("KILL");
            await killed.End();
        }
        var first = Json(parts);
        Assert.True((bool)first["partial"]!);
        Assert.Equal("[]", first["continued"]!.ToJsonString());
        using (var hungUp = new ToolProcess(["compare", "--resume", parts]))
        {
            await hungUp.Until(() => Runs(parts) == 2 && Saved("0-sgd-1"));
            hungUp.Signal("HUP");
            var (code, output, error) = await hungUp.End();
            Assert.Equal((1, ""), (code, error));
            Assert.Contains("1 of 4 runs are done", output, StringComparison.Ordinal);
            Assert.Contains("To continue: amari compare --resume ", output, StringComparison.Ordinal);
        }
        Assert.Equal(
            "interrupted",
            (string?)Json(parts)["runs"]!.AsArray().Single(r => (string)r!["optimizer"]! == "sgd" && (int)r["seed"]! == 1)!["status"]
        );
        Assert.Equal(
            (0, ""),
            Run("compare", "--resume", parts, "--seeds", "2", "--optimizers", "sgd, schedulefree-adamw") is var (end, _, said)
                ? (end, said)
                : default
        );
        var (a, b) = (Json(whole), Json(parts));
        Assert.False((bool)b["partial"]!);
        foreach (string name in (string[])["started", "commandLine"]) // those of the first start
            Assert.Equal((string)first[name]!, (string)b[name]!);
        Assert.Equal(
            [$"amari compare --resume {parts}", $"amari compare --resume {parts} --seeds 2 --optimizers 'sgd, schedulefree-adamw'"],
            b["continued"]!.AsArray().Select(c => (string)c!["commandLine"]!)
        );
        Assert.Empty(ResultSchema.Faults(b));
        Assert.Equal(a["runs"]!.AsArray().Select(Losses), b["runs"]!.AsArray().Select(Losses));
        Assert.False(Directory.Exists(Path.Combine(parts, "unfinished")));
        Assert.Empty(Directory.GetFiles(parts, "*.tmp"));
        Assert.Equal(0, Run("compare", "--resume", parts).Code); // there is nothing left to do, and the answer comes again
        Assert.Equal(2, Json(parts)["continued"]!.AsArray().Count);

        bool Saved(string run) =>
            Path.Combine(parts, "unfinished", run) is var f
            && Directory.Exists(f)
            && Directory.GetFiles(f, "step-*.safetensors").Length > 0;

        static int Runs(string folder) => File.Exists(Path.Combine(folder, "result.json")) ? Json(folder)["runs"]!.AsArray().Count : 0;

        static JsonNode Json(string folder) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "result.json")))!;

        static string Losses(JsonNode? run) =>
            $"{run!["optimizer"]} {run["seed"]} {run["status"]} "
            + $"{string.Join(' ', run["losses"]!.AsArray().Select(l => $"{l![0]}:{l[2]}"))}";
    }

    private static readonly (string Other, string Expected)[] Differences =
    [
        ("--seeds 3", "was started with --seeds 1, but this command has --seeds 3"),
        ("--optimizers adamw", "--optimizers sgd, but this command has --optimizers adamw"),
        ("--epochs 2", "a budget of 1 epoch, but this command has a budget of 2 epochs"),
        ("--budget 2s", "a budget of 2 s"),
        ("--tune 1", "--tune 0, but this command has --tune 1"),
        ("--seed 4", "--seed 4"),
        ("--start sparse", "--start workload, but this command has --start sparse"),
        ("--monitor kl", "--monitor none, but this command has --monitor kl"),
        ("--data /", "--data none, but this command has --data /"),
        ("--out other", "a comparison continues in its own folder"),
        ("digits-mlp", "workload digits-softmax, but this command has workload digits-mlp"),
    ];

    [Fact]
    public void Other_arguments_are_refused_with_the_difference()
    {
        using var folder = new TemporaryFolder();
        string results = folder.File("o");
        Assert.Equal(0, Run("compare", "digits-softmax", "--optimizers", "sgd", "--seeds", "1", "--epochs", "1", "--out", results).Code);
        foreach (var (other, expected) in Differences)
            AssertRefused(expected, ["compare", .. other.Split(' '), "--resume", results]);
        Assert.Equal(0, Run("compare", "DIGITS-softmax", "--resume", results, "--epochs", "1", "--seed", "0", "--start", "workload").Code);
    }

    /// <summary>Runs on two data sets are no comparison.</summary>
    [Fact]
    public void With_other_data_or_another_target_it_does_not_continue()
    {
        using var folder = new TemporaryFolder();
        string csv = CsvFile.Write(folder.Path, CsvFile.Houses()),
            parts = folder.File("parts"),
            saved = Path.Combine(parts, "comparison.json");
        string[] line = ["compare", "--csv", csv, "--target", "price", "--optimizers", "sgd", "--seeds", "1", "--epochs", "2"];
        Assert.Equal(0, Run([.. line, "--threads", "1", "--out", parts]).Code);
        string before = File.ReadAllText(saved);
        CsvFile.Write(folder.Path, CsvFile.Houses(seed: 1));
        AssertRefused("was started with other data of houses (fingerprint ", "compare", "--resume", parts);
        Assert.Equal(before, File.ReadAllText(saved));

        CsvFile.Write(folder.Path, CsvFile.Houses());
        var other = JsonNode.Parse(before)!;
        other["subjects"]![0]!["value"] = 77;
        File.WriteAllText(saved, other.ToJsonString());
        AssertRefused(
            "was started with the target held-out loss 77 on houses, which is now held-out loss 0.",
            "compare",
            "--resume",
            parts
        );

        File.WriteAllText(saved, before);
        Assert.Equal(0, Run("compare", "--resume", parts).Code);
        other["subjects"] = null; // earlier versions did not write it
        Assert.Empty(Amari.Reporting.ComparisonFile.Parse(other.ToJsonString(), saved).Subjects);
    }

    [Fact]
    public void A_folder_with_nothing_to_continue_is_refused_unchanged()
    {
        using var folder = new TemporaryFolder();
        string nowhere = folder.File("nowhere"),
            empty = folder.File("empty");
        Directory.CreateDirectory(empty);
        AssertRefused($"'{nowhere}' holds no comparison to continue", "compare", "--resume", nowhere);
        AssertRefused($"'{empty}' holds no comparison to continue", "compare", "--resume", empty);
        AssertRefused($"'{nowhere}' holds no checkpoint", "train", "--epochs", "1", "--checkpoint", nowhere, "--resume");
        AssertRefused($"'{empty}' holds no checkpoint", "train", "--epochs", "1", "--checkpoint", empty, "--resume");
        Assert.False(Directory.Exists(nowhere));
        Assert.Empty(Directory.EnumerateFileSystemEntries(empty));
    }

    [Theory]
    [InlineData("", "it is not JSON"), InlineData("{", "it is not JSON"), InlineData("[]", "it is an array; it must be an object")]
    [InlineData("{}", "arguments is missing; it must be an array")]
    [InlineData("""{"arguments": [null], "comparisons": []}""", "arguments[0] is null; it must be a text")]
    [InlineData("""{"arguments": []}""", "comparisons is missing; it must be an array")]
    [InlineData(
        """{"arguments": [], "comparisons": [null]}""",
        "a comparison cannot be read: its workload, target, budget, runs or trials are missing"
    )]
    [InlineData(
        """{"arguments": [], "comparisons": [{"Runs": 3}]}""",
        "a comparison cannot be read: The JSON value could not be converted"
    )]
    public void A_damaged_file_is_named(string content, string expected)
    {
        using var folder = new TemporaryFolder();
        string file = folder.File("comparison.json");
        File.WriteAllText(file, content);
        AssertRefused($"'{file}' is damaged: {expected}", "compare", "--resume", folder.Path);
        Assert.Equal(content, File.ReadAllText(file));
    }
}
