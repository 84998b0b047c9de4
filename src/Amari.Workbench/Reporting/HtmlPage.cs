using System.Net;
using System.Runtime.InteropServices;
using System.Text;

namespace Amari.Reporting;

/// <summary>A self-contained page that opens offline and follows the theme of the reader's system: text, tables, and interactive
/// figures.</summary>
internal sealed class HtmlPage
{
    /// <summary>What the figures of all pages share: colours that follow the theme, and the parts of a layout.</summary>
    private const string Style = """
        const dark = matchMedia('(prefers-color-scheme: dark)'), grid = 'rgba(128,128,128,.25)', ink = () => getComputedStyle(document.body).color;
        const tone = color => {                                  // a dark colour is lifted from a dark page
          const rgb = [1, 3, 5].map(i => parseInt(color.slice(i, i + 2), 16)), most = Math.max(...rgb);
          if (!dark.matches || .21 * rgb[0] + .72 * rgb[1] + .07 * rgb[2] > 80) return color;
          return most === 0 ? ink() : 'rgb(' + rgb.map(v => Math.round(v * 230 / most)) + ')';
        };
        const ticks = marks => ({ tickvals: marks.filter(m => m.label !== null).map(m => 10 ** m.at), ticktext: marks.filter(m => m.label !== null).map(m => m.label) });
        const tools = orientation => ({ orientation, bgcolor: 'rgba(0,0,0,0)', color: 'rgba(128,128,128,.6)', activecolor: ink() });
        const layout = more => Object.assign({ margin: { t: 20, r: 50 }, font: { family: getComputedStyle(document.body).fontFamily, size: 14, color: ink() }, paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)',
          hovermode: 'closest', modebar: tools('v'), legend: { orientation: 'h', y: 1.02, yanchor: 'bottom' } }, more);

        """;

    private readonly StringBuilder _page = new();

    public HtmlPage(string title) =>
        Add(
            $$"""
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
            <title>{{Text(title)}}</title>
            <style>
            :root { color-scheme: light dark; --line: #8884; --soft: #8881; --accent: #d55e00; }
            body { font: 16px/1.55 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; max-width: 1080px; margin: 2.5rem auto; padding: 0 1.2rem; }
            h1 { font-size: 1.7rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 2.4rem; }
            .sub { opacity: .7; margin-top: 0; }
            .answer { border-left: 4px solid var(--accent); background: var(--soft); padding: .9rem 1.2rem; font-size: 1.08rem; border-radius: 0 6px 6px 0; }
            table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
            th, td { text-align: left; padding: .4rem .7rem; border-bottom: 1px solid var(--line); vertical-align: top; white-space: pre-line; } th { font-weight: 600; }
            .wide { overflow-x: auto; } .dot { display: inline-block; width: .75em; height: .75em; border-radius: 50%; margin-right: .5em; }
            .plot { height: 500px; margin: 1rem 0; } details { margin: .5rem 0; } summary { cursor: pointer; }
            button { font: inherit; padding: .25rem .8rem; border: 1px solid var(--line); background: none; border-radius: 4px; cursor: pointer; }
            button[aria-pressed=true] { background: var(--accent); color: #fff; }
            </style></head><body>
            <h1>{{Text(title)}}</h1>

            """
        );

    /// <summary>Text that is safe inside HTML.</summary>
    public static string Text(string text) => WebUtility.HtmlEncode(text);

    /// <summary>Adds HTML as it is.</summary>
    public HtmlPage Add(string html)
    {
        _page.Append(html);
        return this;
    }

    /// <summary>Adds a table; heads are text, cells are HTML.</summary>
    public void Table(IReadOnlyList<string> heads, IEnumerable<IReadOnlyList<string>> rows)
    {
        _page.Append("<div class=\"wide\"><table><tr>").AppendJoin("", heads.Select(h => $"<th>{Text(h)}</th>")).Append("</tr>\n");
        foreach (var row in rows)
            _page.Append("<tr>").AppendJoin("", row.Select(c => $"<td>{c}</td>")).Append("</tr>\n");
        _page.Append("</table></div>\n");
    }

    /// <summary>The page, with the machine it was made on, Plotly, and the script that draws.</summary>
    public string Finish(string script)
    {
        _page.Append(
            $"""
            <h2>Machine</h2>
            <p>{Text(Machine.Processor)}, {Environment.ProcessorCount} cores, {Text(
                RuntimeInformation.OSDescription
            )}, {torch.get_num_threads()} thread{(torch.get_num_threads() == 1 ? "" : "s")}, {Text(
                RuntimeInformation.FrameworkDescription
            )}, libtorch {Text(torch.__version__)}.</p>
            <script>
            """
        );
        using (var source = typeof(Plotly.NET.Chart).Assembly.GetManifestResourceStream("Plotly.NET.plotly-2.28.0.min.js")!)
        using (var reader = new StreamReader(source))
            _page.Append(reader.ReadToEnd());
        return _page.Append("</script>\n<script>\n").Append(Style).Append(script).Append("\n</script></body></html>\n").ToString();
    }
}
