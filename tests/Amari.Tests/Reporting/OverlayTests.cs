using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using static Amari.Tests.Cli.PlantedRuns;
using static Amari.Tests.Reporting.AnswerTests;

namespace Amari.Tests.Reporting;

/// <summary>The answer over several results claims nothing that their differences rule out.</summary>
public sealed class OverlayTests
{
    private static readonly ProgramStart Here = ProgramStart.Of("amari compare");

    private static BenchmarkResult Result(params TrainingRun[][] runs) =>
        Compared("loss", 0.1, runs) with
        {
            Provenance = new(Here, [0, 1, 2]),
        };

    private static readonly BenchmarkResult A = Result(Times("adamw", [3, 3.3, 3.2], ends: [0.08, 0.081, 0.08]));
    private static readonly BenchmarkResult B = Result(Times("kfac", [1, 1.1, 1.2], ends: [0.02, 0.021, 0.02]));

    private static Overlay Of(params BenchmarkResult[] results) =>
        Assert.Single(
            Overlay.Of([.. results.Select((r, i) => new LoadedResult($"/results/{(char)('a' + i)}", $"{i}", r, Partial: false))])
        );

    private static string Answer(params BenchmarkResult[] results) => Amari.Reporting.Answer.Of(Of(results).Comparison);

    [Fact]
    public void Like_results_are_compared()
    {
        string text = Answer(A, B);
        Starts("Use kfac: it reached loss 0.1 first", text);
        Contains("kfac also ended with the lowest loss, 0.02, better than all others.", text);
        Contains("Each optimizer ran at its defaults", text);
    }

    [Fact]
    public void Other_budgets_leave_the_ends_open()
    {
        TrainingRun[] missed = Times("sgd", [double.NaN, double.NaN, double.NaN]);
        string text = Answer(A, B with { Budget = Budget.OfSeconds(20), Runs = [.. B.Runs, .. missed] });
        Starts("Use kfac: it reached loss 0.1 first", text);
        Contains("The ends of the runs are not compared, because the budgets differ.", text);
        Contains("sgd did not reach the target within 20 s with any of 3 seeds.", text);
        Lacks("ended with the lowest", text);
        Lacks("faster than sgd", text);

        var brief = Result(Times("lion", [double.NaN, double.NaN, double.NaN])) with { Budget = Budget.OfSeconds(1) };
        text = Answer(brief, Result(Times("kfac", [double.NaN, double.NaN, double.NaN])));
        Starts("No optimizer reached loss 0.1 within 1 s (lion) and 10 s (kfac). The ends of the runs are not compared", text);
    }

    [Fact]
    public void Other_machines_leave_the_times_open()
    {
        var elsewhere = B with { Provenance = new(Here with { Machine = Here.Machine with { Processor = "abacus" } }, [0, 1, 2]) };
        string text = Answer(A, elsewhere);
        Starts("The times to loss 0.1 are not compared, because the machines differ.", text);
        Contains("The ends of the runs are not compared, because the machines differ.", text); // a budget of seconds
        Lacks("faster", text);
        Lacks("Use ", text);
        text = Answer(A, B with { Provenance = new(Here with { Threads = 99 }, [0, 1, 2]) });
        Starts("The times to loss 0.1 are not compared, because the numbers of threads differ.", text);
        text = Answer(A with { Budget = Budget.OfEpochs(3) }, elsewhere with { Budget = Budget.OfEpochs(3) });
        Contains("kfac ended with the lowest loss, 0.02, better than all others.", text);
    }

    [Fact]
    public void It_says_which_ran_with_which_settings()
    {
        Trial trial = new("kfac", new Dictionary<string, string> { ["LearningRate"] = "1" }, Budget.OfSeconds(10), 1);
        string text = Answer(A, B with { Settings = SettingsSource.Tuned, Trials = [trial] });
        Contains("The settings are not alike: adamw at defaults; kfac tuned by 1 trial.", text);
        Lacks("Each optimizer", text);
    }

    [Fact]
    public void Methods_of_several_results_keep_what_is_said_of_them()
    {
        var average = Result(Times("schedulefree-adamw", [3, 3.3, 3.2]));
        Contains("Without the learning-rate schedule of the others: schedulefree-adamw (a) and", Answer(average, average));
    }

    /// <summary>A file with several workloads is one path several times.</summary>
    [Fact]
    public void Results_have_the_names_of_their_folders()
    {
        Assert.Equal(["compare", "compare"], Overlay.NamesOf(["/a/compare", "/a/compare"]));
        Assert.Equal(["a/compare", "b/compare", "a/compare"], Overlay.NamesOf(["/a/compare", "/b/compare", "/a/compare"]));
    }

    [Fact]
    public void Other_initial_weights_are_noted()
    {
        var glorot = B with { Runs = [.. B.Runs.Select(r => r with { WeightInit = WeightInit.Glorot })] };
        Assert.Contains("The initial weights differ (a: workload, b: glorot).", Of(A, glorot).Notes);
    }
}
