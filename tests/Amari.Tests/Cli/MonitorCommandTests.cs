using System.Text.Json.Nodes;
using Amari.Tests.Training;
using Amari.Training;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>--monitor</c> as its user meets it.</summary>
public sealed class MonitorCommandTests
{
    [Fact]
    public void Compare_leaves_rows_lines_and_figures()
    {
        using var folder = new TemporaryFolder();
        string result = folder.File("o");
        var (code, output, error) = Run(
            "compare",
            "digits-mlp",
            "--optimizers",
            "sgd,kfac",
            "--epochs",
            "2",
            "--seeds",
            "1",
            "--monitor",
            "all",
            "--monitor-share",
            "50%",
            "--monitor-examples",
            "64",
            "--out",
            result
        );
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("50 % requested", System.Text.RegularExpressions.Regex.Replace(output, "\\s+", " "), StringComparison.Ordinal);
        var lines = File.ReadAllLines(Path.Combine(result, "monitor.jsonl")).Select(l => JsonNode.Parse(l)!).ToList();
        var runs = JsonNode.Parse(File.ReadAllText(Path.Combine(result, "result.json")))!["runs"]!.AsArray();
        foreach (var run in runs)
        {
            string optimizer = (string)run!["optimizer"]!;
            var rows = run["monitor"]!.AsArray();
            Assert.Equal(0, (long)rows[0]!["step"]!);
            Assert.Equal((long)run["steps"]!, (long)rows[^1]!["step"]!);
            Assert.Equal(0.5, (double)run["monitorCost"]!["askedShare"]!);
            foreach (
                string name in (string[])["step", "seconds", "learningRate", "sharpness", "sharpnessResidual", "eigenvalues", "noiseScale"]
            )
                Assert.All(rows, r => Assert.True(r!.AsObject().ContainsKey(name), name));
            Assert.Equal(optimizer == "sgd", rows[^1]!.AsObject().ContainsKey("stabilityBound"));
            Assert.Equal(optimizer == "sgd" ? "2(1+μ)/η" : null, (string?)run["stabilityBound"]);
            Assert.Equal(optimizer == "kfac", rows[^1]!.AsObject().ContainsKey("factors"));
            Assert.Equal(
                rows.Select(r => r!.ToJsonString()),
                lines
                    .Where(l => (string)l["optimizer"]! == optimizer)
                    .Select(l =>
                        new JsonObject(
                            l.AsObject()
                                .Where(p => p.Key is not ("optimizer" or "seed"))
                                .Select(p => KeyValuePair.Create(p.Key, p.Value?.DeepClone()))
                        ).ToJsonString()
                    )
            );
        }
        Assert.Contains("<svg", File.ReadAllText(Path.Combine(result, "monitor.svg")), StringComparison.Ordinal);
        Assert.Equal("PNG"u8, File.ReadAllBytes(Path.Combine(result, "monitor.png")).AsSpan(1, 3));
        string page = File.ReadAllText(Path.Combine(result, "report.html"));
        Assert.Contains("Curvature during training", page, StringComparison.Ordinal);
        Assert.Contains("the edge of stability", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Reports_of_a_second_order_method_are_in_the_lines()
    {
        using var folder = new TemporaryFolder();
        string result = folder.File("o");
        Assert.Equal(0, Run("train", "--optimizer", "hessian-free", "--epochs", "1", "--monitor", "kl", "--out", result).Code);
        var steps = File.ReadAllLines(Path.Combine(result, "monitor.jsonl"))
            .Select(l => JsonNode.Parse(l)!)
            .Where(l => l["report"] is not null)
            .ToList();
        Assert.Equal(11, steps.Count);
        Assert.All(
            steps,
            s =>
                Assert.True(
                    (int)s["report"]!["cgIterations"]! > 0
                        && s["report"]!["damping"] is not null
                        && s["report"]!["reductionRatio"] is not null
                )
        );
    }
}
