using System.Text.Json.Nodes;
using Amari.Benchmarks.Results;

namespace Amari.Tests.Results;

public sealed class CompactJsonTests
{
    [Fact]
    public void Numbers_have_five_digits_and_arrays_one_line()
    {
        var json = CompactJson.Rounded(JsonNode.Parse("""{"a": [1.23456789, 2e-9, null], "b": 1234567, "c": ["x"]}"""))!;
        string text = CompactJson.Text(json);
        Assert.Contains("\"a\": [1.2346, 2E-09, null]", text, StringComparison.Ordinal);
        Assert.Contains("\"b\": 1234567", text, StringComparison.Ordinal);
        Assert.Equal("x", (string)JsonNode.Parse(text)!["c"]![0]!);
    }

    [Fact]
    public void What_is_not_finite_is_null() => Assert.Null(CompactJson.Of(double.NaN));
}
