using Amari.Training;
using static Amari.Tests.Cli.PlantedRuns;
using static Amari.Tests.Reporting.AnswerTests;

namespace Amari.Tests.Reporting;

/// <summary>Comparisons on a machine whose processors others used.</summary>
public sealed class AnswerBusyTests
{
    /// <summary>kfac takes a tenth of the steps, but eight times as long.</summary>
    private static readonly BenchmarkResult Calm = Compared(
        "loss",
        0.1,
        Times("adamw", [1.1, 1.15, 1.2]),
        Times("kfac", [9.1, 9.2, 9], 800),
        Times("lion", [5, 5.1, 5.3])
    );

    private static BenchmarkResult Busy(Func<TrainingRun, TrainingRun> change) => Calm with { Runs = [.. Calm.Runs.Select(change)] };

    [Fact]
    public void One_busy_run_of_a_third_does_not_reverse_the_winner()
    {
        Starts("Use adamw: it reached loss 0.1 first, in 1.15 s (115 steps)", Amari.Reporting.Answer.Of(Calm));
        string text = Amari.Reporting.Answer.Of(
            Busy(r =>
                r with
                {
                    WaitedForCpu = r is { Optimizer: "lion", Seed: 1 } ? 0.43 : 0.05,
                    CpuSeconds = r.Optimizer == "lion" ? 6 : 9.8,
                }
            )
        );
        Starts("Use adamw: it reached loss 0.1 first, in 1.13 s of processor time (115 steps), medians of 3 seeds.", text);
        Contains("adamw is faster than lion by a factor of 2.7 (", text);
        Contains("The machine was busy: 1 of 9 runs waited for a processor more than a fifth of their time (lion with seed 1: 43 %", text);
        Contains("So processor time is compared here, not seconds; an idle machine gives a surer answer.", text);
        Lacks("fewer steps", text);
    }

    [Fact]
    public void Without_processor_times_nothing_is_recommended()
    {
        var busy = Busy(r => r with { WaitedForCpu = r.Seed == 1 ? 0.43 : 0.05, CpuSeconds = 0 });
        string text = Amari.Reporting.Answer.Of(busy);
        Starts("The machine was busy, so the times to loss 0.1 are not compared: run it again on an idle machine.", text);
        Lacks("Use ", text);
        Lacks("No optimizer reached", text);
        Assert.Empty(Amari.Reporting.Answer.WinnersOf(busy));
    }

    /// <summary>What waited for a processor had less than its budget.</summary>
    [Fact]
    public void A_busy_run_that_missed_the_target_is_no_failure()
    {
        var comparison = Compared("loss", 0.1, Times("adamw", [1, 1.2, 1.1]), Times("kfac", [double.NaN, double.NaN, double.NaN])) with { };
        comparison = comparison with
        {
            Runs = [.. comparison.Runs.Select(r => r with { WaitedForCpu = r.Optimizer == "kfac" ? 0.6 : 0.05 })],
        };
        Lacks("Use adamw", Amari.Reporting.Answer.Of(comparison));
        Lacks("faster than kfac", Amari.Reporting.Answer.Of(comparison));
    }
}
