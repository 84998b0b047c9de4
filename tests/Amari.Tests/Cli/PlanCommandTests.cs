using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Amari.Tests.Training;
using Amari.Training;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>amari plan</c> as its user meets it.</summary>
public sealed class PlanCommandTests
{
    [Fact]
    public void It_writes_table_figure_and_numbers_and_lists_what_cannot_train()
    {
        using var folder = new TemporaryFolder();
        string result = folder.File("o");
        var (code, output, error) = Run(
            "plan",
            "digits-softmax",
            "--optimizers",
            "adamw,kfac,newton",
            "--calibration",
            "10ms",
            "--out",
            result
        );
        Assert.Equal((0, ""), (code, error));
        var rows = JsonNode.Parse(File.ReadAllText(Path.Combine(result, "result.json")))!["optimizers"]!.AsArray();
        Assert.Equal(["adamw", "kfac", "newton"], rows.Select(r => (string)r!["optimizer"]!));
        Assert.Equal(650 * 8, (long)rows[0]!["stateBytes"]!);
        Assert.All(rows, r => Assert.True((double)r!["millisecondsPerStep"]! > 0));
        Assert.Contains("adamw", output, StringComparison.Ordinal);
        Assert.Equal("PNG"u8, File.ReadAllBytes(Path.Combine(result, "plan.png")).AsSpan(1, 3));
        Assert.Contains("<svg", File.ReadAllText(Path.Combine(result, "plan.svg")), StringComparison.Ordinal);
        Assert.Equal(2, Run("plan", "digits-softmax", "--out", result).Code); // it holds results already
    }

    [Fact]
    public void Every_optimizer_has_a_row()
    {
        using var folder = new TemporaryFolder();
        string json = folder.File("plan.json");
        var (code, _, error) = Run("plan", "digits-softmax", "--calibration", "1ms", "--out", folder.File("o"), "--json", json);
        Assert.Equal((0, ""), (code, error));
        var rows = JsonNode.Parse(File.ReadAllText(json))!["optimizers"]!.AsArray();
        Assert.Equal(OptimizerCatalog.All.Select(o => o.Name), rows.Select(r => (string)r!["optimizer"]!));
        Assert.All(
            rows,
            r =>
                Assert.True(
                    (int)r!["timedSteps"]! >= 1
                        && (double)r["millisecondsPerStep"]! > 0
                        && (long)r["fromStep"]! == (((string)r["optimizer"]!).Contains("kfac", StringComparison.Ordinal) ? 41 : 1)
                )
        ); // K-FAC's intervals grow until then
    }

    [Fact]
    public void One_that_refuses_the_model_has_a_row_and_its_reason()
    {
        using var folder = new TemporaryFolder();
        string json = folder.File("plan.json");
        var (code, output, error) = Run(
            "plan",
            "digits-mlp",
            "--optimizers",
            "newton,adamw",
            "--calibration",
            "1ms",
            "--out",
            folder.File("o"),
            "--json",
            json
        );
        Assert.Equal((0, ""), (code, error));
        var row = JsonNode.Parse(File.ReadAllText(json))!["optimizers"]![0]!;
        Assert.Contains("MaxDenseBytes", (string?)row["refused"], StringComparison.Ordinal);
        Assert.True(row["millisecondsPerStep"] is null && row["stateBytes"] is null && row["fromStep"] is null);
        Assert.Matches("newton +│ refused", output);
        Assert.Contains(
            "newton: Newton forms a dense matrix: 17,226 parameters need 3.3 GiB",
            Regex.Replace(output, @"\s+", " "),
            StringComparison.Ordinal
        );
    }
}
