using System.Globalization;
using System.Text.Json;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>The report of a comparison as a self-contained page that opens offline: the answer, interactive curves, tables and all
/// settings.</summary>
internal static class HtmlReport
{
    private const int MaxEvents = 200;

    public static string Of(BenchmarkResult comparison, Workload workload)
    {
        var page = new HtmlPage($"Amari: optimizers on {comparison.Workload}");
        var colors = Palette.Of(comparison);
        var panels = MonitorPanel.Of(comparison);
        AddAnswer(page, comparison, workload, colors);
        AddCurves(page, colors.Count);
        AddCurvature(page, comparison, panels);
        AddRuns(page, comparison);
        AddSettings(page, comparison);
        AddCoverage(page, comparison);
        AddEvents(page, comparison);
        AddTrials(page, comparison);
        string scale = JsonSerializer.Serialize(LossScale.Of(comparison), JsonSerializerOptions.Web);
        return page.Finish(
            string.Create(
                CultureInfo.InvariantCulture,
                $"const curves = {Traces(comparison, colors)};\nconst target = {comparison.Target.Value:R}, scale = {scale};\n"
                    + $"const panels = {MonitorPanel.Json(panels)};\n"
            ),
            "comparison.js",
            comparison.Provenance is { } provenance ? [("value", provenance)] : []
        );
    }

    private static void AddAnswer(HtmlPage page, BenchmarkResult comparison, Workload workload, IReadOnlyDictionary<string, string> colors)
    {
        page.Add(
            $"""
            <p class="sub">{Html(workload.Description)}. {Html(comparison.Budget.ToString())} per run, batch {workload.BatchSize},
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
    }

    private static void AddCurves(HtmlPage page, int optimizers) =>
        page.Add(
            $"""
            <p class="sub">Medians over seeds, with the range below. Time counts all work of training: batch, forward, backward and
            optimizer step. It excludes evaluation, and the warm-up of a comparison: at most 2 s of steps of each optimizer on a temporary
            model, until they are compiled.</p>
            <h2>Loss during training</h2>
            <p><button id="seconds" aria-pressed="true">against seconds</button>
            <button id="steps" aria-pressed="false">against steps</button></p>
            <div id="plot" class="plot" style="height: {500 + 24 * (optimizers / 8)}px"></div>

            """
        );

    private static void AddCurvature(HtmlPage page, BenchmarkResult comparison, IReadOnlyList<MonitorPanel> panels)
    {
        if (panels.Count == 0)
            return;
        page.Add(
                $"""
                <h2>Curvature during training</h2>
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
    }

    private static void AddRuns(HtmlPage page, BenchmarkResult comparison)
    {
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
    }

    private static void AddSettings(HtmlPage page, BenchmarkResult comparison)
    {
        page.Add("<h2>Settings</h2>\n");
        foreach (var summary in Summary.Of(comparison))
        {
            page.Add($"<details><summary>{Html(summary.Optimizer)}</summary>");
            page.Table(["option", "value"], summary.Example.Options.Select(o => (IReadOnlyList<string>)[Html(o.Key), Html(o.Value)]));
            page.Add("</details>\n");
        }
    }

    private static void AddCoverage(HtmlPage page, BenchmarkResult comparison)
    {
        page.Add("<h2>Coverage: the method that updates each parameter, and why</h2>\n");
        foreach (var summary in Summary.Of(comparison))
        {
            page.Add($"<details{(summary.Optimizer == "kfac" ? " open" : "")}><summary>{Html(summary.Optimizer)}</summary>");
            page.Table(
                ["parameter", "block", "reason"],
                summary.Example.Coverage.Select(c => (IReadOnlyList<string>)[Html(c.Parameter), Html(c.Block), Html(c.Reason)])
            );
            page.Add("</details>\n");
        }
    }

    private static void AddEvents(HtmlPage page, BenchmarkResult comparison)
    {
        var events = comparison.Runs.SelectMany(r => r.Events.Select(e => (Run: r, Event: e))).ToList();
        page.Add("<h2>Events</h2>\n");
        if (events.Count == 0)
            page.Add("<p>None: no failed factorisation, skipped step or fallback during training.</p>\n");
        else
            page.Table(
                ["optimizer", "seed", "step", "where", "what"],
                events
                    .Take(MaxEvents)
                    .Select(e =>
                        (IReadOnlyList<string>)
                            [Html(e.Run.Optimizer), $"{e.Run.Seed}", $"{e.Event.Step}", Html(e.Event.Subject), Html(e.Event.Message)]
                    )
            );
        if (events.Count > MaxEvents)
            page.Add($"<p class=\"sub\">The first {MaxEvents} of {events.Count}; result.json has all.</p>\n");
    }

    private static void AddTrials(HtmlPage page, BenchmarkResult comparison)
    {
        if (comparison.Trials.Count == 0)
            return;
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
                                OptimizerCatalog.Find(t.Optimizer).SearchSpaceOf(t.Options).Select(d => $"{d.Option} {t.Options[d.Option]}")
                            )
                        ),
                    ]
            )
        );
    }

    /// <summary>The curves as a JavaScript literal: a thin one for each seed and a bold median. JSON escapes text that could end the
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
        comparison.Runs is [{ WeightInit: not WeightInit.Workload and var start }, ..]
            ? $", weight initialisation {WeightInits.NameOf(start)}"
            : "";

    private static string Html(string text) => HtmlPage.Text(text);
}
