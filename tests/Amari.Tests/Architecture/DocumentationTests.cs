using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Amari.Training;

namespace Amari.Tests.Architecture;

/// <summary>What can be checked of README, CONTRIBUTING and docs: links, length, optimizers, options and their defaults.</summary>
public sealed partial class DocumentationTests
{
    [GeneratedRegex(@"\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)")]
    private static partial Regex Link();

    [GeneratedRegex(@"^\| `(\w+)` \| ([^|]+) \|[^|]*\|[^|]*\|$", RegexOptions.Multiline)]
    private static partial Regex OptionRow();

    [GeneratedRegex(@"^\| `([\w.]+)` \| ([^|]+) \|[^|]*\|[^|]*\|$", RegexOptions.Multiline)]
    private static partial Regex NestedRow();

    internal static string[] Pages { get; } =
    [
        .. new[] { "README.md", "CONTRIBUTING.md", "CHANGELOG.md" }.Select(f => Path.Combine(SourceTests.Root, f)),
        .. Directory.EnumerateFiles(Path.Combine(SourceTests.Root, "docs"), "*.md", SearchOption.AllDirectories),
    ];

    [Fact]
    public void Every_link_leads_to_a_file_and_a_heading()
    {
        var broken =
            from page in Pages
            from Match link in Link().Matches(File.ReadAllText(page))
            let file = link.Groups[1].Length == 0 ? page : Path.GetFullPath(link.Groups[1].Value, Path.GetDirectoryName(page)!)
            where !Path.Exists(file) || (link.Groups[2].Length > 0 && !Anchors(file).Contains(link.Groups[2].Value))
            select $"{Path.GetRelativePath(SourceTests.Root, page)}: {link.Value}";
        Assert.Empty(broken);
    }

    [Fact]
    public void Every_page_is_in_the_table_of_contents()
    {
        string docs = Path.Combine(SourceTests.Root, "docs"),
            contents = File.ReadAllText(Path.Combine(docs, "toc.yml"));
        var pages = Pages
            .Select(p => Path.GetRelativePath(docs, p).Replace('\\', '/'))
            .Where(p => p[0] != '.' && !p.StartsWith("site/", StringComparison.Ordinal));
        Assert.All(pages, p => Assert.Contains($"href: {p}\n", contents));
    }

    [Fact]
    public void The_readme_is_short() => Assert.InRange(File.ReadAllLines(Path.Combine(SourceTests.Root, "README.md")).Length, 1, 150);

    [Fact]
    public void The_decision_table_has_every_optimizer()
    {
        string choosing = File.ReadAllText(Path.Combine(SourceTests.Root, "docs/choosing.md"));
        Assert.All(OptimizerCatalog.All, e => Assert.Contains($"`{e.Name}`", choosing));
    }

    /// <summary>On a page of their own, shared.md.</summary>
    private static string[] Shared { get; } = ["Cautious", "CautiousDecay", "Maximize", "StateFormat"];

    [Fact]
    public void Shared_options_have_a_page() => Assert.All(Shared, o => Assert.Contains($"| `{o}` |", Page("shared")));

    private static string Page(string name) => File.ReadAllText(Path.Combine(SourceTests.Root, "docs/optimizers", $"{name}.md"));

    // K-FAC's options are nested records, with a table for each.
    public static TheoryData<string> Names =>
        [.. OptimizerCatalog.All.Where(e => e.OptionsType != typeof(Kfac.Options)).Select(e => e.Name)];

    [Theory, MemberData(nameof(Names))]
    public void Its_page_has_every_option_with_its_default(string name)
    {
        var type = OptimizerCatalog.Find(name).OptionsType;
        string page = Page(PageOf(type.DeclaringType!.Name));
        Assert.Matches($@"\| Command line \|.*`{name}`", page);
        object defaults = Activator.CreateInstance(type)!;
        var expected = type.GetProperties()
            .Where(p => p.SetMethod is { IsPublic: true } && !Shared.Contains(p.Name))
            .Select(p => $"{p.Name} {Shown(p.GetValue(defaults))}");
        string table = page[page.IndexOf("\n## Options\n", StringComparison.Ordinal)..];
        var actual = OptionRow().Matches(table).Select(m => $"{m.Groups[1].Value} {Canonical(m.Groups[2].Value)}");
        Assert.Equal(expected.Order(StringComparer.Ordinal), actual.Order(StringComparer.Ordinal));
    }

    /// <summary>Nested records: a part of the step rule is <c>Step.Name</c>; the curvature has a table of its own, without its
    /// name.</summary>
    [Fact]
    public void The_page_of_kfac_has_every_option_with_its_default()
    {
        var expected = Nested(new Kfac.Options(), "").Union(Nested(new QuadraticStep(), "Step."));
        var actual = NestedRow().Matches(Page("kfac")).Select(m => $"{m.Groups[1].Value} {Canonical(m.Groups[2].Value)}");
        Assert.Equal(expected.Order(StringComparer.Ordinal), actual.Order(StringComparer.Ordinal));
    }

    private static IEnumerable<string> Nested(object record, string prefix) =>
        from property in record.GetType().GetProperties()
        where property.SetMethod is { IsPublic: true }
        let value = property.GetValue(record)
        let own = value is RefreshOptions ? (string[])[] : [$"{prefix}{property.Name} {Shown(value)}"]
        let parts = value is StepRule or CurvatureOptions or RefreshOptions
            ? Nested(value, value is CurvatureOptions ? "" : property.Name + ".")
            : []
        from row in own.Concat(parts)
        select row;

    [Theory]
    [InlineData("result")]
    [InlineData("content")]
    [InlineData("start")]
    [InlineData("provenance")]
    [InlineData("run")]
    [InlineData("trial")]
    [InlineData("report")]
    [InlineData("source")]
    public void The_page_of_results_as_JSON_has_every_field(string part)
    {
        string docs = Path.Combine(SourceTests.Root, "docs"),
            page = File.ReadAllText(Path.Combine(docs, "json.md"));
        var schema = JsonNode.Parse(File.ReadAllText(Path.Combine(docs, "result-schema.json")))!;
        Assert.All(schema["$defs"]![part]!["properties"]!.AsObject(), p => Assert.Contains($"`{p.Key}`", page));
    }

    private static string PageOf(string optimizer) =>
        optimizer switch
        {
            nameof(PartitionedOptimizer) => "partitioned",
            nameof(ScheduleFree) => "schedule-free",
            nameof(SaddleFreeNewton) => "saddle-free-newton",
            nameof(NewtonCg) => "newton-cg",
            nameof(HessianFree) => "hessian-free",
            nameof(NaturalGradient) => "natural-gradient",
            nameof(LevenbergMarquardt) => "levenberg-marquardt",
            nameof(DampedGaussNewton) => "damped-gauss-newton",
            _ => optimizer.ToLowerInvariant(),
        };

    private static string Shown(object? value) =>
        value switch
        {
            null => "none",
            LinearSolver or StepRule or InverseOptions or CurvatureOptions or DistributionOptions => value.GetType().Name,
            OptimizerOptions o => $"{o.GetType().DeclaringType!.Name}.Options",
            bool b => b ? "true" : "false",
            Enum e => e.ToString(),
            IFormattable f => Canonical(f.ToString(null, CultureInfo.InvariantCulture)),
            _ => value.ToString()!,
        };

    private static string Canonical(string text) =>
        double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double number)
            ? number.ToString(CultureInfo.InvariantCulture)
            : text;

    /// <summary>As GitHub makes them: letters, digits, spaces as dashes.</summary>
    private static HashSet<string> Anchors(string page) =>
        [
            .. File.ReadLines(page)
                .Where(l => l.StartsWith('#'))
                .Select(l =>
                    string.Concat(l.TrimStart('#').Trim().ToLowerInvariant().Where(c => char.IsLetterOrDigit(c) || c is ' ' or '-' or '_'))
                )
                .Select(l => l.Replace(' ', '-')),
        ];
}
