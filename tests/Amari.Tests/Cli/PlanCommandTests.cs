using System.Text.Json.Nodes;
using Amari.Tests.Training;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>amari plan</c> as its user meets it.</summary>
public sealed class PlanCommandTests
{
    [Fact]
    public void It_leaves_a_table_a_figure_and_the_numbers_and_says_what_cannot_train()
    {
        using var folder = new TemporaryFolder();
        string result = folder.File("o");
        var (code, output, error) = Run("plan", "digits-softmax", "--optimizers", "adamw,kfac,newton", "--calibration", "10ms", "--out", result);
        Assert.Equal((0, ""), (code, error));
        var rows = JsonNode.Parse(File.ReadAllText(Path.Combine(result, "result.json")))!["optimizers"]!.AsArray();
        Assert.Equal(["adamw", "kfac", "newton"], rows.Select(r => (string)r!["optimizer"]!));
        Assert.Equal(650 * 8, (long)rows[0]!["stateBytes"]!);
        Assert.All(rows, r => Assert.True((double)r!["millisecondsPerStep"]! > 0));
        Assert.Contains("adamw", output, StringComparison.Ordinal);
        Assert.Equal("PNG"u8, File.ReadAllBytes(Path.Combine(result, "plan.png")).AsSpan(1, 3));
        Assert.Contains("<svg", File.ReadAllText(Path.Combine(result, "plan.svg")), StringComparison.Ordinal);
        Assert.Equal(2, Run("plan", "digits-softmax", "--out", result).Code);        // it holds results already
    }
}
