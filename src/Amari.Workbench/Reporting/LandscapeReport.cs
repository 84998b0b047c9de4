using System.Text.Json;
using Spectre.Console;

namespace Amari.Reporting;

/// <summary>What <c>amari landscape</c> leaves: a summary on the console, and the files.</summary>
internal static class LandscapeReport
{
    /// <returns>The exit code: 1 when it was stopped.</returns>
    public static int Write(LandscapeResult result, ResultFolder folder, TextWriter output)
    {
        var console = ReferenceEquals(output, Console.Out)
            ? AnsiConsole.Console
            : AnsiConsole.Create(new() { Out = new AnsiConsoleOutput(output) });
        var table = new Table().Border(TableBorder.Rounded).AddColumn("direction").AddColumn("from").AddColumn("to");
        foreach (var (name, steps) in new[] { (result.Axes[0], result.A), (result.Axes[1], result.B) })
            table.AddRow(Markup.Escape(name), Number.Short(steps[0]), Number.Short(steps[^1]));
        console.Write(table);
        console.WriteLine($"{result.Headline}: {result.Subtitle}");
        console.WriteLine(result.Summary);

        folder.WriteResult(result.ToJson());
        if (double.IsFinite(result.Lowest))
            LandscapeFigure.Save(result, folder, "landscape");
        folder.Write("report.html", Html(result));
        console.WriteLine();
        console.WriteLine($"Report: {folder.Shown("report.html")} (beside it result.json, and landscape as PNG and SVG)");
        return folder.ExitCode(result.Interrupted ? 1 : 0);
    }

    private static string Html(LandscapeResult result)
    {
        var page = new HtmlPage($"Amari: {result.Headline}");
        page.Add(
            $"""
            <p class="sub">{HtmlPage.Text(result.Subtitle)}.</p>
            <p class="answer">{HtmlPage.Text(result.Summary)}</p>
            <h2>Loss over the plane</h2>
            <p><button id="heatmap" aria-pressed="true">heat map</button> <button id="contour" aria-pressed="false">contours</button> <button id="surface" aria-pressed="false">surface</button></p>
            <div id="plot" class="plot" style="height: 640px"></div>

            """
        );
        bool log = LandscapeFigure.Log(result);
        string data = JsonSerializer.Serialize(
            new
            {
                a = result.A,
                b = result.B,
                log,
                axes = result.Axes,
                loss = Enumerable
                    .Range(0, result.B.Length)
                    .Select(r =>
                        Enumerable
                            .Range(0, result.A.Length)
                            .Select(c => double.IsFinite(result.Losses[r, c]) ? result.Losses[r, c] : (double?)null)
                    ),
                path = result.Path.Select(p => new
                {
                    p.A,
                    p.B,
                    p.Step,
                    p.Loss,
                }),
            }
        );
        return page.Finish(
            $"const d = {data};\n"
                + """
                const height = v => v === null ? null : d.log ? Math.log10(v) : v, z = d.loss.map(r => r.map(height));
                let type = 'heatmap';
                function draw() {
                  const accent = type === 'heatmap' ? '#fff' : '#D55E00';
                  const all = z.flat().filter(v => v !== null), low = Math.floor(Math.min(...all)), high = Math.ceil(Math.max(...all));
                  const ticks = d.log ? [...Array(high - low + 1).keys()].map(i => low + i) : undefined;
                  const traces = [{ x: d.a, y: d.b, z, text: d.loss, type, colorscale: 'Viridis', ncontours: 24, contours: type === 'contour' ? { coloring: 'lines' } : undefined, line: { width: 2 },
                    colorbar: { title: 'loss', tickvals: ticks, ticktext: ticks && ticks.map(t => '10<sup>' + t + '</sup>') }, hovertemplate: '(%{x:.3g}, %{y:.3g})<br>loss %{text:.4g}<extra></extra>' }];
                  const p = { x: d.path.map(q => q.A), y: d.path.map(q => q.B), text: d.path.map(q => 'step ' + q.Step + ', loss ' + q.Loss.toPrecision(4)), name: 'training path', mode: 'lines+markers', line: { color: accent, width: 2.5 }, marker: { size: 5, color: accent }, hovertemplate: '%{text}<extra></extra>' };
                  if (d.path.length) traces.push(type === 'surface' ? Object.assign(p, { type: 'scatter3d', z: d.path.map(q => height(q.Loss)), marker: { size: 3, color: accent } }) : p);
                  if (type !== 'surface') traces.push({ x: [0], y: [0], name: 'weights', mode: 'markers', marker: { symbol: 'diamond', size: 13, color: accent }, hovertemplate: 'weights<extra></extra>' });
                  const axis = (i, more) => Object.assign({ title: d.axes[i], gridcolor: grid, zerolinecolor: grid }, more);
                  Plotly.react('plot', traces, layout({ showlegend: false, margin: { t: 40, r: 20 }, modebar: tools('h'), xaxis: axis(0, { range: [d.a[0], d.a[d.a.length - 1]] }), yaxis: axis(1, { range: [d.b[0], d.b[d.b.length - 1]] }),
                    scene: { xaxis: axis(0), yaxis: axis(1), zaxis: { title: d.log ? 'log10 loss' : 'loss', gridcolor: grid }, camera: { eye: { x: 1.45, y: 1.45, z: 1.2 }, center: { x: 0, y: 0, z: -.2 } } } }), { responsive: true, displaylogo: false });
                  for (const id of ['heatmap', 'contour', 'surface']) document.getElementById(id).setAttribute('aria-pressed', id === type);
                }
                for (const id of ['heatmap', 'contour', 'surface']) document.getElementById(id).onclick = () => { Plotly.purge('plot'); type = id; draw(); };
                dark.addEventListener('change', draw);
                draw();
                """
        );
    }
}
