using Amari.Training;
using Amari.Workloads;
using static Amari.Tests.Cli.PlantedRuns;
using static Amari.Tests.Reporting.AnswerTests;

namespace Amari.Tests.Reporting;

/// <summary>Runs that are too short for a verdict.</summary>
public sealed class AnswerShortTests
{
    private static TrainingRun[] Steps(string optimizer, long steps, RunStatus status = RunStatus.Completed, double loss = 0.5) =>
        [.. Enumerable.Range(0, 3).Select(seed => Make(optimizer, seed, null, null, loss + 0.001 * seed, status) with { Steps = steps })];

    private static BenchmarkResult Within(Budget budget, params TrainingRun[][] runs) =>
        Compared("loss", 0.1, runs) with
        {
            Budget = budget,
        };

    [Fact]
    public void A_budget_of_one_step_gives_no_verdict()
    {
        var result = Within(Budget.OfSeconds(0.001), Steps("adamw", 40, loss: 0.2), Steps("kfac", 1), Steps("soap", 1));
        Assert.Equal(
            "kfac and soap took no more than one step within 0.001 s, which is too short to compare: use a longer --budget.",
            Amari.Reporting.Answer.Of(result)
        );
        Assert.Empty(Amari.Reporting.Answer.WinnersOf(result));
        Assert.Null(Amari.Reporting.Answer.ReservationOf(result));
    }

    [Fact]
    public void Two_steps_or_a_step_an_epoch_are_compared()
    {
        string text = Amari.Reporting.Answer.Of(Within(Budget.OfSeconds(0.001), Steps("adamw", 2, loss: 0.2), Steps("kfac", 2)));
        Starts("Use adamw: it ended with the lowest loss", text);
        text = Amari.Reporting.Answer.Of(Within(Budget.OfEpochs(1), Steps("adamw", 1, loss: 0.2), Steps("kfac", 1)));
        Starts("Use adamw: it ended with the lowest loss", text);
    }

    /// <summary>A method that is done after one step, or at the target, has not been cut short.</summary>
    [Fact]
    public void One_step_to_the_end_or_the_target_is_compared()
    {
        TrainingRun[] done = [.. Steps("levenberg-marquardt", 1, loss: 0.01).Select(r => r with { Ending = "The gradient is zero." })],
            there = [.. Times("gauss-newton", [0.01, 0.01, 0.01]).Select(r => r with { Steps = 1, StepsToTarget = 1 })];
        Lacks("too short", Amari.Reporting.Answer.Of(Within(Budget.OfSeconds(1), Steps("adamw", 40), done, there)));
    }

    [Theory]
    [InlineData(RunStatus.Interrupted, "Stopped before the first step.")]
    [InlineData(RunStatus.Completed, "No step was taken within 10 s.")]
    public void Runs_without_a_step_give_no_verdict(RunStatus status, string expected)
    {
        TrainingRun[] met = [.. Times("kfac", [0, 0, 0]).Select(r => r with { Steps = 0, Status = status })];
        var result = Within(Budget.OfSeconds(10), Steps("adamw", 0, status), met);
        Assert.Equal(expected, Amari.Reporting.Answer.Of(result));
        Assert.Empty(Amari.Reporting.Answer.WinnersOf(result));
        Assert.Equal(expected, Amari.Reporting.Answer.Of(Within(Budget.OfSeconds(10), met)));
    }

    [Fact]
    public void Failures_before_the_first_step_are_reported_as_such()
    {
        string text = Amari.Reporting.Answer.Of(Within(Budget.OfSeconds(10), Steps("adamw", 0, RunStatus.Failed), Steps("kfac", 900)));
        Contains("adamw failed on seeds 0, 1 and 2", text);
        Lacks("before the first step", text);
    }
}
