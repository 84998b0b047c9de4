using System.Text;
using System.Text.RegularExpressions;

namespace Amari.Reporting;

/// <summary>Text for a terminal: its lines are wrapped between words, so that the terminal does not break them within one.</summary>
internal static partial class ConsoleText
{
    private const int MinText = 20; // columns next to what is indented

    /// <summary>The columns of the terminal that a command prints to; the largest number where that is none.</summary>
    public static int WidthOf(TextWriter output) =>
        Report.ConsoleOf(output).Profile is { Out.IsTerminal: true } profile ? profile.Width : int.MaxValue;

    /// <summary>Wraps lines that are wider. What follows is indented as the last column of the line: below the text after the last gap of
    /// two spaces or more, or two columns further than the line without one.</summary>
    public static string Wrap(string text, int width)
    {
        string[] lines = text.ReplaceLineEndings("\n").Split('\n');
        return string.Join(Environment.NewLine, lines.SelectMany(line => line.Length <= width ? [line] : Wrapped(line, width)));
    }

    private static IEnumerable<string> Wrapped(string line, int width)
    {
        int start = line.Length - line.TrimStart().Length,
            column = Gaps().Matches(line) is [.., var gap] ? gap.Index + gap.Length : start + 2;
        string indent = new(' ', column <= width - MinText ? column : Math.Min(start + 2, width / 2));
        var current = new StringBuilder(line[..start]);
        bool isEmpty = true;
        foreach (Match word in Words().Matches(line[start..]))
        {
            string between = isEmpty ? "" : word.Groups["gap"].Value;
            if (!isEmpty && current.Length + between.Length + word.Groups["word"].Length > width)
            {
                yield return current.ToString();
                current.Clear().Append(indent);
                between = "";
            }
            current.Append(between).Append(word.Groups["word"].Value);
            isEmpty = false;
        }
        yield return current.ToString();
    }

    [GeneratedRegex(@"(?<=\S) {2,}(?=\S)")]
    private static partial Regex Gaps();

    [GeneratedRegex(@"(?<gap>\s*)(?<word>\S+)")]
    private static partial Regex Words();
}
