using Amari.Reporting;
using Amari.Tests.Cli;
using Amari.Training;
using Amari.Verification;
using Spectre.Console;

namespace Amari.Tests.Reporting;

/// <summary>What fits into a terminal of 60 columns, without a word or a number that is cut.</summary>
public sealed class ConsoleTextTests
{
    private const int Narrow = 60;

    private static void AssertFits(string text, params string[] whole)
    {
        Assert.All(text.ReplaceLineEndings("\n").Split('\n'), line => Assert.True(line.TrimEnd().Length <= Narrow, line));
        Assert.DoesNotContain("…", text, StringComparison.Ordinal);
        foreach (string part in whole)
            Assert.Contains(part, text, StringComparison.Ordinal);
    }

    private static IAnsiConsole ConsoleOf(StringWriter writer) =>
        AnsiConsole.Create(
            new()
            {
                Out = new Terminal(writer, Narrow),
                Interactive = InteractionSupport.Yes,
                Ansi = AnsiSupport.No,
                ColorSystem = ColorSystemSupport.NoColors,
            }
        );

    [Theory]
    [InlineData("short  line", "short  line")]
    [InlineData("name   one two three four five six seven", "name   one two three four five|       six seven")]
    [InlineData("one two three four five six seven eight", "one two three four five six|  seven eight")]
    [InlineData("  one two three four five six seven eight", "  one two three four five six|    seven eight")]
    [InlineData("a                        far from the left", "a                        far|  from the left")]
    [InlineData("averyveryveryveryveryverylongword next", "averyveryveryveryveryverylongword|  next")]
    [InlineData("", "")]
    public void Lines_are_wrapped_between_words_below_their_last_column(string text, string expected) =>
        Assert.Equal(expected.Split('|'), ConsoleText.Wrap(text, 30).ReplaceLineEndings("\n").Split('\n'));

    [Fact]
    public void Results_plans_and_progress_fit_into_a_narrow_terminal()
    {
        var comparison = PlantedRuns.Compared(
            "held-out loss",
            0.3,
            PlantedRuns.Times("schedulefree-adamw", [1, 1.1, 1.2], 40).HeldOut([0.2, 0.21, 0.2], [0.2, 0.21, 0.2]),
            PlantedRuns.Times("levenberg-marquardt", [3, 3.3, 3.1]).HeldOut([0.25, 0.26, 0.27], [0.25, 0.26, 0.27])
        );
        using var writer = new StringWriter();
        var console = ConsoleOf(writer);
        Report.Show(comparison, console);
        string[] heads = ["optimizer", "state", "B /\nparam", "ms /\nstep", "quartiles", "CPU\nms", "x\nadamw", "timed\nsteps"];
        string[][] rows =
        [
            ["levenberg-marquardt", "12345 kB", "1234.5", "12345", "12345-12346", "12345", "12345", "10000/10000"],
            ["  every 1000 steps", "", "", "1.23", "1.2-1.3", "", "", ""],
        ];
        foreach (var table in ResultTable.Of(heads, rows, Narrow))
            console.Write(table);
        AssertFits(writer.ToString(), [.. rows[0], "1.2-1.3", "schedulefree-adamw", "0.2..0.21"]);
    }

    [Fact]
    public void A_run_in_progress_fits_into_a_narrow_terminal()
    {
        using var writer = new StringWriter();
        using (var view = new ProgressView(ConsoleOf(writer), "digits-mlp: " + string.Join(' ', Enumerable.Repeat("word", 30))))
        {
            view.Report(new("levenberg-marquardt", 0, "tuning 10/11", 123456, 5, 0.5, -1.23e-10, -1.23e-10, 0.9, 1.5, 12345, true));
            view.Report(new("kfac", 12, "", 123456, 5, 0.5, 0.25, 0.5, 0.9, 1.5, 5, true) { Status = RunStatus.CameApart });
        }
        AssertFits(writer.ToString(), "came apart", "0.5");
    }

    [Fact]
    public void A_verification_fits_into_a_narrow_terminal()
    {
        using var scope = NewDisposeScope();
        manual_seed(0);
        var model = nn.Sequential(("first-layer", nn.Linear(4, 3)), ("second", nn.Linear(3, 2)));
        var report = Verifier.Verify(model, new Categorical(), randn(3, 4), randint(0, 2, [3], dtype: ScalarType.Int64));
        string text = ConsoleText.Wrap(report.ToString(Narrow), Narrow);
        AssertFits(text, "gradient", "agreeing digits");
        Assert.Equal(Heads(report.ToString()), Heads(report.ToString(Narrow)));

        static IEnumerable<string> Heads(string report) =>
            report
                .Split('\n')
                .Where(l => l.StartsWith("agreeing digits", StringComparison.Ordinal))
                .SelectMany(l => l["agreeing digits".Length..].Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(w => w.Trim()));
    }
}
