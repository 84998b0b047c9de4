using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Amari.Reporting;
using Amari.Tests.Training;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>amari compare</c> as its user meets it.</summary>
public sealed class CompareCommandTests
{
    [Fact]
    public void Compare_leaves_table_answer_json_figures_and_report()
    {
        using var folder = new TemporaryFolder();
        string json = Path.Combine(folder.Path, "result", "copy.json"),
            result = Path.Combine(folder.Path, "out");
        var (code, output, error) = Run(
            "compare",
            "digits-mlp",
            "--optimizers",
            "adamw,kfac",
            "--epochs",
            "3",
            "--seeds",
            "2",
            "--target",
            "loss=1e-3",
            "--json",
            json,
            "--out",
            result
        );
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("held-out", output, StringComparison.Ordinal);
        string answer = Regex.Replace(output, "\\s+", " ");
        Assert.Contains("No optimizer reached", answer, StringComparison.Ordinal);
        Assert.Contains("paired t tests over the seeds", answer, StringComparison.Ordinal);
        Assert.Contains("K-FAC's defaults and ranges were chosen on this workload", answer, StringComparison.Ordinal);

        var root = JsonNode.Parse(File.ReadAllText(json))!;
        Assert.Equal(File.ReadAllText(json), File.ReadAllText(Path.Combine(result, "result.json")));
        Assert.Equal("digits-mlp", (string?)root["workload"]);
        Assert.Equal("loss", (string?)root["target"]!["metric"]);
        var runs = root["runs"]!.AsArray();
        Assert.Equal(4, runs.Count);
        foreach (var run in runs)
        {
            foreach (
                string name in (string[])
                    [
                        "optimizer",
                        "options",
                        "seed",
                        "steps",
                        "seconds",
                        "losses",
                        "stepsToTarget",
                        "secondsToTarget",
                        "finalLoss",
                        "finalMetric",
                        "millisecondsPerStep",
                        "parameters",
                        "stateBytes",
                        "stateBytesPerParameter",
                        "coverage",
                    ]
            )
                Assert.True(run!.AsObject().ContainsKey(name), name);
            Assert.Null(run!["secondsToTarget"]);
            Assert.Equal(3, run["losses"]![0]!.AsArray().Count);
            Assert.Equal(6, run["coverage"]!.AsArray().Count);
        }
        Assert.Contains(runs, r => (string?)r!["coverage"]![0]!["block"] == "K-FAC Linear");

        foreach (string figure in (string[])["loss-seconds", "loss-steps"])
        {
            byte[] png = File.ReadAllBytes(Path.Combine(result, figure + ".png"));
            Assert.Equal("PNG"u8, png.AsSpan(1, 3));
            Assert.Equal(1590, System.Buffers.Binary.BinaryPrimitives.ReadInt32BigEndian(png.AsSpan(16)));
            Assert.Contains("<svg", File.ReadAllText(Path.Combine(result, figure + ".svg")), StringComparison.Ordinal);
        }
        string page = File.ReadAllText(Path.Combine(result, "report.html"));
        Assert.DoesNotMatch("<(script|link|img)[^>]+(src|href)=", page);
        Assert.Contains("figure('plot' + n", page, StringComparison.Ordinal);
        Assert.Contains("K-FAC Linear", page, StringComparison.Ordinal);

        Assert.Equal(2, Run("compare", "--epochs", "1", "--out", result).Code); // results are not overwritten unasked
    }

    [Fact]
    public void Compare_shows_the_state_bytes_of_each_parameter()
    {
        using var folder = new TemporaryFolder();
        string json = folder.File("result.json"),
            result = folder.File("o");
        (string Name, double Bytes)[] expected =
        [
            ("adamw", 8),
            ("adamw-bf16", 4),
            ("adamw-8bit", 2.125),
            ("lion", 4),
            ("lion-bf16", 2),
            ("lion-8bit", 1.0625),
        ];
        var (code, output, error) = Run(
            "compare",
            "digits-mlp",
            "--optimizers",
            string.Join(',', expected.Select(e => e.Name)),
            "--epochs",
            "1",
            "--seeds",
            "1",
            "--json",
            json,
            "--out",
            result
        );
        Assert.Equal((0, ""), (code, error));
        string page = File.ReadAllText(Path.Combine(result, "report.html"));
        Assert.Contains(">state,\n/param</th>", page, StringComparison.Ordinal);
        Assert.Contains("/param", output, StringComparison.Ordinal);
        foreach (var (run, (name, bytes)) in JsonNode.Parse(File.ReadAllText(json))!["runs"]!.AsArray().Zip(expected))
        {
            double shown = (double)run!["stateBytesPerParameter"]!;
            Assert.Equal((name, 17_226), ((string)run["optimizer"]!, (long)run["parameters"]!));
            Assert.Equal(bytes, shown, 0.01); // the last block of a tensor is not full
            Assert.Equal((double)(long)run["stateBytes"]! / 17_226, shown, 12);
            string cell = $"{Amari.Reporting.Number.Short(shown)} B";
            Assert.Matches($@"│ {Regex.Escape(name)} .*\n.*│ {Regex.Escape(cell)} *│", output);
            Assert.Matches($@"</span>{Regex.Escape(name)}</th>((?!</tr>)[\s\S])*\n{Regex.Escape(cell)}</td></tr>", page);
        }
    }
}
