using System.Text.Json.Nodes;
using Amari.Cli.Lecture;
using Amari.Reporting;
using Amari.Tests.Training;
using Amari.Training;
using static Amari.Tests.Cli.Tool;

namespace Amari.Tests.Cli;

/// <summary>Every item of the lecture holds; the command leaves figures and JSON where it was asked to.</summary>
public sealed class LectureTests : IDisposable
{
    private readonly int _threads = get_num_threads();

    public LectureTests() => set_num_threads(1); // as the command does

    public void Dispose() => set_num_threads(_threads);

    public static TheoryData<string> Ids => [.. LectureCatalog.All.Select(i => i.Id)];

    [Theory, MemberData(nameof(Ids))]
    public void Every_check_of_an_item_holds(string id)
    {
        using var folder = new TemporaryFolder();
        using var results = ResultFolder.Prepare(folder.Path, false, "lecture", null);
        var run = LectureRun.Of(LectureCatalog.Find([id]).Single(), 0, results);
        Assert.Null(run.Error);
        Assert.NotEmpty(run.Result!.Checks);
        Assert.All(
            run.Result.Checks.Where(c => !c.Timed),
            c => Assert.True(c.Passed, $"{c.Name}: {c.Value}, expected {c.Expected} ({c.Relation}, {c.Tolerance})")
        );
        Assert.NotEmpty(run.Result.Tables);
        Assert.DoesNotMatch(@"-0(\.0+)?(?![\d.])", string.Join(' ', run.Result.Tables.SelectMany(t => t.Rows).SelectMany(r => r)));
        Assert.NotEmpty(run.Result.Sentence);
        Assert.Equal(2 * run.Result.Figures.Count, run.Files.Count);
        string section = LectureText.Section(id);
        Assert.All(
            run.Result.Figures,
            f => Assert.Contains($"(figures/{Path.GetFileName(f.Name)}.png)", section, StringComparison.Ordinal)
        );
        Assert.All(LectureText.Phrases(id, run.Result), phrase => Assert.Contains(phrase, section, StringComparison.Ordinal));
        foreach (string file in run.Files)
        {
            byte[] bytes = File.ReadAllBytes(file);
            if (file.EndsWith(".png", StringComparison.Ordinal))
                Assert.Equal("PNG"u8, bytes.AsSpan(1, 3));
            else
                Assert.EndsWith("</svg>", System.Text.Encoding.UTF8.GetString(bytes).TrimEnd(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void The_command_writes_the_contract()
    {
        using var folder = new TemporaryFolder();
        string json = folder.File("lecture.json");
        var (code, output, error) = Run("lecture", "e2", "E1", "--json", json, "--out", folder.File("o"));
        Assert.Equal((0, ""), (code, error));
        Assert.Contains("All checks of E1, E2 hold.", output, StringComparison.Ordinal);
        Assert.Equal(File.ReadAllText(json), File.ReadAllText(Path.Combine(folder.File("o"), "result.json")));
        Assert.StartsWith(
            "<!doctype html>",
            File.ReadAllText(Path.Combine(folder.File("o"), LecturePage.FileName)),
            StringComparison.Ordinal
        );
        var items = JsonNode.Parse(File.ReadAllText(json))!["items"]!.AsArray();
        Assert.Equal(["E1", "E2"], items.Select(i => (string)i!["id"]!));
        foreach (var item in items)
        {
            Assert.True((bool)item!["passed"]!);
            Assert.All(item["figures"]!.AsArray(), f => Assert.True(File.Exists((string)f!)));
            Assert.NotEmpty(item["tables"]!.AsArray());
            foreach (var check in item["checks"]!.AsArray())
            {
                Assert.True((bool)check!["passed"]!);
                Assert.NotEmpty((string)check["name"]!);
                Assert.True(double.IsFinite((double)check["value"]!) && double.IsFinite((double)check["expected"]!));
            }
        }
        Assert.Equal(2, Run("lecture", "E1", "--out", folder.File("o")).Code); // results are not overwritten unasked
        Assert.Equal(0, Run("lecture", "E1", "--out", folder.File("o"), "--overwrite").Code);
    }

    [Fact]
    public void List_shows_every_item_and_an_unknown_one_is_refused()
    {
        var (code, output, _) = Run("lecture", "list");
        Assert.Equal(0, code);
        Assert.All(LectureCatalog.All, item => Assert.Contains($"{item.Id, -4} {item.Title}", output, StringComparison.Ordinal));
        var (bad, _, error) = Run("lecture", "M99");
        Assert.Equal(2, bad);
        Assert.Contains("M99", error, StringComparison.Ordinal);
        Assert.Single(error.Trim().Split('\n'));
    }

    [Fact]
    public void A_failed_check_or_item_is_reported()
    {
        using var folder = new TemporaryFolder();
        using var results = ResultFolder.Prepare(folder.Path, false, "lecture", null);
        var failed = LectureRun.Of(new Stub(() => new([new("a")], [Check.Near("one", 1, 2)], [], "no")), 0, results);
        var broken = LectureRun.Of(new Stub(() => throw new InvalidOperationException("no luck")), 0, results);
        Assert.False(failed.Passed);
        Assert.False(broken.Passed);
        var items = JsonNode.Parse(LectureReport.Json([failed, broken]))!["items"]!.AsArray();
        Assert.False((bool)items[0]!["checks"]![0]!["passed"]!);
        Assert.Contains("no luck", (string)items[1]!["error"]!, StringComparison.Ordinal);
        Assert.Empty(items[1]!["checks"]!.AsArray());
    }

    [Theory]
    [InlineData(1.0, 1.0, 0.0, true)]
    [InlineData(1.1, 1.0, 0.2, true)]
    [InlineData(1.1, 1.0, 0.05, false)]
    [InlineData(double.NaN, 1.0, 10.0, false)]
    public void Near_is_within_the_tolerance(double value, double expected, double tolerance, bool passed) =>
        Assert.Equal(passed, Check.Near("x", value, expected, tolerance).Passed);

    [Fact]
    public void Bounds_include_the_bound_and_refuse_NaN()
    {
        Assert.True(Check.AtLeast("x", 1, 1).Passed && Check.AtMost("x", 1, 1).Passed);
        Assert.False(Check.AtLeast("x", 0.9, 1).Passed || Check.AtMost("x", 1.1, 1).Passed);
        Assert.False(Check.AtLeast("x", double.NaN, 1).Passed || Check.AtMost("x", double.NaN, 1).Passed);
    }

    [Fact]
    public void An_exponent_is_the_slope_of_the_logarithms() =>
        Assert.Equal(2.5, Fit.Exponent([1, 2, 4, 8], [3, 3 * Math.Pow(2, 2.5), 3 * Math.Pow(4, 2.5), 3 * Math.Pow(8, 2.5)]), 12);

    private sealed class Stub(Func<LectureResult> run) : LectureItem("X", "stub")
    {
        public override LectureResult Run(int seed) => run();
    }
}
