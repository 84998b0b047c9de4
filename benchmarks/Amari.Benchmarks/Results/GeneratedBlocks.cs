namespace Amari.Benchmarks.Results;

/// <summary>The parts of a document between <c>&lt;!-- generated: NAME --&gt;</c> and <c>&lt;!-- end of NAME --&gt;</c>.</summary>
internal static class GeneratedBlocks
{
    /// <summary>The document with the content of each block replaced. What is between blocks stays as it is.</summary>
    /// <param name="document">The document.</param>
    /// <param name="blocks">The content of each block, by its name.</param>
    /// <exception cref="InvalidDataException">The document has no place for a block.</exception>
    public static string Replace(string document, IReadOnlyDictionary<string, string> blocks)
    {
        foreach (var (name, content) in blocks)
        {
            string begin = $"<!-- generated: {name} -->",
                end = $"<!-- end of {name} -->";
            int from = document.IndexOf(begin, StringComparison.Ordinal),
                to = document.IndexOf(end, StringComparison.Ordinal);
            if (from < 0 || to < from)
                throw new InvalidDataException($"The document has no place for '{name}': there is no '{begin}' with '{end}' after it.");
            document = $"{document[..(from + begin.Length)]}\n\n{content.Trim()}\n\n{document[to..]}";
        }
        return document;
    }
}
