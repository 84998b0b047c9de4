using Amari.Ranks;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>Runs that rest at the loss of a constant prediction.</summary>
public sealed class PlateauTests
{
    private static readonly ConstantPrediction Mean = new(206.9, 60); // at rest within 2 % of 146.9: 203.97 to 209.83

    private static Plateau? Find(params double[] losses) =>
        Plateau.Find([.. losses.Select((l, i) => new LossPoint(10 * i, i, l))], Mean, p => p.Seconds / (losses.Length - 1));

    [Fact]
    public void A_stretch_of_a_fifth_of_the_budget_is_rest()
    {
        Assert.Equal((10L, 100L, true), Span(Find(543, 209.8, 207, 206.9, 206.9, 206.9, 206.8, 206.9, 206.9, 206.9, 204)));
        Assert.Equal((30L, 60L, false), Span(Find(543, 300, 220, 209, 207, 206, 205, 190, 150, 120, 100)));
        Assert.Equal(0.3, Find(543, 300, 220, 209, 207, 206, 205, 190, 150, 120, 100)!.Share, 12);
        Assert.Equal((50L, 90L, false), Span(Find(207, 207, 207, 150, 220, 207, 207, 207, 207, 207, 100))); // the longest
        Assert.Equal(206.9, Find(543, 207, 207, 207)!.Loss);

        static (long, long, bool) Span(Plateau? p) => (p!.FromStep, p.ToStep, p.ToEnd);
    }

    [Fact]
    public void A_run_that_passes_through_or_ends_elsewhere_does_not_rest()
    {
        Assert.Null(Find(543, 300, 207, 206, 150, 140, 130, 120, 110, 100, 90));
        Assert.Null(Find(543, 203, 203, 203, 203, 203)); // below
        Assert.Null(Find(543, 211, 211, 211, 211, 211)); // above
        Assert.Null(Find(206.9, 206.9)); // two evaluations show no rest
        Assert.Null(Find(543, double.NaN, double.NaN, double.NaN));
        Assert.Null(Plateau.Find([new(0, 0, 1), new(1, 1, 1), new(2, 2, 1)], null, p => p.Step / 2.0));
        Assert.Null(Plateau.Find([new(0, 0, 1), new(1, 1, 1), new(2, 2, 1)], new(1, 1), p => p.Step / 2.0)); // nothing to learn
    }

    [Fact]
    public void The_trainer_finds_it_and_a_run_that_learns_has_none()
    {
        using var trainer = new Trainer(new DigitsMlp(), null);
        double entropy = Enumerable
            .Range(0, 10)
            .Select(c => (double)trainer.Data.Train.Targets.eq(c).sum().ToInt64() / trainer.Data.Train.Count)
            .Sum(p => -p * Math.Log(p));
        Assert.Equal(entropy, trainer.BestConstant!.Value.Loss, 1e-12);
        Assert.Null(trainer.Train(new("adamw", new Dictionary<string, string>()), 0, Budget.OfEpochs(10)).Plateau);
        var slow = trainer.Train(new("sgd", new Dictionary<string, string> { ["lr"] = "1e-6" }), 0, Budget.OfEpochs(10));
        Assert.Equal((true, RunStatus.Completed), (slow.Plateau!.ToEnd, slow.Status));
        Assert.Equal(entropy, slow.Plateau.Loss, 1e-12);
    }
}
