using Amari.Benchmarks.Results;
using Amari.Tests.Architecture;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Results;

public sealed class RecipeCatalogTests
{
    private const int Minutes = 100;

    [Fact]
    public void All_recipes_fit_into_100_minutes_of_two_cores()
    {
        var parts = RecipeCatalog.All().SelectMany(r => r.Parts.Select(p => new QueuedPart(r, p))).ToList();
        Assert.InRange(QueuedPart.Left(parts, jobs: 2), 20 * 60, 60 * Minutes);
    }

    [Fact]
    public void Names_are_unique_and_have_a_place_on_the_page()
    {
        var recipes = RecipeCatalog.All();
        Assert.Equal(recipes.Count, recipes.Select(r => r.Id).Distinct().Count());
        string page = File.ReadAllText(Path.Combine(SourceTests.Root, "docs", "results.md"));
        Assert.All(recipes, r => Assert.Contains($"<!-- generated: {r.Id} -->", page, StringComparison.Ordinal));
        Assert.All(recipes, r => Assert.Equal(r.Parts.Count, r.Parts.Select(p => p.Name).Distinct().Count()));
    }

    [Fact]
    public void Comparisons_name_workloads_and_optimizers_that_exist() =>
        Assert.All(
            RecipeCatalog.All().SelectMany(r => r.Parts).Where(p => p.Kind == PartKind.Comparison),
            p =>
            {
                Assert.Equal("compare", p.Arguments[0]);
                Assert.NotNull(WorkloadCatalog.Find(p.Arguments[1], null));
                Assert.All(p.Arguments[3].Split(','), o => Assert.NotNull(OptimizerCatalog.Find(o)));
                Assert.Equal("1", p.Arguments[p.Arguments.ToList().IndexOf("--threads") + 1]);
            }
        );

    [Fact]
    public void Tuned_comparisons_have_equal_trials_and_three_seeds() =>
        Assert.All(
            RecipeCatalog.All().Where(r => r.Id.StartsWith("tuned-", StringComparison.Ordinal)),
            r => Assert.Matches("--tune [68] --seeds 3 --budget", r.Commands[0])
        );

    [Fact]
    public void A_scale_changes_budgets_and_counts()
    {
        string[] Commands(double scale) => [.. RecipeCatalog.All(scale).SelectMany(r => r.Commands)];
        Assert.All(Commands(1).Zip(Commands(0.02)), pair => Assert.NotEqual(pair.First, pair.Second));
        Assert.Contains("benchmarks kfac --rounds 1", Commands(0.02));
    }
}
