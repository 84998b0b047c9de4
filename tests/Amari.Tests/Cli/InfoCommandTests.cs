using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Amari.Optimizers;
using Amari.Ranks;
using Amari.Tests.Training;
using Amari.Training;
using Amari.Workloads;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary><c>amari info</c> as its user meets it.</summary>
public sealed class InfoCommandTests
{
    [Fact]
    public void Info_shows_the_machine_and_no_command_shows_the_help()
    {
        using var folder = new TemporaryFolder();
        var (code, output, _) = Run(
            "info",
            "--out",
            folder.File("o"),
            "--json",
            folder.File("info.json"),
            "--threads",
            $"{Environment.ProcessorCount}",
            "--seed",
            "1"
        );
        Assert.Equal(0, code);
        Assert.Equal($"{Environment.ProcessorCount}", (string?)JsonNode.Parse(File.ReadAllText(folder.File("info.json")))!["threads"]);
        Assert.Equal(File.ReadAllText(folder.File("info.json")), File.ReadAllText(Path.Combine(folder.File("o"), "info.json")));
        foreach (
            string row in (string[])
                ["TorchSharp", "native library", "threads", "instruction sets", "kernels", "pride-and-prejudice", "fashion-mnist", "MPI"]
        )
            Assert.Contains(row, output, StringComparison.Ordinal);
        if (File.Exists("/proc/cpuinfo") && System.Runtime.Intrinsics.X86.X86Base.IsSupported) // what the system says of the processor
        {
            string flags = File.ReadLines("/proc/cpuinfo").First(l => l.StartsWith("flags", StringComparison.Ordinal)) + " ",
                sets = Regex.Match(output, "instruction sets +(.*)").Groups[1].Value + ",";
            foreach (
                var (flag, name) in (ReadOnlySpan<(string, string)>)
                    [
                        ("avx2", "AVX2"),
                        ("fma", "FMA"),
                        ("avx512f", "AVX-512"),
                        ("avx512_bf16", "AVX512-BF16"),
                        ("amx_bf16", "AMX-BF16"),
                        ("amx_int8", "AMX-INT8"),
                    ]
            )
                Assert.Equal(flags.Contains($" {flag} ", StringComparison.Ordinal), sets.Contains(name + ",", StringComparison.Ordinal));
        }
        Assert.Contains("compare", Run().Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Info_shows_the_settings_that_a_workload_gives_each_optimizer()
    {
        using var folder = new TemporaryFolder();
        var (code, output, _) = Run("info", "autoencoder", "--json", folder.File("info.json"));
        Assert.Equal(0, code);
        Assert.Matches("(?m)^adamw +LearningRate=1.7e-3 Beta1=0.91 Beta2=0.98 WeightDecay=0\r?$", output);
        Assert.Matches("(?m)^adamw-8bit +LearningRate=1.7e-3 Beta1=0.91 Beta2=0.98 WeightDecay=0 StateFormat=BlockwiseInt8\r?$", output);
        Assert.Matches("(?m)^schedulefree-sgd +Base=Sgd LearningRate=5e-2\r?$", output);
        Assert.Matches("(?m)^newton +its defaults\r?$", output);
        var settings = JsonNode.Parse(File.ReadAllText(folder.File("info.json")))!["settings"]!.AsObject();
        using var trainer = new Amari.Training.Trainer(new Amari.Workloads.Autoencoder(), null);
        Assert.Equal(Amari.Training.OptimizerCatalog.All.Select(o => o.Name), settings.Select(s => s.Key));
        foreach (var (name, options) in settings) // what a run without settings of its own takes
            Assert.Equal(
                Amari.Optimizers.Settings.Describe(trainer.Options(new(name, new Dictionary<string, string>()))),
                options!.AsObject().ToDictionary(o => o.Key, o => (string)o.Value!)
            );
        Assert.Equal(2, Run("info", "no-such").Code);
    }
}
