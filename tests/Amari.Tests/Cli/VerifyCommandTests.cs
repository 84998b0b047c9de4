using System.Text.Json.Nodes;
using Amari.Tests.Training;
using Amari.Tests.Workloads;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>amari verify</c> as its user meets it.</summary>
public sealed class VerifyCommandTests
{
    [Fact]
    public void Verify_shows_what_agrees_and_leaves_json()
    {
        using var folder = new TemporaryFolder();
        string json = folder.File("verify.json"),
            result = folder.File("o");
        var (code, output, error) = Run("verify", "digits-conv", "--examples", "3", "--seed", "2", "--json", json, "--out", result);
        Assert.Equal((0, ""), (code, error));
        Assert.Matches("conv1.weight +\\[16, 1, 3, 3\\]", output);
        Assert.Contains("checks agree", output, StringComparison.Ordinal);
        Assert.Contains("Approximations by design", File.ReadAllText(Path.Combine(result, "verification.txt")), StringComparison.Ordinal);
        Assert.Equal(File.ReadAllText(json), File.ReadAllText(Path.Combine(result, "result.json")));
        var root = JsonNode.Parse(File.ReadAllText(json))!;
        Assert.Equal(3, (int)root["examples"]!);
        foreach (var check in root["checks"]!.AsArray())
        {
            Assert.True((bool)check!["passed"]!, check.ToJsonString());
            Assert.True((double)check["relativeError"]! < 1, check.ToJsonString());
            Assert.NotEqual("", (string?)check["parameter"]);
        }
        Assert.Contains(root["checks"]!.AsArray(), c => (string?)c!["name"] == "k-fac step" && (string?)c["parameter"] == "fc.bias");
        Assert.Equal(6, root["coverage"]!.AsArray().Count);
        Assert.Equal(2, Run("verify", "--out", result).Code); // results are not overwritten unasked
    }

    [Fact]
    public void Verify_fails_for_a_faulty_model_of_ones_own()
    {
        using var folder = new TemporaryFolder();
        string json = folder.File("verify.json");
        string assembly = EmittedWorkloads.WriteDerived(folder.Path, "faulty", typeof(FaultyWorkload));
        var (code, output, _) = Run("verify", "--assembly", assembly, "--json", json, "--out", folder.File("o"));
        Assert.Equal(1, code);
        Assert.Contains("do not trust", output, StringComparison.Ordinal);
        Assert.Contains(
            JsonNode.Parse(File.ReadAllText(json))!["checks"]!.AsArray(),
            c => (string?)c!["name"] == "k-fac capture" && (bool?)c["passed"] == false && (string?)c["parameter"] == "first.weight"
        );
    }
}
