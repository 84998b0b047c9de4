using System.Text.Json;
using System.Text.RegularExpressions;
using Amari.Cli.Lecture;
using Amari.Reporting;
using Amari.Tests.Architecture;
using Amari.Tests.Training;

namespace Amari.Tests.Cli;

/// <summary>The lecture as a page: complete, offline, with the figures of the run.</summary>
public sealed partial class LecturePageTests
{
    private static readonly Lazy<string> Page = new(() =>
    {
        using var folder = new TemporaryFolder();
        using var results = ResultFolder.Prepare(folder.Path, false, "lecture", null);
        return LecturePage.Of([.. LectureCatalog.Find(["E1", "E2"]).Select(item => LectureRun.Of(item, 0, results))]);
    });

    [GeneratedRegex("<(?:pre|code).*?</(?:pre|code)>|<style>.*?</style>", RegexOptions.Singleline)]
    private static partial Regex Code();

    [GeneratedRegex("(?:src|href)=\"(?!#|data:)[^\"]*|url\\([^)]*|@import|https?://[^ <)]*")]
    private static partial Regex Request();

    [GeneratedRegex("(?:^|[^$])\\$(?![ $])")]
    private static partial Regex Dollar();

    [Fact]
    public void Every_item_has_a_section_in_order()
    {
        int[] at = [.. LectureCatalog.All.Select(i => Page.Value.IndexOf($">{i.Id}: ", StringComparison.Ordinal))];
        Assert.DoesNotContain(-1, at);
        Assert.Equal(at.Order(), at);
    }

    [Fact]
    public void It_requests_nothing_and_its_links_lead_somewhere()
    {
        Assert.Empty(Request().Matches(Page.Value).Select(m => m.Value));
        var ids = Regex.Matches(Page.Value, " id=\"([^\"]*)\"").Select(m => m.Groups[1].Value).ToHashSet();
        Assert.Empty(Regex.Matches(Page.Value, "href=\"#([^\"]*)\"").Select(m => m.Groups[1].Value).Except(ids));
    }

    [Fact]
    public void Formulas_are_those_of_the_source()
    {
        using var stream = typeof(LecturePage).Assembly.GetManifestResourceStream("formulas.json")!;
        var formulas = JsonSerializer.Deserialize<Dictionary<string, Dictionary<string, string>>>(stream)!;
        string source = Regex.Replace(Regex.Replace(LecturePage.Source, "^> ?", "", RegexOptions.Multiline), @"\s+", " ");
        Assert.All(formulas["inline"].Keys, tex => Assert.Contains($"${tex}$", source, StringComparison.Ordinal));
        Assert.All(formulas["display"].Keys, tex => Assert.Contains($"$$ {tex} $$", source, StringComparison.Ordinal));
        Assert.True(Regex.Count(Page.Value, "<math") >= formulas["inline"].Count + formulas["display"].Count);
        Assert.DoesNotMatch(Dollar(), Code().Replace(Page.Value, "")); // none is left in LaTeX
    }

    [Fact]
    public void Figures_are_those_of_the_run()
    {
        Assert.Equal(2, Regex.Count(Page.Value, "<img alt=\"[^\"]+\" src=\"data:image/png;base64,iVBOR"));
        int all = Regex.Count(LecturePage.Source, @"!\[");
        Assert.Equal(all - 2, Regex.Count(Page.Value, "The item that draws it is not part of this run"));
        Assert.Equal(2, Regex.Count(Page.Value, "The numbers of this run \\(7 of 7 checks hold"));
        Assert.Contains(">-22027<", Page.Value, StringComparison.Ordinal);
        string figures = Path.Combine(SourceTests.Root, "docs/figures");
        Assert.Equal(
            Directory.EnumerateFiles(figures, "*.png").Select(f => Path.GetFileName(f)!).Where(IsOfAnItem).Order(StringComparer.Ordinal),
            Regex.Matches(LecturePage.Source, @"\(figures/([^)]*)\)").Select(m => m.Groups[1].Value).Order(StringComparer.Ordinal)
        );

        static bool IsOfAnItem(string file) => file.StartsWith("01-4", StringComparison.Ordinal) || Regex.IsMatch(file, "^[A-Z][0-9]");
    }

    [Fact]
    public void A_failed_item_is_reported() =>
        Assert.Contains(
            "E1 failed in this run: 1 &lt; 0",
            LecturePage.Of([new(LectureCatalog.Find(["E1"])[0], null, "1 < 0", 0, [])]),
            StringComparison.Ordinal
        );
}
