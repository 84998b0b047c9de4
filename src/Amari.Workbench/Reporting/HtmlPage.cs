using System.Net;
using System.Text;

namespace Amari.Reporting;

/// <summary>A self-contained page with text, tables and interactive figures. It opens offline and follows the theme of the reader's
/// system.</summary>
/// <param name="title">The title, which is also its heading.</param>
internal sealed class HtmlPage(string title)
{
    private const string Policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:";

    private const string LivePolicy = "; connect-src 'self'";

    private const int MaxNarrowColumns = 3;

    private readonly StringBuilder _content = new();

    /// <summary>Text escaped for HTML.</summary>
    public static string Text(string text) => WebUtility.HtmlEncode(text);

    /// <summary>Adds HTML without escaping it.</summary>
    public HtmlPage Add(string html)
    {
        _content.Append(html);
        return this;
    }

    /// <summary>Adds a table. Headings are text, cells are HTML; the first cell of a row is its heading. On a narrow screen, the cells of a
    /// table with many columns are below each other, each with its heading.</summary>
    /// <param name="caption">What it shows, for readers who do not see the heading above it.</param>
    /// <param name="heads">The headings of the columns.</param>
    /// <param name="rows">The cells.</param>
    public void Table(string caption, IReadOnlyList<string> heads, IEnumerable<IReadOnlyList<string>> rows)
    {
        bool stacks = heads.Count > MaxNarrowColumns; // what is displayed as a grid is a table by its roles alone
        string table = Role("table"),
            line = Role("row"),
            cell = Role("cell"),
            row = Role("rowheader"),
            column = Role("columnheader");
        _content
            .Append($"<div class=\"wide{(stacks ? " stack" : "")}\"><table{table}><caption>{Text(caption)}</caption>\n<tr{line}>")
            .AppendJoin("", heads.Select(h => h.Length == 0 ? $"<td{cell}></td>" : $"<th scope=\"col\"{column}>{Text(h)}</th>"))
            .Append("</tr>\n");
        foreach (var cells in rows)
            _content
                .Append($"<tr{line}>")
                .AppendJoin(
                    "",
                    cells.Select((c, i) => i == 0 ? $"<th scope=\"row\"{row}{Head(i)}>{c}</th>" : $"<td{cell}{Head(i)}>{c}</td>")
                )
                .Append("</tr>\n");
        _content.Append("</table></div>\n");

        string Role(string role) => stacks ? $" role=\"{role}\"" : "";
        string Head(int i) => stacks ? $" data-head=\"{Text(heads[i])}\"" : "";
    }

    /// <summary>Adds the place of a figure, which the page's script draws, with the names of its curves and a text for the point that the
    /// keyboard chooses.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="kind">Further classes of its style.</param>
    /// <param name="name">What it shows.</param>
    public HtmlPage Figure(string id, string kind, string name) =>
        Add(
            $"""
            <figure id="{id}-figure"><div class="switch legend" role="group" aria-label="shown curves"></div>
            <div id="{id}" class="plot {kind}" role="application" aria-roledescription="figure" tabindex="0"
            aria-label="{Text(name)}. Arrow keys read its points; with Shift they move it."></div>
            <output class="unseen"></output></figure>

            """
        );

    /// <summary>Adds a library that the page's script uses, in a variable.</summary>
    /// <param name="file">A build of plotly.js.</param>
    /// <param name="variable">The variable's name.</param>
    public HtmlPage Library(string file, string variable) => Add($"<script>{Resource(file)};\nconst {variable} = Plotly;</script>\n");

    /// <summary>The title and all that was added.</summary>
    public string Content => $"<h1>{Text(title)}</h1>\n{_content}";

    /// <summary>HTML above the contents of a live view, whose scripts ask the server that the page came from; null for a page that asks
    /// nobody.</summary>
    public string? Live { get; init; }

    /// <summary>The complete page, with Plotly and the scripts that draw the figures.</summary>
    /// <param name="data">JavaScript declarations of the data.</param>
    /// <param name="scripts">Files of the folder <c>Pages</c>.</param>
    public string Finish(string data, params IEnumerable<string> scripts) =>
        $$"""
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="{{Policy}}{{(Live is null ? "" : LivePolicy)}}">
            <title>{{Text(title)}}</title>
            <style>
            {{Resource("page.css")}}
            </style></head><body>
            {{Live}}<main>
            {{Content}}</main>
            <script>{{Resource("plotly-cartesian.min.js")}}</script>
            <script>
            {{Resource("page.js")}}{{data}}{{string.Join("\n", scripts.Select(Resource))}}
            </script></body></html>

            """;

    private static string Resource(string file)
    {
        using var reader = new StreamReader(typeof(HtmlPage).Assembly.GetManifestResourceStream(file)!);
        return reader.ReadToEnd();
    }
}
