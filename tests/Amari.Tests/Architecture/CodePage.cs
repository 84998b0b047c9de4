using System.Net;

namespace Amari.Tests.Architecture;

/// <summary>The C# of a page of the documentation, or of the examples in a source file.</summary>
/// <param name="File">Relative to the root.</param>
/// <param name="Blocks">In their order.</param>
internal sealed record CodePage(string File, IReadOnlyList<CodePage.Block> Blocks)
{
    private const string Fence = "```csharp",
        Context = "<!-- context",
        Example = "/// <example><code>",
        End = "/// </code></example>";

    /// <param name="Line">The number of its first line in the file, from 1.</param>
    /// <param name="IsContext">Whether it is the comment <c>&lt;!-- context</c>: members that the page's blocks assume, which readers
    /// do not see.</param>
    internal sealed record Block(int Line, string Text, bool IsContext);

    /// <summary>Blocks between fences, and contexts.</summary>
    public static CodePage OfMarkdown(string file) =>
        Read(
            file,
            line =>
                line == Fence ? "```"
                : line == Context ? "-->"
                : null,
            line => line
        );

    /// <summary>The examples of XML documentation.</summary>
    public static CodePage OfSource(string file) =>
        Read(
            file,
            line => line.Trim() == Example ? End : null,
            line => WebUtility.HtmlDecode(line.Trim().TrimStart('/')) is [' ', .. var text] ? text : ""
        );

    private static CodePage Read(string file, Func<string, string?> endOf, Func<string, string> textOf)
    {
        List<Block> blocks = [];
        string[] lines = System.IO.File.ReadAllLines(Path.Combine(SourceTests.Root, file));
        for (int i = 0; i < lines.Length; i++)
        {
            if (endOf(lines[i]) is not { } end)
                continue;
            int first = i + 1,
                last = Array.FindIndex(lines, first, l => l.Trim() == end);
            if (last < 0)
                throw new InvalidOperationException($"{file}:{first}: the block has no end.");
            blocks.Add(new(first + 1, string.Join('\n', lines[first..last].Select(textOf)), lines[i] == Context));
            i = last;
        }
        return new(Path.GetRelativePath(SourceTests.Root, Path.GetFullPath(file, SourceTests.Root)).Replace('\\', '/'), blocks);
    }
}
