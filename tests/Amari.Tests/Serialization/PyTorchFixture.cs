using System.Text.Json;
using Amari.Native;
using Amari.Tests.Architecture;

namespace Amari.Tests.Serialization;

/// <summary>The files in <c>Fixtures/pytorch</c>, and the numbers that PyTorch wrote about them.</summary>
internal static class PyTorchFixture
{
    private static readonly Lazy<JsonDocument> Expected = new(() => JsonDocument.Parse(File.ReadAllText(PathOf("expected.json"))));

    public static string PathOf(string name) => Path.Combine(SourceTests.Root, "tests/Amari.Tests/Fixtures/pytorch", name);

    /// <summary>What is expected of a file.</summary>
    public static JsonElement Of(string name) => Expected.Value.RootElement.GetProperty(name);

    /// <summary>A tensor float64 of an entry. The caller disposes it.</summary>
    public static Tensor Read(JsonElement entry) =>
        tensor(
            [.. entry.GetProperty("data").EnumerateArray().Select(n => n.GetDouble())],
            [.. entry.GetProperty("shape").EnumerateArray().Select(n => n.GetInt64())]
        );

    /// <summary>All tensors are those of a file's entry, exactly.</summary>
    public static void AssertEqual(JsonElement expected, IReadOnlyDictionary<string, Tensor> actual)
    {
        Assert.Equal(expected.EnumerateObject().Select(e => e.Name).Order(), actual.Keys.Order());
        foreach (var entry in expected.EnumerateObject())
        {
            var tensor = actual[entry.Name];
            Assert.Equal(entry.Value.GetProperty("shape").EnumerateArray().Select(n => n.GetInt64()), tensor.shape);
            Assert.Equal(
                entry.Value.GetProperty("data").EnumerateArray().Select(n => n.GetDouble()),
                tensor.numel() == 0 ? [] : tensor.Elements<double>()
            );
        }
    }
}
