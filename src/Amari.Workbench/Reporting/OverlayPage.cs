namespace Amari.Reporting;

/// <summary>The page of <c>amari report</c>, self-contained, with a section for each workload.</summary>
internal static class OverlayPage
{
    /// <param name="overlays">At least one.</param>
    /// <param name="figures">The PNG files of each.</param>
    public static string Of(IReadOnlyList<Overlay> overlays, IReadOnlyList<IReadOnlyList<string>> figures)
    {
        var page = new HtmlPage(
            "Amari: " + (overlays is [var only] ? $"optimizers on {only.Comparison.Workload}" : $"optimizers on {overlays.Count} workloads")
        );
        foreach (var (overlay, files) in overlays.Zip(figures))
            Add(page, overlay, files);
        return page.Finish([
            .. overlays
                .SelectMany(o => o.Results.Zip(o.Names))
                .Where(r => r.First.Comparison.Provenance is not null)
                .Select(r => (r.Second, r.First.Comparison.Provenance!)),
        ]);
    }

    private static void Add(HtmlPage page, Overlay overlay, IReadOnlyList<string> figures)
    {
        var comparison = overlay.Comparison;
        page.Add(
            $"""
            <h2>{Html(comparison.Workload)}</h2>
            <p class="sub">{Html(string.Join(", ", overlay.Names))}</p>
            <p class="answer">{Html(Answer.Of(comparison))}</p>

            """
        );
        if (overlay.Notes.Count > 0)
            page.Add($"<ul>{string.Concat(overlay.Notes.Select(n => $"<li>{Html(n)}</li>"))}</ul>\n");
        page.Table(
            ["optimizer", .. Summary.Heads(comparison)],
            Summary.Of(comparison).Select(s => (IReadOnlyList<string>)[Html(s.Optimizer), .. s.Cells().Select(Html)])
        );
        foreach (string file in figures)
            page.Add(Image(file, $"{OverlayReport.TitleOf(overlay)}, {Path.GetFileNameWithoutExtension(file)}"));
    }

    private static string Image(string file, string text) =>
        File.Exists(file)
            ? $"<p><img alt=\"{Html(text)}\" style=\"max-width: 100%\" src=\"data:image/png;base64,"
                + $"{Convert.ToBase64String(File.ReadAllBytes(file))}\"></p>\n"
            : "";

    private static string Html(string text) => HtmlPage.Text(text);
}
