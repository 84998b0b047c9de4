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
        var (code, output, error) = Run("plan", "digits-softmax", "--optimizers", "adamw,kfac,newton", "--steps", "8", "--out", result);
        Assert.Equal((0, ""), (code, error));
        var rows = JsonNode.Parse(File.ReadAllText(Path.Combine(result, "result.json")))!["optimizers"]!.AsArray();
        Assert.Equal(["adamw", "kfac", "newton"], rows.Select(r => (string)r!["optimizer"]!));
        Assert.Equal(650 * 8, (long)rows[0]!["stateBytes"]!);
        Assert.All(rows, r => Assert.True((double)r!["millisecondsPerStep"]! > 0 && (double)r["cpuMillisecondsPerStep"]! >= 0));
        foreach (var q in rows.Select(r => r!["quartiles"]!).Concat(rows[1]!["kinds"]!.AsArray().Select(k => k!["milliseconds"]!)))
            Assert.True(
                (double)q["min"]! <= (double)q["lower"]!
                    && (double)q["lower"]! <= (double)q["median"]!
                    && (double)q["median"]! <= (double)q["upper"]!
                    && (double)q["upper"]! <= (double)q["max"]!
            );
        Assert.Equal([1, 20], rows[1]!["kinds"]!.AsArray().Select(k => (int)k!["interval"]!));
        foreach (string kind in (string[])["without refresh", "every 20 steps"])
            Assert.Contains(kind, output, StringComparison.Ordinal);
        Assert.All(output.Split('\n'), line => Assert.True(line.Length <= 80, line));
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
        var (code, _, error) = Run("plan", "digits-softmax", "--steps", "1", "--out", folder.File("o"), "--json", json);
        Assert.Equal((0, ""), (code, error));
        var rows = JsonNode.Parse(File.ReadAllText(json))!["optimizers"]!.AsArray();
        Assert.Equal(OptimizerCatalog.All.Select(o => o.Name), rows.Select(r => (string)r!["optimizer"]!));
        var (timed, refused) = (rows.Where(r => r!["refused"] is null).ToList(), rows.Where(r => r!["refused"] is not null));
        Assert.Equal(["levenberg-marquardt", "gauss-newton"], refused.Select(r => (string)r!["optimizer"]!)); // of labels
        Assert.All(refused, r => Assert.Contains("is not a sum of squared residuals", (string)r!["refused"]!, StringComparison.Ordinal));
        Assert.All(
            timed,
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
            "--steps",
            "1",
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

    /// <summary>By default the steps are counted; the time only limits them, and says so.</summary>
    [Fact]
    public void Steps_and_the_time_limit_change_the_timed_steps()
    {
        using var folder = new TemporaryFolder();
        var (few, _) = Timed("--steps", "3");
        var (many, complete) = Timed("--steps", "21");
        var (limited, stopped) = Timed("--steps", "100000", "--calibration", "1ms");
        Assert.Equal((3, 3, false), few);
        Assert.Equal((21, 21, false), many);
        Assert.Equal((100_000, true), (limited.Planned, limited.Preliminary));
        Assert.InRange(limited.Timed, 1, 99_999);
        Assert.DoesNotContain("Less reliable", complete, StringComparison.Ordinal);
        Assert.Contains(
            $"reached its time limit (--calibration) or was stopped: sgd ({limited.Timed} of 100000 steps).",
            stopped,
            StringComparison.Ordinal
        );

        ((int Timed, int Planned, bool Preliminary), string Output) Timed(params string[] args)
        {
            string json = folder.File("plan.json");
            string[] line = ["plan", "digits-softmax", "--optimizers", "sgd", "--overwrite", "--out", folder.File("o"), "--json", json];
            var (code, output, error) = Run([.. line, .. args]);
            Assert.Equal((0, ""), (code, error));
            var row = JsonNode.Parse(File.ReadAllText(json))!["optimizers"]![0]!;
            var numbers = ((int)row["timedSteps"]!, (int)row["plannedSteps"]!, (bool)row["preliminary"]!);
            return (numbers, Regex.Replace(output, @"\s+", " "));
        }
    }
}
