using Amari.Benchmarks.Results;

namespace Amari.Tests.Results;

public sealed class GeneratedBlocksTests
{
    [Fact]
    public void Only_the_content_of_a_block_changes()
    {
        const string page = "before\n<!-- generated: a -->\nold\n<!-- end of a -->\nafter\n";
        string once = GeneratedBlocks.Replace(page, new Dictionary<string, string> { ["a"] = "new" });
        Assert.Equal("before\n<!-- generated: a -->\n\nnew\n\n<!-- end of a -->\nafter\n", once);
        Assert.Equal(once, GeneratedBlocks.Replace(once, new Dictionary<string, string> { ["a"] = "new" }));
    }

    [Fact]
    public void A_missing_place_is_named() =>
        Assert.Contains(
            "'b'",
            Assert.Throws<InvalidDataException>(() => GeneratedBlocks.Replace("", new Dictionary<string, string> { ["b"] = "" })).Message,
            StringComparison.Ordinal
        );
}
