using System.Text.Json.Nodes;
using Amari.Tests.Training;
using Amari.Tests.Workloads;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>--set</c> with settings of a workload.</summary>
public sealed class TrainCommandSettingsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly string[] _mine;

    public TrainCommandSettingsTests() =>
        _mine = ["--assembly", EmittedWorkloads.WriteDerived(_folder.Path, "adjustable", typeof(AdjustableWorkload)), "--threads", "1"];

    private string[] Train(params string[] more) => ["train", .. _mine, "--optimizer", "sgd", "--epochs", "1", .. more];

    private static JsonNode Json(string folder) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "result.json")))!;

    [Fact]
    public void Pairs_go_to_the_workload_and_the_optimizer()
    {
        string result = _folder.File("o");
        Assert.Equal(0, Run(Train("--set", "StartSlope=0.25", "--set", "lr=1e-3", "--set", "momentum=0", "--out", result)).Code);
        var json = Json(result);
        Assert.Empty(ResultSchema.Faults(json));
        Assert.Equal((0.25, 8), ((double)json["workloadSettings"]!["start-slope"]!, (int)json["workloadSettings"]!["rows"]!));
        Assert.Equal(0.75, (double)json["runs"]![0]!["heldOut"]![0]![3]!, 1e-6);
        Assert.Equal(1e-3, (double)json["runs"]![0]!["options"]!["LearningRate"]!);
        Assert.Equal(0, Run("report", result, "--out", _folder.File("r")).Code);
    }

    [Fact]
    public void Wrong_names_and_values_are_refused()
    {
        AssertRefused("There is no option 'nonsense' for Sgd; there are LearningRate", Train("--set", "nonsense=1"));
        AssertRefused("Nor is it a setting of adjustable; there are start-slope, rows.", Train("--set", "nonsense=1"));
        AssertRefused("rows is 'x'; it must be an integer.", Train("--set", "rows=x"));
        AssertRefused("--set is 'rows'; it must be NAME=VALUE.", Train("--set", "rows"));
        foreach (string command in (string[])["compare", "spectrum", "landscape", "plan", "verify"])
            AssertRefused(
                "There is no setting 'lr' for adjustable; there are start-slope, rows.",
                [command, .. _mine[..2], "--set", "lr=1"]
            );
    }

    [Fact]
    public void A_setting_given_twice_is_refused()
    {
        AssertRefused("--set has rows=6 and rows=7; give each name once.", Train("--set", "rows=6", "--set", "rows=7"));
        AssertRefused("--set has StartSlope=1 and start-slope=2; give", Train("--set", "StartSlope=1", "--set", "start-slope=2"));
        AssertRefused("--set has lr=1 and LearningRate=1; give", Train("--set", "lr=1", "--set", "LearningRate=1"));
        AssertRefused("The learning rate has --lr 1 and --set lr=2; give it once.", Train("--lr", "1", "--set", "lr=2"));
        AssertRefused("--set has rows=6 and rows=6", ["compare", .. _mine, "--set", "rows=6", "--set", "rows=6"]);
    }

    [Fact]
    public void Checkpoints_of_other_settings_are_refused()
    {
        string saved = _folder.File("saved");
        Assert.Equal(0, Run(Train("--set", "rows=6", "--checkpoint", saved, "--out", _folder.File("a"))).Code);
        string[] resumed = Train("--checkpoint", saved, "--resume", "--out", _folder.File("b"));
        AssertRefused("The checkpoint has rows 6, but this run has 8: it cannot continue.", resumed);
        Assert.Equal(0, Run([.. resumed, "--set", "rows=6"]).Code);
    }

    [Fact]
    public void A_comparison_continues_with_its_settings()
    {
        string result = _folder.File("c");
        string[] compare = ["compare", .. _mine, "--optimizers", "sgd,adamw", "--seeds", "1", "--epochs", "1"];
        Assert.Equal(0, Run([.. compare, "--set", "rows=6", "--out", result]).Code);
        Assert.Equal(6, (int)Json(result)["workloadSettings"]!["rows"]!);
        AssertRefused("was started with rows 6, but this command has rows 7", "compare", "--resume", result, "--set", "rows=7");
        Assert.Equal(0, Run("compare", "--resume", result, "--set", "rows=6").Code);
        Assert.Equal(0, Run("compare", "--resume", result).Code);
        Assert.Equal(6, (int)Json(result)["workloadSettings"]!["rows"]!);
    }

    [Fact]
    public void Results_of_other_settings_are_not_overlaid()
    {
        string[] results = [_folder.File("6"), _folder.File("7")];
        foreach (string result in results)
            Assert.Equal(0, Run(Train("--set", $"rows={Path.GetFileName(result)}", "--out", result)).Code);
        Assert.Equal(0, Run(["report", .. results, "--out", _folder.File("r")]).Code);
        Assert.Equal(2, JsonNode.Parse(File.ReadAllText(Path.Combine(_folder.File("r"), "report.json")))!["comparisons"]!.AsArray().Count);
    }

    public void Dispose() => _folder.Dispose();
}
