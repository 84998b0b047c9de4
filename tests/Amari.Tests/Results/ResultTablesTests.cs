using Amari.Benchmarks.Results;
using Amari.Benchmarks.Results.Tables;
using Amari.Tests.Architecture;

namespace Amari.Tests.Results;

public sealed class ResultTablesTests
{
    private static readonly string Docs = Path.Combine(SourceTests.Root, "docs");
    private static readonly Workspace Published = new(Path.Combine(Docs, "none"), Path.Combine(Docs, "results"));

    [Fact]
    public void The_page_has_the_tables_of_the_committed_json()
    {
        string page = File.ReadAllText(Path.Combine(Docs, "results.md"));
        Assert.Equal(GeneratedBlocks.Replace(page, ResultTables.Of(RecipeCatalog.All(), Published)), page);
    }

    [Fact]
    public void Committed_results_are_no_trials_and_small() =>
        Assert.All(
            RecipeCatalog.All().Select(Published.Read).OfType<System.Text.Json.Nodes.JsonObject>(),
            json =>
            {
                Assert.False((bool)json["trial"]!);
                Assert.InRange(CompactJson.Text(json).Length, 1, 100_000);
            }
        );
}
