using Amari.Reporting;
using Amari.Training;
using Spectre.Console;
using Spectre.Console.Testing;

namespace Amari.Tests.Reporting;

/// <summary>Progress where output is redirected, and on a terminal.</summary>
public sealed class ProgressViewTests
{
    private static RunProgress At(long step, double fraction, bool evaluated = false, string stage = "") =>
        new("kfac", 3, stage, step, 10 * fraction, fraction, 0.25, 0.5, 0.9, 1.5, 10 * (1 - fraction), evaluated);

    [Fact]
    public void Redirected_output_gets_few_lines_and_each_run_its_last_one_once()
    {
        using var console = new TestConsole();
        using (var view = new ProgressView(console, "the title"))
        {
            view.Report(At(0, 0, evaluated: true));
            for (int step = 1; step < 1000; step++)
                view.Report(At(step, step / 1000.0, evaluated: step % 10 == 0));
            view.Report(At(1000, 1, evaluated: true));
            view.Report(At(1000, 1, evaluated: true));
        }
        Assert.Equal(2, console.Lines.Count);
        Assert.Equal("the title", console.Lines[0]);
        Assert.Equal(
            "kfac   seed 3             100 %  step    1000    10.0 s  loss 0.5      batch 0.25        1.5 ms/step      0 s left",
            console.Lines[1]
        );
    }

    [Fact]
    public void A_run_that_did_not_hold_is_named_where_its_numbers_are()
    {
        using var console = new TestConsole();
        using (var view = new ProgressView(console, "the title"))
        {
            view.Report(At(1000, 1, evaluated: true));
            view.Report(At(1000, 1, evaluated: true) with { Status = RunStatus.CameApart });
            view.Report(At(7, 0.2, evaluated: true) with { Optimizer = "sgd", Status = RunStatus.Diverged });
            view.Report(At(1000, 1, evaluated: true) with { Optimizer = "lion", Status = RunStatus.Completed });
            view.Report(At(7, 0.2, evaluated: true) with { Optimizer = "adam", Status = RunStatus.Diverged, AllSecondsLeft = 78.4 });
        }
        Assert.Equal(6, console.Lines.Count);
        Assert.EndsWith(" s left  diverged; all runs: about 1 min 20 s left", console.Lines[5], StringComparison.Ordinal);
        Assert.Equal("kfac   seed 3                    came apart", console.Lines[2]);
        Assert.Matches("^sgd    seed 3              20 %  step       7 .*  diverged$", console.Lines[3]);
        Assert.EndsWith("s left", console.Lines[4], StringComparison.Ordinal);
    }

    [Fact]
    public void A_terminal_gets_a_table_that_fits_in_80_columns()
    {
        using var writer = new StringWriter();
        var console = AnsiConsole.Create(
            new()
            {
                Out = new Terminal(writer, 80),
                Interactive = InteractionSupport.Yes,
                Ansi = AnsiSupport.No,
                ColorSystem = ColorSystemSupport.NoColors,
            }
        );
        using (var view = new ProgressView(console, "the title"))
        {
            view.Report(At(7, 0.5, stage: "tuning 10/11"));
            view.Report(At(123456, 0.5) with { Seed = 2, Status = RunStatus.CameApart });
            view.Report(At(123456, 0.5) with { AllSecondsLeft = 4000 });
        }
        string[] lines = writer.ToString().TrimEnd().Split('\n');
        Assert.All(lines, line => Assert.True(line.TrimEnd().Length <= 80, line));
        Assert.Equal("all runs: about 1 h 5 min left", lines[^1].TrimEnd());
        Assert.Matches("kfac +3 +━{10} +123456 +0.5 +0.25 +1.5 +5 s", lines[^3] + lines[^2]);
    }

    [Theory]
    [InlineData(0.4, "0 s")]
    [InlineData(8.4, "8 s")]
    [InlineData(43, "45 s")]
    [InlineData(59, "1 min")]
    [InlineData(78, "1 min 20 s")]
    [InlineData(599, "10 min")]
    [InlineData(743, "12 min")]
    [InlineData(3599, "1 h")]
    [InlineData(7500, "2 h 5 min")]
    [InlineData(360000, "100 h")]
    public void Times_to_wait_are_round(double seconds, string words) => Assert.Equal(words, Number.Wait(seconds));
}
