using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Cli.Reporting;

/// <summary>One self-contained page that opens offline: the answer, interactive curves, the table, and all settings.</summary>
internal static class HtmlReport
{
    private const int MostEvents = 200;

    public static string Of(Comparison comparison, Workload workload)
    {
        var page = new StringBuilder();
        string title = $"Amari: optimizers on {comparison.Workload}";
        page.Append($$"""
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:">
            <title>{{Html(title)}}</title>
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
            <h1>{{Html(title)}}</h1>
            <p class="sub">{{Html(workload.Description)}}. {{Html(comparison.Budget.ToString())}} a run, batch {{workload.BatchSize}}, {{Seeds(comparison)}}.</p>
            <p class="answer">{{Html(Answer.Of(comparison))}}</p>

            """);
        Table(page, ["optimizer", .. Summary.Heads(comparison)], Summary.Of(comparison).Select(s =>
            (IReadOnlyList<string>)[$"<span class=\"dot\" style=\"background:{Palette.Of(s.Optimizer)}\"></span>{Html(s.Optimizer)}", .. s.Cells().Select(Html)]));
        page.Append("""
            <p class="sub">Medians over seeds, the range below. Time is the whole work of training (batch, forward, backward, step); evaluation is not counted.</p>
            <h2>Loss while training</h2>
            <p><button id="seconds" aria-pressed="true">against seconds</button> <button id="steps" aria-pressed="false">against steps</button></p>
            <div id="plot" class="plot"></div>

            """);
        page.Append("<h2>Settings</h2>\n");
        foreach (var summary in Summary.Of(comparison))
        {
            page.Append($"<details><summary>{Html(summary.Optimizer)}</summary>");
            Table(page, ["option", "value"], summary.Runs[0].Options.Select(o => (IReadOnlyList<string>)[Html(o.Key), Html(o.Value)]));
            page.Append("</details>\n");
        }
        page.Append("<h2>Coverage: which parameter is updated by what, and why</h2>\n");
        foreach (var summary in Summary.Of(comparison))
        {
            page.Append($"<details{(summary.Optimizer == "kfac" ? " open" : "")}><summary>{Html(summary.Optimizer)}</summary>");
            Table(page, ["parameter", "block", "reason"], summary.Runs[0].Coverage.Select(c => (IReadOnlyList<string>)[Html(c.Parameter), Html(c.Block), Html(c.Reason)]));
            page.Append("</details>\n");
        }
        var events = comparison.Runs.SelectMany(r => r.Events.Select(e => (Run: r, Event: e))).ToList();
        page.Append("<h2>Events</h2>\n");
        if (events.Count == 0) page.Append("<p>None: no failed factorisation, no skipped step, no fall-back while training.</p>\n");
        else Table(page, ["optimizer", "seed", "step", "where", "what"], events.Take(MostEvents).Select(e =>
            (IReadOnlyList<string>)[Html(e.Run.Optimizer), $"{e.Run.Seed}", $"{e.Event.Step}", Html(e.Event.Subject), Html(e.Event.Message)]));
        if (events.Count > MostEvents) page.Append($"<p class=\"sub\">The first {MostEvents} of {events.Count}; result.json has all.</p>\n");
        if (comparison.Trials.Count > 0)
        {
            page.Append("<h2>Tuning trials</h2>\n");
            Table(page, ["optimizer", "budget", "final loss", "settings tried"], comparison.Trials.Select(t => (IReadOnlyList<string>)
                [Html(t.Optimizer), Html(t.Budget.ToString()), double.IsFinite(t.Loss) ? Number.Short(t.Loss, 4) : "diverged",
                    Html(string.Join(", ", OptimizerCatalog.Find(t.Optimizer).SearchSpace.Select(d => $"{d.Option} {t.Options[d.Option]}")))]));
        }
        page.Append($"""
            <h2>Machine</h2>
            <p>{Html(Machine.Processor)}, {Environment.ProcessorCount} cores, {Html(RuntimeInformation.OSDescription)}, {torch.get_num_threads()} threads, {Html(RuntimeInformation.FrameworkDescription)}, libtorch {Html(torch.__version__)}.</p>
            <script>
            """);
        using (var source = typeof(Plotly.NET.Chart).Assembly.GetManifestResourceStream("Plotly.NET.plotly-2.28.0.min.js")!)
        using (var reader = new StreamReader(source)) page.Append(reader.ReadToEnd());
        var scale = LossScale.Of(comparison);
        page.Append("</script>\n<script>\nconst curves = ").Append(Traces(comparison)).Append(";\nconst target = ")
            .Append(comparison.Target.Value.ToString("R", CultureInfo.InvariantCulture)).Append(", low = ").Append(scale.Low.ToString("R", CultureInfo.InvariantCulture))
            .Append(", high = ").Append(scale.High.ToString("R", CultureInfo.InvariantCulture)).Append(", log = ").Append(scale.Log ? "true" : "false").Append("""
            ;
            const axis = v => log ? Math.log10(v) : v;
            let by = 'seconds';
            function draw() {
              const ink = getComputedStyle(document.body).color, grid = 'rgba(128,128,128,.25)';
              const traces = curves.map(c => ({ x: c[by].x, y: c[by].y, name: c.name, legendgroup: c.name, showlegend: c.bold, mode: 'lines', opacity: c.bold ? 1 : .4,
                line: { color: c.color, width: c.bold ? 3 : 1.2 }, hovertemplate: c.name + ', ' + c.label + '<br>%{x:.4g} ' + by + '<br>loss %{y:.4g}<extra></extra>' }));
              Plotly.react('plot', traces, { margin: { t: 20, r: 20 }, font: { family: getComputedStyle(document.body).fontFamily, size: 14, color: ink },
                paper_bgcolor: 'rgba(0,0,0,0)', plot_bgcolor: 'rgba(0,0,0,0)', hovermode: 'closest', modebar: { bgcolor: 'rgba(0,0,0,0)', color: 'rgba(128,128,128,.6)', activecolor: ink }, legend: { orientation: 'h', y: 1.12 },
                xaxis: { title: by === 'seconds' ? 'training time (s), evaluation not counted' : 'optimizer steps', rangemode: 'tozero', gridcolor: grid, zerolinecolor: grid },
                yaxis: { title: 'training loss', type: log ? 'log' : 'linear', range: [axis(low), axis(high)], dtick: log && high / low > 100 ? 1 : undefined,
                  exponentformat: 'power', gridcolor: grid, zeroline: false },
                shapes: [{ type: 'line', xref: 'paper', x0: 0, x1: 1, y0: target, y1: target, line: { dash: 'dash', color: ink, width: 1.5 }, opacity: .6 }],
                annotations: [{ xref: 'paper', x: 1, xanchor: 'right', y: axis(target), yanchor: 'bottom', text: 'target ' + target, showarrow: false, opacity: .8 }] },
                { responsive: true, displaylogo: false });
              for (const id of ['seconds', 'steps']) document.getElementById(id).setAttribute('aria-pressed', id === by);
            }
            for (const id of ['seconds', 'steps']) document.getElementById(id).onclick = () => { by = id; draw(); };
            matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
            draw();
            </script></body></html>

            """);
        return page.ToString();
    }

    /// <summary>The curves as a JavaScript literal, a thin one for each seed and a bold median; JSON escapes what could end the script.</summary>
    private static string Traces(Comparison comparison) => JsonSerializer.Serialize(comparison.Runs.GroupBy(r => r.Optimizer).SelectMany(group =>
    {
        var runs = group.ToList();
        object Trace(string label, bool bold, Func<bool, Curve> curve) => new
        {
            name = group.Key, label, bold, color = Palette.Of(group.Key),
            seconds = new { x = curve(true).X, y = curve(true).Y }, steps = new { x = curve(false).X, y = curve(false).Y },
        };
        var median = Trace(runs.Count == 1 ? $"seed {runs[0].Seed}" : "median", true, bySeconds => Curve.Median([.. runs.Select(r => Curve.Of(r, bySeconds))]));
        return runs.Count == 1 ? [median] : runs.Select(r => Trace($"seed {r.Seed}", false, bySeconds => Curve.Of(r, bySeconds))).Append(median);
    }));

    private static void Table(StringBuilder page, IReadOnlyList<string> heads, IEnumerable<IReadOnlyList<string>> rows)
    {
        page.Append("<div class=\"wide\"><table><tr>").AppendJoin("", heads.Select(h => $"<th>{Html(h)}</th>")).Append("</tr>\n");
        foreach (var row in rows) page.Append("<tr>").AppendJoin("", row.Select(c => $"<td>{c}</td>")).Append("</tr>\n");
        page.Append("</table></div>\n");
    }

    private static string Seeds(Comparison comparison) => comparison.Runs.Select(r => r.Seed).Distinct().Count() is var n and not 1 ? $"{n} seeds" : "one seed";

    private static string Html(string text) => WebUtility.HtmlEncode(text);
}
