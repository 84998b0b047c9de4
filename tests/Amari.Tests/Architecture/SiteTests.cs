using System.Text.RegularExpressions;
using Amari.Tests.Fixtures;

namespace Amari.Tests.Architecture;

/// <summary>The site that <c>dotnet docfx</c> builds. <c>.ci/run</c> builds it and sets AMARI_SITE; without it, these
/// tests are skipped.</summary>
public sealed partial class SiteTests(Chromium chromium)
{
    [GeneratedRegex("""<a\s[^>]*?href="([^"#]*)(?:#([^"]*))?"[^>]*>""")]
    private static partial Regex Link();

    [GeneratedRegex("""\s(?:id|name)="([^"]*)"[^>]*>""")]
    private static partial Regex Anchor();

    [GeneratedRegex("""<(?:script|img|iframe|source|link)\s[^>]*?(?:src|href)="([^"]*)"|url\(["']?([^)"']*)|@import ["']([^"']*)""")]
    private static partial Regex Resource();

    [GeneratedRegex("""\b(?:import|importScripts|fetch|Worker|URL)\(\s*["'`](?:https?:)?//[^"'`]*""")]
    private static partial Regex Request();

    private static string Site
    {
        get
        {
            string? site = Environment.GetEnvironmentVariable("AMARI_SITE");
            Assert.SkipWhen(site is null, "AMARI_SITE is not set to the folder of a built site.");
            return Path.GetFullPath(site!);
        }
    }

    private static IEnumerable<string> Files(string pattern) => Directory.EnumerateFiles(Site, pattern, SearchOption.AllDirectories);

    [Fact]
    public void Every_link_leads_to_a_file_and_an_anchor()
    {
        Dictionary<string, HashSet<string>> anchors = [];
        string[] broken =
        [
            .. from page in Files("*.html")
            from Match link in Link().Matches(File.ReadAllText(page))
            let address = Uri.UnescapeDataString(link.Groups[1].Value)
            where !address.Contains(':', StringComparison.Ordinal)
            let file = address.Length == 0 ? page : Path.GetFullPath(address, Path.GetDirectoryName(page)!)
            where !File.Exists(file) || (link.Groups[2].Length > 0 && !AnchorsOf(file).Contains(link.Groups[2].Value))
            select $"{Path.GetRelativePath(Site, page)}: {link.Groups[1].Value}#{link.Groups[2].Value}",
        ];
        Assert.Empty(broken);

        HashSet<string> AnchorsOf(string file) =>
            anchors.TryGetValue(file, out var known)
                ? known
                : anchors[file] = [.. Anchor().Matches(File.ReadAllText(file)).Select(m => m.Groups[1].Value)];
    }

    [Fact]
    public void Its_pages_and_styles_take_nothing_from_other_hosts() =>
        Assert.Empty(
            from file in Files("*.html").Concat(Files("*.css"))
            from Match resource in Resource().Matches(File.ReadAllText(file))
            let address = string.Concat(resource.Groups.Values.Skip(1).Select(g => g.Value))
            where !address.StartsWith("data:", StringComparison.Ordinal)
            where address.Contains("//", StringComparison.Ordinal) || !Exists(file, address)
            select $"{Path.GetRelativePath(Site, file)}: {address}"
        );

    [Fact]
    public void Its_scripts_request_nothing_from_other_hosts() =>
        Assert.Empty(
            from file in Files("*.js").Concat(Files("*.html"))
            from Match request in Request().Matches(File.ReadAllText(file))
            select $"{Path.GetRelativePath(Site, file)}: {request.Value}"
        );

    /// <summary>No end of a line is hidden, on a desktop or a phone.</summary>
    [Theory]
    [InlineData("index.html", 1280)]
    [InlineData("docs/lecture.html", 1280)]
    [InlineData("docs/lecture.html", 390)]
    public async Task Code_blocks_fit_the_window(string page, int width)
    {
        await using var open = await chromium.Open(new Uri(Path.Combine(Site, page)).AbsoluteUri, width);
        Assert.Empty(
            await open.Value<string[]>(
                "[...document.querySelectorAll('pre')].filter(e => e.scrollWidth > e.clientWidth).map(e => e.textContent.slice(0, 80))"
            )
        );
    }

    private static bool Exists(string file, string address) =>
        File.Exists(Path.GetFullPath(address.Split('?', '#')[0], Path.GetDirectoryName(file)!));
}
