using System.Text.Json;
using System.Text.RegularExpressions;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Reporting;

/// <summary>The data of a report's page, and what its script finds there.</summary>
public sealed partial class HtmlReportTests
{
    private static TrainingRun Make(string optimizer, int seed, RunStatus status = RunStatus.Completed) =>
        AnswerTests.Make(optimizer, seed, null, null, 0.5, status) with
        {
            HeldOut = [new(0, 0, 2.5, 0.1), new(1000, 10, 0.75, 0.8 + 0.1 * seed)],
            Rates = [new(0, 0, 0.1), new(1000, 10, 0)],
            Schedule = Schedule.Default,
        };

    private static ReportSection Section(string workload, string target, params TrainingRun[] runs) =>
        new(
            new(workload, "accuracy", new(target, 0.85), Budget.OfSeconds(10), runs, []) { HigherIsBetter = target == "accuracy" },
            $"What {workload} is",
            128
        );

    private static JsonElement Data(string page) => JsonDocument.Parse(Sections().Match(page).Groups[1].Value).RootElement;

    private static double[] Numbers(JsonElement array) => [.. array.EnumerateArray().Select(v => v.GetDouble())];

    [Fact]
    public void Every_recorded_curve_is_in_the_page_the_judged_one_first()
    {
        string page = HtmlReport.Of([Section("w", "accuracy", Make("kfac", 0), Make("kfac", 1, RunStatus.CameApart), Make("sgd", 0))]);
        var section = Assert.Single(Data(page).EnumerateArray().ToList());
        var quantities = section.GetProperty("quantities").EnumerateArray().ToList();
        string[] names = ["held-out accuracy", "training loss", "held-out loss", "learning rate"];
        Assert.Equal(names, quantities.Select(q => q.GetProperty("name").GetString()));
        Assert.Equal(names, Buttons().Matches(page).Select(m => m.Groups[1].Value).Take(4));
        Assert.Equal(["0", "1", "2", "3"], QuantityButtons().Matches(page).Select(m => m.Groups[1].Value));
        Assert.Equal(0.85, quantities[0].GetProperty("target").GetDouble());
        Assert.All(quantities.Skip(1), q => Assert.Equal(JsonValueKind.Null, q.GetProperty("target").ValueKind));
        Assert.Equal([false, false, false, true], quantities.Select(q => q.GetProperty("isRate").GetBoolean()));

        var curves = section.GetProperty("curves").EnumerateArray().ToList();
        Assert.Equal(
            ["kfac seed 0", "kfac seed 1", "kfac median", "sgd seed 0"],
            curves.Select(c => $"{c.GetProperty("name")} {c.GetProperty("label")}")
        );
        Assert.Equal([false, false, true, true], curves.Select(c => c.GetProperty("bold").GetBoolean()));
        Assert.Equal([false, true, false, false], curves.Select(c => c.GetProperty("trouble").GetBoolean()));
        var points = curves[2].GetProperty("points").EnumerateArray().ToList();
        double[][] expected =
        [
            [0.1, 0.85],
            [2, 0.5],
            [2.5, 0.75],
            [0.1, 0],
        ];
        for (int i = 0; i < expected.Length; i++)
        {
            var drawn = Numbers(points[i].GetProperty("steps").GetProperty("y"));
            Assert.Equal(expected[i].Length, drawn.Length);
            Assert.All(expected[i].Zip(drawn), p => Assert.Equal(p.First, p.Second, 12));
            Assert.Equal([0, 1000], Numbers(points[i].GetProperty("steps").GetProperty("x")));
            Assert.Equal([0, 10], Numbers(points[i].GetProperty("seconds").GetProperty("x")));
        }
        Assert.Contains("best held-out loss", page, StringComparison.Ordinal);
        Assert.Contains("0.75\nstep 1000, 10 s", page, StringComparison.Ordinal);
        Assert.Contains("schedule of the learning rate: linear", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Learning_rates_without_a_schedule_are_named()
    {
        Assert.Contains(
            "schedule of the learning rate: linear (not of lbfgs or levenberg-marquardt)",
            HtmlReport.Of([Section("w", "loss", Make("adamw", 0), Make("lbfgs", 0), Make("levenberg-marquardt", 0))]),
            StringComparison.Ordinal
        );
        Assert.Contains(
            "no schedule: the learning rate is the method's own",
            HtmlReport.Of([Section("w", "loss", Make("levenberg-marquardt", 0))]),
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Several_workloads_have_a_section_each_with_its_own_ids_and_data()
    {
        string page = HtmlReport.Of([
            Section("first", "accuracy", Make("kfac", 0), Make("x", 0)),
            Section("second", "loss", Make("y", 0), Make("kfac", 0)),
            Section("third <b>", "held-out loss", Make("y", 0) with { HeldOut = [] }),
        ]);
        var sections = Data(page).EnumerateArray().ToList();
        Assert.Equal(
            ["held-out accuracy", "training loss", "training loss"],
            sections.Select(s => s.GetProperty("quantities")[0].GetProperty("name").GetString())
        );
        Assert.Equal(2, sections[2].GetProperty("quantities").GetArrayLength()); // no held-out curves
        string[] ids = [.. Ids().Matches(page[..page.IndexOf("<script>", StringComparison.Ordinal)]).Select(m => m.Groups[1].Value)];
        Assert.Equal(["workload0", "curves0", "plot0-figure", "plot0"], ids[..4]);
        Assert.Equal(ids.Length, ids.Distinct().Count());
        Assert.Equal(12, ids.Length);
        Assert.Contains("<title>Amari: optimizers on 3 workloads</title>", page, StringComparison.Ordinal);
        Assert.Contains("<a href=\"#workload2\">third &lt;b&gt;</a>", page, StringComparison.Ordinal);
        Assert.Contains("What second is", page, StringComparison.Ordinal);
        Assert.Equal(3, Regex.Count(page, "class=\"answer\""));

        var colors = sections
            .SelectMany(s => s.GetProperty("curves").EnumerateArray())
            .Select(c => (c.GetProperty("name").GetString(), c.GetProperty("color").GetString()))
            .Distinct()
            .ToList();
        Assert.Equal(3, colors.Count); // kfac, x and y have one color in all sections, and
        Assert.Equal(3, colors.Select(c => c.Item2).Distinct().Count()); // each its own
    }

    [Fact]
    public void Single_comparison_has_no_list_of_workloads()
    {
        string page = HtmlReport.Of([Section("w", "loss", Make("kfac", 0))]);
        Assert.Contains("<title>Amari: optimizers on w</title>", page, StringComparison.Ordinal);
        Assert.Contains("<h2>Training curves</h2>", page, StringComparison.Ordinal);
        Assert.DoesNotContain("id=\"workload0\"", page, StringComparison.Ordinal);
        Assert.Equal(3, Regex.Count(page, "role=\"group\"")); // quantity, axis and shown curves
        Assert.Equal(2, Regex.Count(page, "<button [^>]*aria-pressed=\"true\""));
    }

    [Fact]
    public void Cells_of_wide_tables_have_their_headings_for_narrow_screens()
    {
        var page = new HtmlPage("t");
        page.Table(
            "few <columns>",
            ["a", "b", "c"],
            [
                ["1", "2", "3"],
            ]
        );
        page.Table(
            "many",
            ["name", "a < b", "c", "d"],
            [
                ["x", "1", "2", "3"],
            ]
        );
        string text = page.Finish("", "comparison.js");
        Assert.Contains("<table><caption>few &lt;columns&gt;</caption>\n<tr><th scope=\"col\">a</th>", text, StringComparison.Ordinal);
        Assert.Contains("<tr><th scope=\"row\">1</th><td>2</td>", text, StringComparison.Ordinal);
        Assert.Contains("<div class=\"wide stack\"><table role=\"table\">", text, StringComparison.Ordinal);
        Assert.Contains("data-head=\"name\">x</th><td role=\"cell\" data-head=\"a &lt; b\">1</td>", text, StringComparison.Ordinal);
    }

    [GeneratedRegex(@"^const sections = (\[.*?\]);$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Sections();

    [GeneratedRegex(@"<button [^>]*>([^<]*)</button>")]
    private static partial Regex Buttons();

    [GeneratedRegex(@"<button data-quantity=""(\d)""")]
    private static partial Regex QuantityButtons();

    [GeneratedRegex(@"\bid=""([^""]*)""")]
    private static partial Regex Ids();
}
