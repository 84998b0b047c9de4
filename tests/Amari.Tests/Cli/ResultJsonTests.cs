using System.Text.Json.Nodes;
using Amari.Cli.Commands;
using Amari.Reporting;
using Amari.Tests.Reporting;
using Amari.Tests.Training;
using Amari.Training;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary>What <c>result.json</c> holds, and how it is read.</summary>
public sealed class ResultJsonTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void It_has_its_provenance_and_so_has_the_page()
    {
        var before = DateTimeOffset.UtcNow.AddSeconds(-1);
        string[] line = ["train", "digits-softmax", "--optimizer", "sgd", "--epochs", "1", "--seed", "5", "--threads", "1", "--out"];
        Assert.Equal(0, Run([.. line, _folder.File("an o")]).Code);
        var json = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder.File("an o"), "result.json")))!;
        Assert.Equal(ResultJson.Schema, (int)json["schema"]!);
        Assert.Equal($"amari {string.Join(' ', line)} '{_folder.File("an o")}'", (string)json["commandLine"]!);
        Assert.InRange(DateTimeOffset.Parse((string)json["started"]!, null), before, DateTimeOffset.UtcNow);
        Assert.EndsWith("Z", (string)json["started"]!, StringComparison.Ordinal);
        Assert.Equal("[5]", json["seeds"]!.ToJsonString());
        Assert.Equal("[]", json["continued"]!.ToJsonString());
        Assert.Equal((1, 1), ((int)json["threads"]!, (int)json["ranks"]!));
        Assert.Equal((Environment.ProcessorCount, __version__), ((int)json["machine"]!["cores"]!, (string)json["machine"]!["libtorch"]!));
        Assert.Equal("0.1.0", (string)json["version"]!);
        string page = System.Net.WebUtility.HtmlDecode(File.ReadAllText(Path.Combine(_folder.File("an o"), "report.html")));
        string section = page[page.IndexOf("<h2>Machine</h2>", StringComparison.Ordinal)..];
        foreach (string name in (string[])["commandLine", "started", "version"])
            Assert.Contains((string)json[name]!, section, StringComparison.Ordinal);
        Assert.Contains((string)json["machine"]!["processor"]!, section, StringComparison.Ordinal);
        if (OperatingSystem.IsLinux())
            Assert.InRange((int)json["machine"]!["systemCores"]!, Environment.ProcessorCount, int.MaxValue);
        Assert.Contains(Machine.Current.CoresInWords, section, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("0.1.0+0b816b5", "0.1.0", "0b816b5"), InlineData("0.1.0", "0.1.0", null), InlineData("0.1.0+", "0.1.0", null)]
    [InlineData(null, "unknown", null)]
    public void The_commit_is_that_of_the_build(string? informational, string version, string? commit) =>
        Assert.Equal((version, commit), ProgramStart.Build(informational));

    [Fact]
    public void Options_have_their_types()
    {
        string[] line =
        [
            "train",
            "digits-softmax",
            "--optimizer",
            "sgd",
            "--epochs",
            "1",
            "--lr",
            "1e-5",
            "--set",
            "nesterov=true",
            "--set",
        ];
        Assert.Equal(0, Run([.. line, "momentum=0.5", "--out", _folder.File("o")]).Code);
        var run = JsonNode.Parse(File.ReadAllText(Path.Combine(_folder.File("o"), "result.json")))!["runs"]![0]!;
        Assert.Equal(
            (1e-5, 0.5, true),
            ((double)run["options"]!["LearningRate"]!, (double)run["options"]!["Momentum"]!, (bool)run["options"]!["Nesterov"]!)
        );
        var planted = AnswerTests.Make("kfac", 0, null, null, 0.5) with
        {
            Options = new Dictionary<string, string>
            {
                ["None"] = "none",
                ["Large"] = "9007199254740993",
                ["Text"] = "Broadcast",
                ["Infinite"] = "Infinity",
                ["Name.Of.Part"] = "False",
                ["Tiny"] = "1E-300",
            },
        };
        string json = ResultJson.Of([ResultSchemaTests.Planted(planted)]);
        Assert.Equal(
            """{"None":null,"Large":9007199254740993,"Text":"Broadcast","Infinite":"Infinity","Name.Of.Part":false,"Tiny":1E-300}""",
            JsonNode.Parse(json)!["runs"]![0]!["options"]!.ToJsonString()
        );
        Assert.Equal(planted.Options, ResultJson.Read(json).Comparisons[0].Runs[0].Options);
    }

    [Fact]
    public void Best_and_final_held_out_values_are_those_of_the_curve()
    {
        var run = AnswerTests.Make("kfac", 0, null, null, 0.5) with
        {
            HeldOut = [new(0, 0, 2, 0.1), new(10, 1, 0.25, 0.9), new(20, 2, 0.5, 0.8)],
            Rates = [new(0, 0, 0.1), new(10, 1, 0.1), new(20, 2, 0)],
        };
        string text = ResultJson.Of([ResultSchemaTests.Planted(run)]);
        var json = JsonNode.Parse(text)!["runs"]![0]!;
        Assert.Equal("""{"step":10,"seconds":1,"loss":0.25,"metric":0.9}""", json["bestHeldOut"]!.ToJsonString());
        Assert.Equal(0.5, (double)json["finalHeldOutLoss"]!);
        var read = ResultJson.Read(text).Comparisons[0].Runs[0];
        Assert.Equal(run.HeldOut, read.HeldOut);
        Assert.Equal(run.Rates, read.Rates);
    }

    public static TheoryData<string, string, string> Damage =>
        new()
        {
            { "\"schema\": 1", "\"schema\": 7", "it has schema 7; this version reads schema 1" },
            { "\"schema\": 1,", "", "it has no schema number" },
            { "\"schema\": 1", "\"schema\": \"1\"", "schema is '1'; it must be an integer" },
            { "\"runs\": [", "\"run\": [", "runs is missing; it must be an array" },
            { "\"seed\": 3,", "\"seed\": 3.5,", "runs[0].seed is 3.5; it must be an integer" },
            { "\"seed\": 3,", "\"seed\": 1e12,", "runs[0].seed is 1e12; it must be an integer" },
            { "\"status\": \"completed\"", "\"status\": \"fine\"", "runs[0].status is 'fine'; it must be one of completed, interrupted" },
            { "\"warmup\": 0.25", "\"warmup\": 3", "The warm-up is 3; it must be a share from 0 to 0.5" },
            { "\"epochs\": 2", "\"epochs\": 0", "number of epochs" },
            { "\"value\": 0.1", "\"value\": null", "target.value is null; it must be a number" },
            { "\"finalMetric\": 0.9", "\"finalMetric\": 1e999", "runs[0].finalMetric is 1e999; it must be a number or null" },
            { "\"cores\":", "\"kerne\":", "machine.cores is missing; it must be an integer" },
            { "{", "[{", "it is not JSON" },
            { "\"metric\": \"held-out loss\"", "\"metric\": \"foo\"", "target.metric is 'foo'; it must be one of loss, held-out loss, " },
            { "\"steps\": 1000", "\"steps\": -5", "runs[0].steps is -5; it must be an integer >= 0" },
            { "\"seconds\": 10,", "\"seconds\": -1,", "runs[0].seconds is -1; it must be a number >= 0" },
            { "\"losses\": [", "\"losses\": [], \"lost\": [", "runs[0].losses is empty; only a run that failed may have no loss" },
            { "\"losses\": [", "\"losses\": [[5, 9, 1], ", "runs[0].losses[1] has step 0 and 0 s after step 5 and 9 s" },
            { "\"cells\"", "\"cells\", \"more\"", "runs[0].table.rows[0] has 2 cells; it must have 1, as the heads" },
        };

    [Theory, MemberData(nameof(Damage))]
    public void What_is_damaged_is_refused_with_its_place(string good, string bad, string expected)
    {
        var run = AnswerTests.Make("kfac", 3, null, null, 0.5) with
        {
            Schedule = new(ScheduleShape.Cosine) { Warmup = 0.25 },
            Table = new(
                "table",
                ["head"],
                [
                    ["cells"],
                ]
            ),
        };
        string text = ResultJson.Of([ResultSchemaTests.Planted(run)]);
        int at = text.IndexOf(good, StringComparison.Ordinal);
        Assert.True(at >= 0, good);
        text = text[..at] + bad + text[(at + good.Length)..];
        Assert.Contains(expected, Assert.Throws<InvalidDataException>(() => ResultJson.Read(text)).Message, StringComparison.Ordinal);
    }

    /// <summary>Whatever stands in a place, the result is read and can be written, or refused.</summary>
    [Fact]
    public void Any_other_value_in_any_place_is_read_or_refused()
    {
        var run = AnswerTests.Make("kfac", 3, 4, 100, 0.5) with
        {
            Options = new Dictionary<string, string> { ["Damping"] = "0.1" },
            HeldOut = [new(0, 0, 2, 0.1)],
            Rates = [new(0, 0, 0.1)],
            Best = new(400, 4, 0.25, 0.75),
            Plateau = new(2.3, 0, 1000, 1, true, 0.01),
            CurvatureChoice = new(0.1, 0.2, 3, 4, 5),
            Coverage = [new("w", "K-FAC", "linear")],
            Events = [new(7, "w", "skipped")],
            Monitor = new(MonitorQuantities.Kl, [new() { Step = 1, Seconds = 0.5 }], 0.05, 0.04, 0.2, 0.4, null),
        };
        string text = ResultJson.Of([ResultSchemaTests.Planted(run)]);
        int refused = 0,
            read = 0;
        foreach (string other in (string[])["null", "-1", "1e300", "\"x\"", "[]", "{}", "[0]", "true"])
        {
            int places = ResultSchemaTests.Objects(JsonNode.Parse(text)).Sum(o => o.Count);
            for (int place = 0; place < places; place++)
            {
                var json = JsonNode.Parse(text)!;
                var (at, name) = ResultSchemaTests.Objects(json).SelectMany(o => o.Select(p => (o, p.Key))).ElementAt(place);
                at[name] = JsonNode.Parse(other);
                try
                {
                    var (comparisons, partial) = ResultJson.Read(json.ToJsonString());
                    Assert.NotNull(ResultJson.Of(comparisons, partial));
                    read++;
                }
                catch (InvalidDataException e)
                {
                    Assert.DoesNotContain('\n', e.Message);
                    refused++;
                }
            }
        }
        Assert.True(read > 100 && refused > 500, $"{read} read, {refused} refused");
    }
}
