using System.Globalization;
using System.Text.Json;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>One self-contained page that opens offline: the answer, interactive curves, the table, and all settings.</summary>
internal static class HtmlReport
{
    private const int MostEvents = 200;

    public static string Of(BenchmarkResult comparison, Workload workload)
    {
        string title = $"Amari: optimizers on {comparison.Workload}";
        var page = new HtmlPage(title);
        var colors = Palette.Of(comparison);
        page.Add(
            $"""
            <p class="sub">{Html(workload.Description)}. {Html(comparison.Budget.ToString())} a run, batch {workload.BatchSize},
            {Seeds(comparison)}{Start(comparison)}.</p>
            <p class="answer">{Html(Answer.Of(comparison))}</p>

            """
        );
        page.Table(
            ["optimizer", .. Summary.Heads(comparison)],
            Summary
                .Of(comparison)
                .Select(s =>
                    (IReadOnlyList<string>)
                        [$"<span class=\"dot\" data-color=\"{colors[s.Optimizer]}\"></span>{Html(s.Optimizer)}", .. s.Cells().Select(Html)]
                )
        );
        page.Add(
            $"""
            <p class="sub">Medians over seeds, the range below. Time is the whole work of training (batch, forward, backward, step).
            Evaluation is not counted, nor is the warm-up of a comparison: at most 2 s of steps of each optimizer on a model that is
            thrown away, until they are compiled.</p>
            <h2>Loss while training</h2>
            <p><button id="seconds" aria-pressed="true">against seconds</button>
            <button id="steps" aria-pressed="false">against steps</button></p>
            <div id="plot" class="plot" style="height: {500 + 24 * (colors.Count / 8)}px"></div>

            """
        );
        var panels = MonitorPanel.Of(comparison);
        if (panels.Count > 0)
            page.Add(
                    $"""
                    <h2>Curvature while training</h2>
                    <p class="sub">{Html(MonitorPanel.Cost(comparison)!)} {Html(MonitorPanel.Explanation(comparison))}</p>

                    """
                )
                .Add(
                    string.Concat(
                        panels.Select(
                            (p, i) => $"<h3>{Html(p.Title)}</h3>\n<div id=\"monitor{i}\" class=\"plot\" style=\"height: 380px\"></div>\n"
                        )
                    )
                );
        page.Add("<h2>Runs</h2>\n");
        string[] heads =
        [
            "optimizer",
            "seed",
            "status",
            "best loss",
            "at step",
            "final loss",
            "final " + Html(comparison.Metric),
            "steps",
            "remark",
        ];
        page.Table(
            heads,
            comparison.Runs.Select(r =>
                (IReadOnlyList<string>)
                    [
                        Html(r.Optimizer),
                        $"{r.Seed}",
                        Trouble.Words(r.Status),
                        r.Best is { } b ? Number.Short(b.Loss) : "-",
                        r.Best is { } at ? $"{at.Step}" : "-",
                        Number.Short(r.FinalLoss),
                        Number.Short(r.FinalMetric, 4),
                        $"{r.Steps}",
                        Html(Trouble.Line(r) ?? ""),
                    ]
            )
        );
        page.Add("<h2>Settings</h2>\n");
        foreach (var summary in Summary.Of(comparison))
        {
            page.Add($"<details><summary>{Html(summary.Optimizer)}</summary>");
            page.Table(["option", "value"], summary.Example.Options.Select(o => (IReadOnlyList<string>)[Html(o.Key), Html(o.Value)]));
            page.Add("</details>\n");
        }
        page.Add("<h2>Coverage: which parameter is updated by what, and why</h2>\n");
        foreach (var summary in Summary.Of(comparison))
        {
            page.Add($"<details{(summary.Optimizer == "kfac" ? " open" : "")}><summary>{Html(summary.Optimizer)}</summary>");
            page.Table(
                ["parameter", "block", "reason"],
                summary.Example.Coverage.Select(c => (IReadOnlyList<string>)[Html(c.Parameter), Html(c.Block), Html(c.Reason)])
            );
            page.Add("</details>\n");
        }
        var events = comparison.Runs.SelectMany(r => r.Events.Select(e => (Run: r, Event: e))).ToList();
        page.Add("<h2>Events</h2>\n");
        if (events.Count == 0)
            page.Add("<p>None: no failed factorisation, no skipped step, no fall-back while training.</p>\n");
        else
            page.Table(
                ["optimizer", "seed", "step", "where", "what"],
                events
                    .Take(MostEvents)
                    .Select(e =>
                        (IReadOnlyList<string>)
                            [Html(e.Run.Optimizer), $"{e.Run.Seed}", $"{e.Event.Step}", Html(e.Event.Subject), Html(e.Event.Message)]
                    )
            );
        if (events.Count > MostEvents)
            page.Add($"<p class=\"sub\">The first {MostEvents} of {events.Count}; result.json has all.</p>\n");
        if (comparison.Trials.Count > 0)
        {
            page.Add("<h2>Tuning trials</h2>\n");
            page.Table(
                ["optimizer", "budget", "final loss", "settings tried"],
                comparison.Trials.Select(t =>
                    (IReadOnlyList<string>)
                        [
                            Html(t.Optimizer),
                            Html(t.Budget.ToString()),
                            double.IsFinite(t.Loss)
                                ? Number.Short(t.Loss, 4) + (t.Status == RunStatus.CameApart ? " (came apart)" : "")
                                : Trouble.Words(t.Status),
                            Html(
                                string.Join(
                                    ", ",
                                    OptimizerCatalog
                                        .Find(t.Optimizer)
                                        .SearchSpaceOf(t.Options)
                                        .Select(d => $"{d.Option} {t.Options[d.Option]}")
                                )
                            ),
                        ]
                )
            );
        }
        var scale = LossScale.Of(comparison);
        return page.Finish(
            string.Create(
                CultureInfo.InvariantCulture,
                $"const curves = {Traces(comparison, colors)};\nconst target = {comparison.Target.Value:R}, scale = "
                    + $"{JsonSerializer.Serialize(scale, JsonSerializerOptions.Web)};\nconst panels = {MonitorPanel.Json(panels)};\n"
            ),
            "comparison.js"
        );
    }

    /// <summary>The curves as a JavaScript literal, a thin one for each seed and a bold median; JSON escapes what could end the
    /// script.</summary>
    private static string Traces(BenchmarkResult comparison, IReadOnlyDictionary<string, string> colors) =>
        JsonSerializer.Serialize(
            comparison
                .Runs.GroupBy(r => r.Optimizer)
                .SelectMany(group =>
                {
                    var runs = group.ToList();
                    object Trace(string label, bool bold, Func<bool, Curve> curve) =>
                        new
                        {
                            name = group.Key,
                            legend = group.Key + Trouble.Count(new(group.Key, runs)).Replace("\n", ", ", StringComparison.Ordinal),
                            label,
                            bold,
                            color = colors[group.Key],
                            seconds = new { x = curve(true).X, y = curve(true).Y },
                            steps = new { x = curve(false).X, y = curve(false).Y },
                        };
                    var median = Trace(
                        runs.Count == 1 ? $"seed {runs[0].Seed}" : "median",
                        true,
                        bySeconds => Curve.Median([.. runs.Select(r => Curve.Of(r, bySeconds))])
                    );
                    return runs.Count == 1
                        ? [median]
                        : runs.Select(r => Trace($"seed {r.Seed}", false, bySeconds => Curve.Of(r, bySeconds))).Append(median);
                })
        );

    private static string Seeds(BenchmarkResult comparison) =>
        comparison.Runs.Select(r => r.Seed).Distinct().Count() is var n and not 1 ? $"{n} seeds" : "one seed";

    private static string Start(BenchmarkResult comparison) =>
        comparison.Runs is [{ Start: not WeightStart.Workload and var start }, ..]
            ? $", weights from the start {WeightStarts.NameOf(start)}"
            : "";

    private static string Html(string text) => HtmlPage.Text(text);
}
