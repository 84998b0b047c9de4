using Amari.Optimizers;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

public sealed class ScheduleTests
{
    private static readonly Dictionary<string, string> None = [];

    /// <summary>By hand: 5 % of warm-up from a hundredth; a fifth of linear decay; half a cosine after the warm-up.</summary>
    [Theory]
    [InlineData(ScheduleShape.Constant, 0, 0.5, 1)]
    [InlineData(ScheduleShape.Constant, 0.05, 0, 0.01)]
    [InlineData(ScheduleShape.Constant, 0.05, 0.025, 0.505)]
    [InlineData(ScheduleShape.Constant, 0.05, 1, 1)]
    [InlineData(ScheduleShape.Linear, 0, 0.79, 1)]
    [InlineData(ScheduleShape.Linear, 0, 0.9, 0.5)]
    [InlineData(ScheduleShape.Linear, 0.05, 0.95, 0.25)]
    [InlineData(ScheduleShape.Linear, 0, 1.5, 0)]
    [InlineData(ScheduleShape.Cosine, 0, 0, 1)]
    [InlineData(ScheduleShape.Cosine, 0, 0.5, 0.5)]
    [InlineData(ScheduleShape.Cosine, 0.5, 0.75, 0.5)]
    [InlineData(ScheduleShape.Cosine, 0.05, 1, 0)]
    public void The_rate_follows_the_shape(ScheduleShape shape, double warmup, double share, double factor) =>
        Assert.Equal(factor, new Schedule(shape) { Warmup = warmup }.Factor(share), 1e-12);

    [Theory]
    [InlineData(-0.1)]
    [InlineData(0.6)]
    [InlineData(double.NaN)]
    public void A_warm_up_outside_of_its_range_is_refused(double warmup) =>
        Assert.Contains(
            "a share from 0 to 0.5",
            Assert.Throws<ArgumentException>(() => new Schedule(ScheduleShape.Cosine) { Warmup = warmup }).Message,
            StringComparison.Ordinal
        );

    [Fact]
    public void A_run_records_the_rate_of_its_schedule_and_ends_elsewhere()
    {
        using var trainer = new Trainer(new DigitsMlp(), null);
        var constant = trainer.Train(new("adamw", None), 0, Budget.OfEpochs(12));
        var decayed = trainer.Train(new("adamw", None) { Schedule = new(ScheduleShape.Cosine) }, 0, Budget.OfEpochs(12));
        Assert.Single(constant.Rates.Select(r => r.Rate).Distinct());
        double peak = constant.Rates[0].Rate;
        long steps = 12 * trainer.StepsPerEpoch;
        Assert.All(
            decayed.Rates.Skip(1), // the rate of the last step before
            r => Assert.Equal(peak * 0.5 * (1 + Math.Cos(Math.PI * (r.Step - 1) / steps)), r.Rate, 1e-9)
        );
        Assert.NotEqual(constant.FinalLoss, decayed.FinalLoss);
        Assert.NotEqual(constant.FinalHeldOutLoss, decayed.FinalHeldOutLoss);
    }

    [Fact]
    public void Warm_up_changes_the_first_step()
    {
        using var trainer = new Trainer(new DigitsMlp(), null);
        var runs = ((double[])[0, 0.5]).Select(w =>
            trainer.Train(new("sgd", None) { Schedule = new(ScheduleShape.Constant) { Warmup = w } }, 0, Budget.OfEpochs(3)).FinalLoss
        );
        Assert.Equal(2, runs.Distinct().Count());
    }

    [Theory]
    [InlineData("adamw")]
    [InlineData("kfac")]
    [InlineData("routed-muon")]
    public void A_scheduled_run_resumes_bit_for_bit(string optimizer)
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(new DigitsMlp(), null);
        var choice = new OptimizerChoice(optimizer, None) { Schedule = new(ScheduleShape.Linear) { Warmup = 0.1 } };
        var whole = trainer.Train(choice, 1, Budget.OfEpochs(12));
        using var stop = new CancellationTokenSource();
        var part = trainer.Train(
            choice,
            1,
            Budget.OfEpochs(12),
            null,
            new(folder.Path, false, TimeSpan.FromHours(1)),
            (_, point) =>
            {
                if (point.Step > 0)
                    stop.Cancel();
            },
            stop: stop.Token
        );
        Assert.Equal(RunStatus.Interrupted, part.Status);
        var resumed = trainer.Train(choice, 1, Budget.OfEpochs(12), null, new(folder.Path, true, TimeSpan.FromHours(1)));
        Assert.Equal(whole.FinalLoss, resumed.FinalLoss);
        Assert.Equal(whole.Rates[^1].Rate, resumed.Rates[^1].Rate);
        var other = choice with { Schedule = Schedule.Constant };
        Assert.Contains(
            "schedule linear, warm-up 10 %",
            Assert
                .Throws<ArgumentException>(() =>
                    trainer.Train(other, 1, Budget.OfEpochs(12), null, new(folder.Path, true, TimeSpan.FromHours(1)))
                )
                .Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void Tuning_varies_the_schedule_and_never_sees_the_test_set()
    {
        using var trainer = new Trainer(new DigitsMlp(), null);
        var free = OptimizerBenchmark.Compare(trainer, [new("sgd", None)], [0], Budget.OfEpochs(4), 7, null, CancellationToken.None);
        Assert.Equal(Schedule.Default, free.Trials[0].Schedule);
        Assert.Equal(3, free.Trials.Select(t => t.Schedule.Shape).Distinct().Count());
        Assert.Equal(2, free.Trials.Select(t => t.Schedule.Warmup).Distinct().Count());
        var given = new OptimizerChoice("sgd", None) { Schedule = Schedule.Constant };
        var tuned = OptimizerBenchmark.Compare(trainer, [given], [0], Budget.OfEpochs(4), 3, null, CancellationToken.None);
        Assert.All(tuned.Trials, t => Assert.Equal(Schedule.Constant, t.Schedule));
        using var tuning = trainer.ForTuning();
        Assert.Equal((1437 - 143, 143), (tuning.Data.Train.Count, tuning.Data.Test!.Count));
        var train = Rows(trainer.Data.Train).ToList();
        Assert.Equal(train.Order(), Rows(tuning.Data.Train).Concat(Rows(tuning.Data.Test)).Order());

        static IEnumerable<string> Rows(Dataset set)
        {
            using var scope = NewDisposeScope();
            for (long i = 0; i < set.Count; i++)
                yield return string.Join(",", set.Inputs[i].flatten().data<float>()) + $" {set.Targets[i].ToInt64()}";
        }
    }

    [Fact]
    public void Schedule_free_runs_without_it_and_says_why()
    {
        using var trainer = new Trainer(new DigitsMlp(), null);
        var choice = new OptimizerChoice("schedulefree-adamw", None) { Schedule = new(ScheduleShape.Cosine) };
        Assert.Single(trainer.Train(choice, 0, Budget.OfEpochs(6)).Rates.Select(r => r.Rate).Distinct());
        Assert.NotNull(OptimizerCatalog.Find("schedulefree-adamw").OwnSchedule);
        Assert.Null(OptimizerCatalog.Find("kfac").OwnSchedule);
    }
}
