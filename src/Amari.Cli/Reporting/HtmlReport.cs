using System.Globalization;
using System.Net;
using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Cli.Reporting;

/// <summary>One self-contained page that opens offline: the answer, interactive curves, the table, and all settings.</summary>
internal static class HtmlReport
{
    public static string Of(Comparison comparison, Workload workload)
    {
        var page = new StringBuilder();
        string title = $"Amari: optimizers on {comparison.Workload}";
        page.Append($$"""
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
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
            .plot { background: #fff; border-radius: 6px; height: 480px; margin: 1rem 0; } details { margin: .5rem 0; } summary { cursor: pointer; }
            button { font: inherit; padding: .25rem .8rem; border: 1px solid var(--line); background: none; border-radius: 4px; cursor: pointer; }
            button[aria-pressed=true] { background: var(--accent); color: #fff; }
            </style></head><body>
            <h1>{{Html(title)}}</h1>
            <p class="sub">{{Html(workload.Description)}}. {{Html(comparison.Budget.ToString())}} a run, batch {{workload.BatchSize}}, {{comparison.Runs.Select(r => r.Seed).Distinct().Count()}} seed(s).</p>
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
        else Table(page, ["optimizer", "seed", "step", "where", "what"], events.Take(200).Select(e =>
            (IReadOnlyList<string>)[Html(e.Run.Optimizer), $"{e.Run.Seed}", $"{e.Event.Step}", Html(e.Event.Subject), Html(e.Event.Message)]));
        if (comparison.Trials.Count > 0)
        {
            page.Append("<h2>Tuning trials</h2>\n");
            Table(page, ["optimizer", "budget", "final loss", "settings tried"], comparison.Trials.Select(t => (IReadOnlyList<string>)
                [Html(t.Optimizer), Html(t.Budget.ToString()), double.IsFinite(t.Loss) ? Number(t.Loss) : "diverged",
                    Html(string.Join(", ", OptimizerCatalog.Find(t.Optimizer).SearchSpace.Select(d => $"{d.Option} {t.Options[d.Option]}")))]));
        }
        page.Append($"""
            <h2>Machine</h2>
            <p>{Html(RuntimeInformation.OSDescription)}, {Environment.ProcessorCount} cores, {torch.get_num_threads()} threads, {Html(RuntimeInformation.FrameworkDescription)}, libtorch {Html(torch.__version__)}.</p>
            <script>
            """);
        using (var source = typeof(Plotly.NET.Chart).Assembly.GetManifestResourceStream("Plotly.NET.plotly-2.28.0.min.js")!)
        using (var reader = new StreamReader(source)) page.Append(reader.ReadToEnd());
        page.Append("</script>\n<script>\nconst runs = ").Append(Traces(comparison)).Append(";\nconst target = ")
            .Append(comparison.Target.Value.ToString("R", CultureInfo.InvariantCulture)).Append("""
            ;
            function draw(by) {
              const seen = new Set();
              const traces = runs.map(r => { const first = !seen.has(r.name); seen.add(r.name);
                return { x: r[by], y: r.loss, name: r.name, legendgroup: r.name, showlegend: first, mode: 'lines', opacity: r.alone ? 1 : .75,
                  line: { color: r.color, width: 2 }, hovertemplate: r.name + ' seed ' + r.seed + '<br>%{x:.4g} ' + by + '<br>loss %{y:.4g}<extra></extra>' }; });
              Plotly.react('plot', traces, { margin: { t: 20, r: 20 }, xaxis: { title: by === 'seconds' ? 'training time (s)' : 'optimizer steps', rangemode: 'tozero' },
                yaxis: { title: 'training loss', type: 'log', exponentformat: 'power' }, legend: { orientation: 'h', y: 1.1 },
                shapes: [{ type: 'line', xref: 'paper', x0: 0, x1: 1, y0: target, y1: target, line: { dash: 'dash', color: '#777', width: 1.5 } }],
                annotations: [{ xref: 'paper', x: 1, xanchor: 'right', y: Math.log10(target), yanchor: 'bottom', text: 'target', showarrow: false, font: { color: '#777' } }] },
                { responsive: true, displaylogo: false });
              for (const id of ['seconds', 'steps']) document.getElementById(id).setAttribute('aria-pressed', id === by);
            }
            for (const id of ['seconds', 'steps']) document.getElementById(id).onclick = () => draw(id);
            draw('seconds');
            </script></body></html>

            """);
        return page.ToString();
    }

    /// <summary>The runs as a JavaScript literal; JSON escapes what could end the script.</summary>
    private static string Traces(Comparison comparison) => JsonSerializer.Serialize(new JsonArray([.. comparison.Runs.Select(run =>
    {
        var points = run.Losses.Where(p => double.IsFinite(p.Loss) && p.Loss > 0).ToList();
        return new JsonObject
        {
            ["name"] = run.Optimizer,
            ["seed"] = run.Seed,
            ["color"] = Palette.Of(run.Optimizer),
            ["alone"] = comparison.Runs.Count(r => r.Optimizer == run.Optimizer) == 1,
            ["seconds"] = new JsonArray([.. points.Select(p => JsonValue.Create(p.Seconds))]),
            ["steps"] = new JsonArray([.. points.Select(p => JsonValue.Create(p.Step))]),
            ["loss"] = new JsonArray([.. points.Select(p => JsonValue.Create(p.Loss))]),
        };
    })]));

    private static void Table(StringBuilder page, IReadOnlyList<string> heads, IEnumerable<IReadOnlyList<string>> rows)
    {
        page.Append("<div class=\"wide\"><table><tr>").AppendJoin("", heads.Select(h => $"<th>{Html(h)}</th>")).Append("</tr>\n");
        foreach (var row in rows) page.Append("<tr>").AppendJoin("", row.Select(c => $"<td>{c}</td>")).Append("</tr>\n");
        page.Append("</table></div>\n");
    }

    private static string Number(double value) => value.ToString("G4", CultureInfo.InvariantCulture);

    private static string Html(string text) => WebUtility.HtmlEncode(text);
}
