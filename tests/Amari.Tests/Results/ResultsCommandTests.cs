using System.Text.Json.Nodes;
using Amari.Benchmarks.Results;
using Amari.Tests.Architecture;

namespace Amari.Tests.Results;

public sealed class ResultsCommandTests : IDisposable
{
    private readonly string _root = Directory.CreateTempSubdirectory("amari-results-").FullName;
    private readonly StringWriter _output = new();
    private readonly List<string> _errors = [];

    public ResultsCommandTests()
    {
        Directory.CreateDirectory(Path.Combine(_root, "docs"));
        File.Copy(Path.Combine(SourceTests.Root, "docs", "results.md"), Path.Combine(_root, "docs", "results.md"));
    }

    public void Dispose() => Directory.Delete(_root, recursive: true);

    private string Page => File.ReadAllText(Path.Combine(_root, "docs", "results.md"));

    private int Run(IPartRunner runner, string line, CancellationToken stop = default) =>
        new ResultsCommand(_root, runner, _output).Run(
            line.Split(' ', StringSplitOptions.RemoveEmptyEntries),
            message =>
            {
                _errors.Add(message);
                return 2;
            },
            stop
        );

    private JsonNode Json(string id) => JsonNode.Parse(File.ReadAllText(Path.Combine(_root, "docs", "results", id + ".json")))!;

    [Fact]
    public void All_recipes_give_their_json_and_their_tables()
    {
        Assert.Equal(0, Run(new PlantedRunner(), "--jobs 2"));
        foreach (var recipe in RecipeCatalog.All())
        {
            string text = File.ReadAllText(Path.Combine(_root, "docs", "results", recipe.Id + ".json"));
            Assert.InRange(text.Length, 200, 100_000);
            Assert.False((bool)Json(recipe.Id)["trial"]!);
            Assert.DoesNotContain($"`{recipe.Id}` ({recipe.Title}) has not been run yet", Page, StringComparison.Ordinal);
        }
        Assert.Contains(
            "| autoencoder | 512 | defaults | 80.1 | 160 | 2 (1.9..2.1) | 1.7: **not met** | 150 | 60 | 80 |",
            Page,
            StringComparison.Ordinal
        );
        Assert.Contains("two-ranks: not run, no MPI is installed.", Page, StringComparison.Ordinal);
        Assert.Contains("2 faults, **1 losses**", Page, StringComparison.Ordinal);
        Assert.Contains("1 of 1 predicted times are within 25 %", Page, StringComparison.Ordinal);
    }

    [Fact]
    public void A_complete_recipe_is_skipped_unless_asked_again()
    {
        Run(new PlantedRunner(), "--only kfac");
        var second = new PlantedRunner();
        Assert.Equal(0, Run(second, "--only kfac"));
        Assert.Empty(second.Lines);
        Run(second, "--only kfac --again");
        Assert.Single(second.Lines);
    }

    [Fact]
    public void An_interrupted_comparison_continues_and_finished_parts_stay()
    {
        using var stop = new CancellationTokenSource();
        var first = new PlantedRunner
        {
            Ends = line =>
            {
                if (!line.Contains("linear --warmup 0.05", StringComparison.Ordinal))
                    return true;
                stop.Cancel();
                return false;
            },
        };
        Assert.Equal(1, Run(first, "--only schedules --jobs 1", stop.Token));
        Assert.False(File.Exists(Path.Combine(_root, "docs", "results", "schedules.json")));

        var second = new PlantedRunner();
        Assert.Equal(0, Run(second, "--only schedules --jobs 1"));
        string folder = Path.Combine(_root, "artifacts", "results", "schedules", "linear-0.05");
        Assert.Equal(3, second.Lines.Count);
        Assert.Contains($"compare --resume {folder}", second.Lines);
        Assert.Equal(6, Json("schedules")["parts"]!.AsArray().Count);
    }

    [Fact]
    public void A_part_that_fails_is_reported_and_others_go_on()
    {
        var runner = new PlantedRunner { Ends = line => !line.StartsWith("kfac", StringComparison.Ordinal) };
        Assert.Equal(1, Run(runner, "--only kfac,curvature"));
        Assert.Contains("kfac FAILED with exit code 1", _output.ToString(), StringComparison.Ordinal);
        Assert.Contains("planted output", _output.ToString(), StringComparison.Ordinal);
        Assert.NotNull(Json("curvature"));
    }

    [Fact]
    public void Json_of_other_sizes_is_not_complete()
    {
        Run(new PlantedRunner(), "--only kfac");
        string file = Path.Combine(_root, "docs", "results", "kfac.json");
        File.WriteAllText(file, File.ReadAllText(file).Replace("--rounds 5", "--rounds 4", StringComparison.Ordinal));
        File.WriteAllText(Path.Combine(_root, "artifacts", "results", "kfac", "kfac.command"), "benchmarks kfac --rounds 4");
        var runner = new PlantedRunner();
        Run(runner, "--only kfac");
        Assert.Single(runner.Lines);
    }

    [Fact]
    public void Tables_can_be_written_without_running()
    {
        Run(new PlantedRunner(), "--only curvature");
        string page = Page;
        File.Copy(Path.Combine(SourceTests.Root, "docs", "results.md"), Path.Combine(_root, "docs", "results.md"), overwrite: true);
        var runner = new PlantedRunner();
        Assert.Equal(0, Run(runner, "--write-only"));
        Assert.Empty(runner.Lines);
        Assert.Equal(page, Page);
    }

    [Fact]
    public void A_trial_is_marked_and_stays_out_of_the_results()
    {
        string other = Path.Combine(_root, "trial"),
            published = Path.Combine(_root, "docs", "results");
        Assert.Equal(0, Run(new PlantedRunner(), $"--only kfac --scale 0.02 --out {other}"));
        Assert.True((bool)JsonNode.Parse(File.ReadAllText(Path.Combine(other, "kfac.json")))!["trial"]!);
        Assert.Contains("its numbers say nothing", File.ReadAllText(other + ".md"), StringComparison.Ordinal);
        Assert.Equal(2, Run(new PlantedRunner(), "--scale 0.02"));
        Assert.Equal(2, Run(new PlantedRunner(), $"--scale 0.02 --out {published}"));
        Assert.False(Directory.Exists(published));
    }

    [Fact]
    public void The_list_has_every_recipe_and_the_time()
    {
        Assert.Equal(0, Run(new PlantedRunner(), "--list --jobs 2"));
        Assert.All(RecipeCatalog.All(), r => Assert.Contains(r.Id, _output.ToString(), StringComparison.Ordinal));
        Assert.Contains("with --jobs 2", _output.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("--only nope", "'nope'; the recipes are tuned-autoencoder")]
    [InlineData("--only", "--only has no value")]
    [InlineData("--jobs 0", "--jobs is '0'; it must be an integer from 1 to 256.")]
    [InlineData("--scale 2 --out x", "--scale is '2'; it must be above 0 and at most 1.")]
    [InlineData("--all", "There is no option --all")]
    public void A_bad_argument_gives_one_sentence(string line, string message)
    {
        Assert.Equal(2, Run(new PlantedRunner(), line));
        Assert.Contains(message, Assert.Single(_errors), StringComparison.Ordinal);
    }
}
