using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Amari.Tests.Training;
using Amari.Tests.Workloads;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>--csv data.csv --target price</c>.</summary>
public sealed class CsvCommandTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    /// <summary>The houses with every fifth number of rooms replaced.</summary>
    private static string Rooms(string value) =>
        string.Join(
            '\n',
            CsvFile
                .Houses()
                .Split('\n')
                .Select((l, i) => i % 5 != 1 ? l : string.Join(',', l.Split(',').Select((f, c) => c == 2 ? value : f)))
        );

    private string Houses(string? text = null) => CsvFile.Write(_folder.Path, text ?? CsvFile.Houses());

    private static string Page(string folder) => System.Net.WebUtility.HtmlDecode(File.ReadAllText(Path.Combine(folder, "report.html")));

    private static JsonNode Json(string folder) => JsonNode.Parse(File.ReadAllText(Path.Combine(folder, "result.json")))!;

    [Fact]
    public void Train_trains_on_a_file_without_code()
    {
        string result = _folder.File("out");
        var (code, output, _) = Run("train", "--csv", Houses(), "--target", "price", "--epochs", "2", "--out", result);
        Assert.Equal(0, code);
        Assert.Contains("regression 'price' of houses.csv: 60 rows", output);
        Assert.Equal("price", (string?)Json(result)["workloadSettings"]!["target"]);
        const string origin = "the held-out loss of a linear model (ridge regression)";
        Assert.Equal(origin, (string?)Json(result)["target"]!["origin"]);
        foreach (string text in (string[])[(string)Json(result)["answer"]!, Regex.Replace(output, @"\s+", " "), Page(result)])
            Assert.Contains($"The target is {origin}.", text, StringComparison.Ordinal);
    }

    [Fact]
    public void A_target_may_also_be_timed()
    {
        string[] train = ["train", "--csv", Houses(), "--target", "price", "--target", "mean absolute error=1e6", "--epochs", "1"];
        string result = _folder.File("out");
        Assert.Equal(0, Run([.. train, "--out", result]).Code);
        Assert.Equal((1e6, null), ((double?)Json(result)["target"]!["value"], (string?)Json(result)["target"]!["origin"]));
        AssertRefused("--target is given twice", [.. train, "--target", "town"]);
    }

    [Fact]
    public void A_comparison_continues_on_its_file()
    {
        string result = _folder.File("c");
        string file = Houses();
        string[] compare = ["compare", "--csv", file, "--target", "town", "--optimizers", "sgd,lion", "--seeds", "1", "--epochs", "1"];
        Assert.Equal(0, Run([.. compare, "--set", "hidden=4", "--out", result]).Code);
        Assert.Equal("4", Json(result)["workloadSettings"]!["hidden"]!.ToString());
        Assert.Equal(0, Run("compare", "--resume", result).Code);
        Assert.Equal(0, Run("compare", "--resume", result, "--csv", file, "--target", "town", "--set", "hidden=4").Code);
        AssertRefused(
            "was started with --target town, but this command has --target rooms",
            "compare",
            "--resume",
            result,
            "--target",
            "rooms"
        );
        AssertRefused("was started with hidden 4, but this command has hidden 5", "compare", "--resume", result, "--set", "hidden=5");
        AssertRefused("was started with --csv ", "compare", "--resume", result, "--csv", _folder.File("other.csv"));
    }

    [Fact]
    public void A_run_continues_and_reports_other_data()
    {
        string saved = _folder.File("saved");
        string[] train = ["train", "--csv", Houses(), "--target", "price", "--epochs", "1", "--checkpoint", saved];
        Assert.Equal(0, Run([.. train, "--out", _folder.File("a")]).Code);
        Houses(CsvFile.Houses(seed: 1));
        string result = _folder.File("b");
        Assert.Equal(0, Run([.. train, "--resume", "--out", result]).Code);
        Assert.Contains("data", Json(result)["runs"]![0]!["events"]!.ToJsonString());
        AssertRefused("The checkpoint has target price, but this run has rooms", [.. train, "--resume", "--set", "target=rooms"]);
    }

    [Theory]
    [InlineData("plan", "--steps", "1")]
    [InlineData("verify", "--examples", "2")]
    [InlineData("spectrum", "--train-steps", "0", "--top", "2", "--steps", "4", "--probes", "1")]
    [InlineData("landscape", "--train-steps", "0", "--grid", "5")]
    public void Other_commands_take_a_file_too(string command, params string[] options)
    {
        string[] own = command == "plan" ? ["--optimizers", "sgd"] : [];
        string[] line = [command, "--csv", Houses(), "--set", "hidden=3", .. options, .. own, "--out", _folder.File(command)];
        Assert.Equal(0, Run([.. line, "--target", "town"]).Code);
        AssertRefused("has no column 'loss=1'", [.. line, "--target", "loss=1", "--overwrite"]);
        AssertRefused("--target needs --csv FILE", command, "--target", "price");
    }

    [Fact]
    public void Bad_arguments_and_files_are_refused_and_write_nothing()
    {
        string file = Houses();
        string result = _folder.File("out");
        Refused("--csv needs --target COLUMN", "--csv", file);
        Refused("has no column 'prize'; it has 'price'", "--csv", file, "--target", "prize");
        Refused("--target is 'price'; it must be NAME=V", "--target", "price");
        Refused("Use --csv or the workload 'digits-mlp', not both.", "digits-mlp", "--csv", file, "--target", "price");
        Refused("Use --csv or --assembly, not both.", "--csv", file, "--target", "price", "--assembly", "x.dll");
        Refused("does not exist", "--csv", _folder.File("none.csv"), "--target", "price");
        Refused("is a folder", "--csv", _folder.Path, "--target", "price");
        Refused("--csv is ''; it must name a file.", "--csv", "", "--target", "price");
        Refused("There is no option --bogus for ", "--bogus", "--csv", file, "--target", "price");
        Refused(
            "leave the column out with --set ignore=rooms.",
            "--csv",
            CsvFile.Write(_folder.Path, Rooms("NA"), "na.csv"),
            "--target",
            "price"
        );
        Houses(CsvFile.Houses() + "\n\"50,Nice,2,9");
        Refused("row 62, column 'size': the quote is never closed.", "--csv", file, "--target", "price");
        Houses("");
        Refused("is empty", "--csv", file, "--target", "price");
        Assert.False(Directory.Exists(result));

        void Refused(string expected, params string[] arguments)
        {
            AssertRefused(expected, ["train", .. arguments, "--out", result]);
            AssertRefused(expected, ["compare", .. arguments, "--out", result]);
        }
    }
}
