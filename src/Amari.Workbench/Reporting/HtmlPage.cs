using System.Net;
using System.Reflection;
using System.Text;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>A self-contained page with text, tables and interactive figures. It opens offline and follows the theme of the reader's
/// system.</summary>
internal sealed class HtmlPage
{
    private const string Policy = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:";

    private const int MaxNarrowColumns = 3;

    private readonly StringBuilder _page = new();

    public HtmlPage(string title) =>
        Add(
            $$"""
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="{{Policy}}">
            <title>{{Text(title)}}</title>
            <style>
            {{Resource("page.css")}}
            </style></head><body>
            <h1>{{Text(title)}}</h1>

            """
        );

    /// <summary>The ticks of a logarithmic axis, for the scripts.</summary>
    public static object Ticks(double low, double high) => Decades.Marks(low, high).Select(m => new { at = m.At, label = m.Label });

    /// <summary>Text escaped for HTML.</summary>
    public static string Text(string text) => WebUtility.HtmlEncode(text);

    /// <summary>Adds HTML without escaping it.</summary>
    public HtmlPage Add(string html)
    {
        _page.Append(html);
        return this;
    }

    /// <summary>Adds a table. Headings are text, cells are HTML. On a narrow screen, the cells of a table with many columns are below each
    /// other, each with its heading.</summary>
    public void Table(IReadOnlyList<string> heads, IEnumerable<IReadOnlyList<string>> rows)
    {
        bool stacks = heads.Count > MaxNarrowColumns;
        _page
            .Append($"<div class=\"wide{(stacks ? " stack" : "")}\"><table><tr>")
            .AppendJoin("", heads.Select(h => $"<th>{Text(h)}</th>"))
            .Append("</tr>\n");
        foreach (var row in rows)
            _page
                .Append("<tr>")
                .AppendJoin("", row.Select((c, i) => stacks ? $"<td data-head=\"{Text(heads[i])}\">{c}</td>" : $"<td>{c}</td>"))
                .Append("</tr>\n");
        _page.Append("</table></div>\n");
    }

    /// <summary>The complete page, with a description of the machine, Plotly, and the script that draws the figures.</summary>
    /// <param name="data">JavaScript declarations of the data.</param>
    /// <param name="script">A file of the folder <c>Pages</c>.</param>
    /// <param name="provenances">How and where the shown results were made, each with its name; by default here and now.</param>
    public string Finish(string data, string script, params IReadOnlyList<(string Name, Provenance Provenance)> provenances)
    {
        MachineSection.AddTo(this, provenances);
        _page.Append("<script>");
        _page.Append(Read(typeof(Plotly.NET.Chart).Assembly, "Plotly.NET.plotly-2.28.0.min.js"));
        return _page
            .Append("</script>\n<script>\n")
            .Append(Resource("page.js"))
            .Append(data)
            .Append(Resource(script))
            .Append("\n</script></body></html>\n")
            .ToString();
    }

    /// <summary>The complete page, without figures that a script draws.</summary>
    public string Finish()
    {
        MachineSection.AddTo(this, []);
        return _page.Append("</body></html>\n").ToString();
    }

    private static string Resource(string page) => Read(typeof(HtmlPage).Assembly, page);

    private static string Read(Assembly assembly, string resource)
    {
        using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
        return reader.ReadToEnd();
    }
}
