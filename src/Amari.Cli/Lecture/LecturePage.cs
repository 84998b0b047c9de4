using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Amari.Reporting;
using Markdig;
using Markdig.Extensions.AutoIdentifiers;
using Markdig.Extensions.Mathematics;
using Markdig.Extensions.Tables;
using Markdig.Renderers;
using Markdig.Syntax;
using Markdig.Syntax.Inlines;

namespace Amari.Cli.Lecture;

/// <summary>The lecture as one page that opens offline: <c>docs/lecture.md</c> with formulas as MathML, and with the figures, tables and
/// checks of runs.</summary>
internal static partial class LecturePage
{
    public const string FileName = "lecture.html";

    private static readonly MarkdownPipeline Pipeline = new MarkdownPipelineBuilder()
        .UsePipeTables()
        .UseMathematics()
        .UseAutoIdentifiers(AutoIdentifierOptions.GitHub)
        .Build();

    private static readonly Lazy<Dictionary<string, Dictionary<string, string>>> Formulas = new(() =>
        JsonSerializer.Deserialize<Dictionary<string, Dictionary<string, string>>>(Resource("formulas.json"))!
    );

    /// <summary>The source, in Markdown.</summary>
    public static string Source { get; } = Resource("lecture.md");

    [GeneratedRegex(@"^([A-Z]\d[a-z]?):")]
    private static partial Regex Id();

    /// <param name="runs">The runs, in any order. Of other items, the page has the text alone.</param>
    public static string Of(IReadOnlyList<LectureRun> runs)
    {
        var document = Markdown.Parse(Source, Pipeline);
        foreach (var formula in document.Descendants<MathInline>().ToList())
            formula.ReplaceBy(new HtmlInline(Formula("inline", formula.Content.ToString())));
        foreach (var formula in document.Descendants<MathBlock>().ToList())
            Replace(formula, $"<div class=\"formula\">{Formula("display", formula.Lines.ToString())}</div>");
        foreach (var link in document.Descendants<LinkInline>().Where(l => l.Url?.StartsWith('#') != true).ToList())
            if (link.IsImage)
                link.ReplaceBy(new HtmlInline(Image(link, runs)), copyChildren: false);
            else
                link.ReplaceBy(new LiteralInline(TextOf(link)), copyChildren: false); // another page, which is not here

        var page = new HtmlPage(TextOf(document.OfType<HeadingBlock>().First(h => h.Level == 1).Inline!));
        page.Add("<div class=\"prose\">\n");
        string heading = "";
        LectureRun? shown = null;
        foreach (var block in document.Skip(1))
        {
            if (block is HeadingBlock { Inline: { } title })
            {
                AddNumbers(page, shown);
                heading = TextOf(title);
                var id = Id().Match(heading);
                shown = runs.FirstOrDefault(r => id.Success && r.Item.Id == id.Groups[1].Value);
            }
            if (block is Table table)
                Add(page, heading, table);
            else
                page.Add(Html(block));
        }
        AddNumbers(page, shown);
        page.Add("</div>\n");
        MachineSection.AddTo(page, []);
        return page.Finish();
    }

    /// <summary>The MathML of a formula.</summary>
    /// <exception cref="InvalidOperationException">It was changed, and not converted since.</exception>
    private static string Formula(string kind, string tex) =>
        Formulas.Value[kind].TryGetValue(Whitespace().Replace(tex, " ").Trim(), out string? mathml)
            ? mathml
            : throw new InvalidOperationException($"formulas.json lacks '{tex.Trim()}'; formulas.mjs converts it.");

    [GeneratedRegex(@"\s+")]
    private static partial Regex Whitespace();

    private static void Replace(Block block, string html)
    {
        var parent = block.Parent!;
        int at = parent.IndexOf(block);
        parent.RemoveAt(at);
        parent.Insert(at, new HtmlBlock(null) { Lines = new(html) });
    }

    /// <summary>The figure of a run, in the page itself; without the run, the command that draws it.</summary>
    private static string Image(LinkInline image, IReadOnlyList<LectureRun> runs)
    {
        string name = Path.GetFileName(image.Url!),
            text = HtmlPage.Text(TextOf(image));
        return runs.SelectMany(r => r.Files).FirstOrDefault(f => Path.GetFileName(f) == name) is { } file && File.Exists(file)
            ? "<span class=\"figure\">"
                + $"<img alt=\"{text}\" src=\"data:image/png;base64,{Convert.ToBase64String(File.ReadAllBytes(file))}\"></span>"
            : $"<span class=\"sub\">Figure: {text}. The item that draws it is not part of this run.</span>";
    }

    private static void Add(HtmlPage page, string caption, Table table)
    {
        var rows = table.Cast<TableRow>().Select(r => r.Cast<TableCell>().ToList()).ToList();
        page.Table(
            caption,
            [.. rows[0].Select(c => string.Concat(c.Descendants<LiteralInline>()))],
            rows.Skip(1).Select(r => (IReadOnlyList<string>)[.. r.Select(c => string.Concat(c.Select(Html)).Trim())])
        );
    }

    /// <summary>What the run of an item found: its conclusion, tables and checks.</summary>
    private static void AddNumbers(HtmlPage page, LectureRun? run)
    {
        if (run is null)
            return;
        if (run.Result is not { } result)
        {
            page.Add($"<p class=\"answer\">{run.Item.Id} failed in this run: {HtmlPage.Text(run.Error!)}</p>\n");
            return;
        }
        int good = result.Checks.Count(c => c.Passed);
        page.Add(
            string.Create(
                CultureInfo.InvariantCulture,
                $"<details><summary>The numbers of this run ({good} of {result.Checks.Count} checks hold, {run.Seconds:F1} s)</summary>\n"
            ) + $"<p>{HtmlPage.Text(result.Sentence)}</p>\n"
        );
        foreach (var numbers in result.Tables)
            page.Table(
                $"{run.Item.Id} in this run",
                numbers.Heads,
                numbers.Rows.Select(r => (IReadOnlyList<string>)[.. r.Select(c => HtmlPage.Text(LectureReport.Text(c)))])
            );
        page.Table(
            $"Checks of {run.Item.Id}",
            ["check", "value", "expected", "result"],
            result.Checks.Select(c =>
                (IReadOnlyList<string>)
                    [
                        HtmlPage.Text(c.Name),
                        Number.Short(c.Value, 8),
                        HtmlPage.Text(LectureReport.Expectation(c)),
                        c.Passed ? "holds" : "<b>fails</b>",
                    ]
            )
        );
        page.Add("</details>\n");
    }

    private static string TextOf(ContainerInline container) => string.Concat(container.Descendants<LiteralInline>());

    private static string Html(Block part)
    {
        using var text = new StringWriter(CultureInfo.InvariantCulture);
        var renderer = new HtmlRenderer(text) { ImplicitParagraph = part.Parent is TableCell };
        Pipeline.Setup(renderer);
        renderer.Render(part);
        return text.ToString();
    }

    private static string Resource(string name)
    {
        using var reader = new StreamReader(typeof(LecturePage).Assembly.GetManifestResourceStream(name)!);
        return reader.ReadToEnd();
    }
}
