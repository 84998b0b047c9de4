using Amari.Training;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>Writes one comparison into a page: the answer, interactive curves, tables and all settings.</summary>
/// <param name="page">The page.</param>
/// <param name="section">The comparison.</param>
/// <param name="index">Its position in the page; element ids end with it.</param>
/// <param name="colors">The colors of the page's optimizers.</param>
/// <param name="level">The level of the headings, 2 or 3.</param>
internal sealed class SectionWriter(HtmlPage page, ReportSection section, int index, IReadOnlyDictionary<string, string> colors, int level)
{
    private const int MaxEvents = 200;
    private readonly BenchmarkResult _comparison = section.Result;

    /// <summary>The description, the answer, the table and the curves.</summary>
    /// <returns>The data of the figures, a JavaScript literal.</returns>
    public string AddResults()
    {
        var panels = MonitorPanel.Of(_comparison, colors);
        AddAnswer();
        if (_comparison.Runs.Count > 0)
        {
            AddTable();
            AddCurves();
            AddSolution();
            AddCurvature(panels);
        }
        return CurveTraces.Json(_comparison, colors, panels);
    }

    /// <summary>The runs, the settings, the coverage, the events and the trials.</summary>
    public void AddDetails()
    {
        if (_comparison.Runs.Count > 0)
        {
            AddRuns();
            AddTables();
            AddSettings();
            AddCoverage();
            AddEvents();
        }
        AddTrials();
    }

    private void AddHead(string text) => page.Add($"<h{level}>{Html(text)}</h{level}>\n");

    private void AddAnswer() =>
        page.Add(
            $"""
            <p class="sub">{Html(section.Description)}. {Html(
                Sources.Budget(_comparison, Summary.Of(_comparison).Select(s => s.Optimizer))
            )} per run, batch {section.BatchSize},
            {Seeds()}{Start()}{Schedule()}.</p>
            <p class="answer">{Html(section.IsOpen ? OpenAnswer() : Answer.Of(_comparison))}</p>

            """
        );

    private string OpenAnswer() => string.Join(" ", ["The answer comes when all runs have ended.", .. Answer.Origin(_comparison)]);

    private void AddTable() =>
        page.Table(
            "Results by optimizer",
            ["optimizer", .. Summary.Heads(_comparison)],
            Summary
                .Of(_comparison)
                .Select(s =>
                    (IReadOnlyList<string>)
                        [$"<span class=\"dot\" data-color=\"{colors[s.Optimizer]}\"></span>{Html(s.Optimizer)}", .. s.Cells().Select(Html)]
                )
        );

    private void AddCurves()
    {
        if (index == 0)
            page.Add(
                """
                <p class="sub">Medians over seeds, with the range below. Time counts all work of training: batch, forward, backward and
                optimizer step. It excludes evaluation, and the warm-up of a comparison: at most 2 s of steps of each optimizer on a
                temporary model, until they are compiled.</p>

                """
            );
        AddHead("Training curves");
        var quantities = CurveQuantity.Of(_comparison);
        page.Add($"<div id=\"curves{index}\">\n")
            .Add(quantities.Count == 1 ? "" : Switch("quantity", "quantity", quantities.Select((q, i) => ($"{i}", q.Name))))
            .Add(Switch("axis", "horizontal axis", [("seconds", "against seconds"), ("steps", "against steps")]))
            .Figure($"plot{index}", "curves", $"Training curves on {_comparison.Workload}")
            .Add("</div>\n");
    }

    private void AddSolution()
    {
        if (SolutionFrames.Optimizers(_comparison) is not { Count: > 0 } names)
            return;
        AddHead("Solution, network and error during training");
        page.Add(
            $"""
            <p class="sub">The run with the first seed of each optimizer. The color of the error is logarithmic, with one scale for all of
            them.</p>
            <div id="solution{index}">
            {(names.Count == 1 ? "" : Switch("run", "optimizer", names.Select((n, i) => ($"{i}", n))))}
            <p class="frames"><button data-play="" aria-label="play">&#9654; play</button>
            <input type="range" min="0" step="1" aria-label="evaluation"><output></output></p>

            """
        );
        page.Figure($"field{index}", "field", "Solution, network and error").Add("</div>\n");
    }

    /// <summary>Buttons of which one is pressed, at first the first.</summary>
    private static string Switch(string data, string label, IEnumerable<(string Value, string Text)> choices) =>
        $"<p class=\"switch\" role=\"group\" aria-label=\"{label}\">\n"
        + string.Concat(
            choices.Select(
                (c, i) => $"<button data-{data}=\"{c.Value}\" aria-pressed=\"{(i == 0 ? "true" : "false")}\">{Html(c.Text)}</button>\n"
            )
        )
        + "</p>\n";

    private void AddCurvature(IReadOnlyList<MonitorPanel> panels)
    {
        if (panels.Count == 0)
            return;
        AddHead("Curvature during training");
        page.Add($"<p class=\"sub\">{Html(MonitorPanel.Cost(_comparison)!)} {Html(MonitorPanel.Explanation(_comparison))}</p>\n");
        for (int i = 0; i < panels.Count; i++)
            page.Add($"<h{level + 1}>{Html(panels[i].Title)}</h{level + 1}>\n").Figure($"monitor{index}-{i}", "monitor", panels[i].Title);
    }

    private void AddRuns()
    {
        AddHead("Runs");
        bool heldOut = _comparison.Runs.Any(r => r.HasHeldOutLoss);
        page.Table(
            "Runs",
            [
                "optimizer",
                "seed",
                "status",
                "best loss",
                "final loss",
                .. heldOut ? ["best held-out loss", "final held-out loss"] : Array.Empty<string>(),
                "final " + _comparison.Metric,
                "steps",
                "remark",
            ],
            _comparison.Runs.Select(r =>
                (IReadOnlyList<string>)
                    [
                        Html(r.Optimizer),
                        $"{r.Seed}",
                        Trouble.Words(r),
                        r.Best is { } best ? At(best.Loss, best.Step, best.Seconds) : "-",
                        Number.Short(r.FinalLoss),
                        .. heldOut
                            ? [r.BestHeldOut is { } held ? At(held.Loss, held.Step, held.Seconds) : "-", Number.Short(r.FinalHeldOutLoss)]
                            : Array.Empty<string>(),
                        Number.Short(r.FinalMetric, 4),
                        $"{r.Steps}",
                        Html(Trouble.Line(r) ?? ""),
                    ]
            )
        );

        static string At(double value, long step, double seconds) =>
            FormattableString.Invariant($"{Number.Short(value)}\nstep {step}, {Number.Short(seconds)} s");
    }

    private void AddTables()
    {
        foreach (var run in _comparison.Runs)
            if (run.Table is { } table)
            {
                AddHead(_comparison.Runs.Count == 1 ? table.Title : $"{table.Title}: {run.Optimizer}, seed {run.Seed}");
                page.Table(table.Title, [.. table.Heads], table.Rows.Select(row => (IReadOnlyList<string>)[.. row.Select(Html)]));
            }
    }

    private void AddSettings()
    {
        AddHead("Settings");
        foreach (var summary in Summary.Of(_comparison))
        {
            page.Add($"<details><summary>{Html(summary.Optimizer)}</summary>");
            page.Table(
                $"Settings of {summary.Optimizer}",
                ["option", "value"],
                summary
                    .Example.Options.Select(o => (IReadOnlyList<string>)[Html(o.Key), Html(o.Value)])
                    .Append(["schedule of the rate", Html(summary.Example.Schedule.ToString())])
            );
            page.Add("</details>\n");
        }
    }

    private void AddCoverage()
    {
        AddHead("Coverage: the method that updates each parameter, and why");
        foreach (var summary in Summary.Of(_comparison))
        {
            page.Add($"<details{(summary.Optimizer == "kfac" ? " open" : "")}><summary>{Html(summary.Optimizer)}</summary>");
            page.Table(
                $"Coverage of {summary.Optimizer}",
                ["parameter", "block", "reason"],
                summary.Example.Coverage.Select(c => (IReadOnlyList<string>)[Html(c.Parameter), Html(c.Block), Html(c.Reason)])
            );
            page.Add("</details>\n");
        }
    }

    private void AddEvents()
    {
        var events = _comparison.Runs.SelectMany(r => r.Events.Select(e => (Run: r, Event: e))).ToList();
        AddHead("Events");
        if (events.Count == 0)
            page.Add("<p>None: no failed factorisation, skipped step or fallback during training.</p>\n");
        else
            page.Table(
                "Events",
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

    private void AddTrials()
    {
        if (_comparison.Trials.Count == 0)
            return;
        AddHead("Tuning trials");
        page.Table(
            "Tuning trials",
            ["optimizer", "budget", "validation loss", "validation " + _comparison.Metric, "schedule", "settings tried"],
            _comparison.Trials.Select(t =>
                (IReadOnlyList<string>)
                    [
                        Html(t.Optimizer),
                        Html(t.Budget.ToString()),
                        double.IsFinite(t.Loss)
                            ? Number.Short(t.Loss, 4) + (t.Status == RunStatus.CameApart ? " (came apart)" : "")
                            : Trouble.Words(t.Status),
                        double.IsFinite(t.Metric) ? Number.Short(t.Metric, 4) : "-",
                        Html(t.Schedule.ToString()),
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

    private string Seeds() => _comparison.Runs.Select(r => r.Seed).Distinct().Count() is var n and not 1 ? $"{n} seeds" : "one seed";

    private string Start() =>
        _comparison.Runs is [{ WeightInit: not WeightInit.Workload and var start }, ..]
            ? $", weight initialisation {WeightInits.NameOf(start)}"
            : "";

    /// <summary>The schedules of the runs, and whose learning rates do not follow one.</summary>
    private string Schedule()
    {
        var own = _comparison.Runs.ToLookup(r => OptimizerCatalog.All.FirstOrDefault(o => o.Name == r.Optimizer)?.OwnSchedule is not null);
        if (!own[false].Any())
            return ", no schedule: the learning rate is the method's own";
        string schedules = own[false].Select(r => r.Schedule).Distinct().ToList() is [var schedule]
            ? $"schedule of the learning rate: {schedule}"
            : "schedules of the learning rate by tuning";
        string[] others = [.. own[true].Select(r => r.Optimizer).Distinct()];
        return Html($", {schedules}{(others.Length == 0 ? "" : $" (not of {Trouble.Join(others, "or")})")}");
    }

    private static string Html(string text) => HtmlPage.Text(text);
}
