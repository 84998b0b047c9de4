namespace Amari.Reporting;

/// <summary>The report of comparisons as a self-contained page that opens offline: of each workload the answer, interactive curves, tables
/// and all settings.</summary>
internal static class HtmlReport
{
    /// <summary>The script of the page, a file of the folder <c>Pages</c>.</summary>
    public const string Script = "comparison.js";

    /// <param name="sections">The comparisons, at least one; with several, each has its part of the page.</param>
    public static string Of(IReadOnlyList<ReportSection> sections)
    {
        var (page, data) = PageOf(sections);
        return page.Finish($"const sections = {data};\n", Script);
    }

    /// <summary>The page with all but its scripts, and their data as JSON on one line.</summary>
    /// <param name="sections">As above.</param>
    /// <param name="live"><see cref="HtmlPage.Live"/>.</param>
    public static (HtmlPage Page, string Data) PageOf(IReadOnlyList<ReportSection> sections, string? live = null)
    {
        bool single = sections.Count == 1;
        var page = new HtmlPage($"Amari: optimizers on {(single ? sections[0].Result.Workload : $"{sections.Count} workloads")}")
        {
            Live = live,
        };
        if (!single)
            page.Add($"<p class=\"sub\">{string.Join(", ", sections.Select((s, i) => $"<a href=\"#workload{i}\">{Name(s)}</a>"))}</p>\n");
        if (!sections.Any(s => s.IsOpen) && Overview.Of([.. sections.Select(s => s.Result)]) is { } overview)
            page.Add($"<p class=\"answer\">{HtmlPage.Text(overview)}</p>\n");
        var colors = Palette.Of(sections.SelectMany(s => s.Result.Runs).Select(r => r.Optimizer));
        var data = new List<string>();
        for (int i = 0; i < sections.Count; i++)
        {
            var writer = new SectionWriter(page, sections[i], i, colors, level: single ? 2 : 3);
            if (!single)
                page.Add($"<h2 id=\"workload{i}\" class=\"workload\">{Name(sections[i])}</h2>\n");
            data.Add(writer.AddResults());
            if (sections[i].Notes.Count > 0)
                page.Add($"<ul>{string.Concat(sections[i].Notes.Select(n => $"<li>{HtmlPage.Text(n)}</li>"))}</ul>\n");
            if (!single)
                page.Add("<details><summary>Runs, settings, coverage and events</summary>\n");
            writer.AddDetails();
            if (!single)
                page.Add("</details>\n");
        }
        MachineSection.AddTo(page, [.. sections.SelectMany(s => s.Provenances).Distinct()]);
        return (page, $"[{string.Join(",", data)}]");
    }

    private static string Name(ReportSection section) => HtmlPage.Text(section.Result.Workload);
}
