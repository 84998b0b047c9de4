using System.Text.Json.Nodes;
using Amari.Tests.Training;
using Amari.Tests.Workloads;
using Amari.Training;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary>A workload whose model has no second derivative: the methods that need one are reported in a line, and the others go
/// on.</summary>
public sealed class OnceDifferentiableTests : IDisposable
{
    private const string Reason = "The operation EmbeddingBag has no second derivative";
    private readonly TemporaryFolder _folder = new();
    private readonly string _assembly;

    public OnceDifferentiableTests() => _assembly = EmittedWorkloads.WriteDerived(_folder.Path, "bags", typeof(OnceDifferentiableWorkload));

    public void Dispose() => _folder.Dispose();

    private (int Code, string Output, string Error, JsonNode? Json) Bag(string command, params string[] args)
    {
        string json = _folder.File("result.json");
        var (code, output, error) = Run([
            command,
            "--assembly",
            _assembly,
            "--threads",
            "1",
            "--out",
            _folder.File("o"),
            "--json",
            json,
            .. args,
        ]);
        return (
            code,
            string.Join(' ', output.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries)),
            error,
            File.Exists(json) ? JsonNode.Parse(File.ReadAllText(json)) : null
        );
    }

    [Fact]
    public void Plan_reports_who_cannot_and_plans_the_others()
    {
        var (code, output, error, json) = Bag("plan", "--optimizers", "newton-cg,adamw,hessian-free,adahessian,kfac", "--steps", "1");
        Assert.Equal((0, ""), (code, error));
        var rows = json!["optimizers"]!.AsArray().ToDictionary(r => (string)r!["optimizer"]!, r => (string?)r!["refused"]);
        foreach (string name in (string[])["newton-cg", "hessian-free", "adahessian"])
        {
            Assert.StartsWith(Reason, rows[name], StringComparison.Ordinal);
            Assert.Contains($"{name}: {Reason}", output, StringComparison.Ordinal);
        }
        Assert.Null(rows["adamw"]);
        Assert.Null(rows["kfac"]);
    }

    [Fact]
    public void Plan_in_which_nothing_can_run_has_failed() =>
        Assert.Equal(1, Bag("plan", "--optimizers", "newton-cg", "--steps", "1").Code);

    [Fact]
    public void Verify_checks_what_there_is()
    {
        var (code, output, error, json) = Bag("verify", "--examples", "4");
        Assert.Equal((1, ""), (code, error));
        Assert.Contains("Cannot be computed for this model: hessian product, gauss-newton product,", output, StringComparison.Ordinal);
        Assert.Contains(Reason, output, StringComparison.Ordinal);
        Assert.Contains("quantities that cannot be computed for this model are not verified", output, StringComparison.Ordinal);
        var checks = json!["checks"]!.AsArray();
        var missing = checks.Where(c => (string?)c!["outcome"] == "Unavailable").ToList();
        Assert.All(
            missing,
            c =>
                Assert.True(
                    ((string)c!["note"]!).StartsWith(Reason, StringComparison.Ordinal) && c["passed"] is null && c["relativeError"] is null
                )
        );
        Assert.DoesNotContain(checks, c => (string?)c!["outcome"] == "Failed");
        foreach (string name in (string[])["gradient", "likelihood score", "k-fac step"])
            Assert.Contains(checks, c => (string?)c!["name"] == name && (bool?)c["passed"] == true);
    }

    [Fact]
    public void Compare_reports_the_run_that_failed_and_trains_the_others()
    {
        var (code, _, error, json) = Bag("compare", "--optimizers", "newton-cg,sgd", "--seeds", "1", "--epochs", "2");
        Assert.Equal(0, code); // one completed
        Assert.Contains(Reason, Assert.Single(error.Trim().Split('\n')), StringComparison.Ordinal);
        var runs = json!["runs"]!.AsArray();
        Assert.Equal(["failed", "completed"], runs.Select(r => (string)r!["status"]!));
        Assert.Contains(Reason, (string)runs[0]!["failure"]!, StringComparison.Ordinal);
    }

    [Theory, InlineData("spectrum", "--top", "2"), InlineData("landscape", "--grid", "3")]
    public void Curvature_commands_end_with_a_sentence(string command, string option, string value)
    {
        var (code, _, error, _) = Bag(command, "--train-steps", "0", option, value);
        Assert.Equal(1, code);
        Assert.Contains(Reason, Assert.Single(error.Trim().Split('\n')), StringComparison.Ordinal);
    }

    /// <summary>Its target, a loss of 0, is never met: the default number of steps ends the training, and no clock.</summary>
    [Fact]
    public void Training_that_misses_the_target_ends_after_a_set_number_of_steps()
    {
        var (code, _, error, json) = Bag("landscape", "--plane", "random", "--grid", "3");
        Assert.Equal((0, ""), (code, error));
        Assert.Equal((1000, "trained with AdamW for 1000 steps"), ((int)json!["trainedSteps"]!, (string?)json["weights"]));
        var path = json["path"]!.AsArray().Select(p => (int)p!["step"]!).ToList();
        Assert.Equal(Enumerable.Range(0, 84).Select(i => 12 * i).Append(1000), path); // at most a hundred evaluations, of twelve steps
    }
}
