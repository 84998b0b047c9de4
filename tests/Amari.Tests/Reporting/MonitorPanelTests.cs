using Amari.Reporting;
using Amari.Spectrum;
using Amari.Training;
using static Amari.Tests.Cli.PlantedRuns;
using static Amari.Tests.Reporting.AnswerTests;

namespace Amari.Tests.Reporting;

/// <summary>What the monitor's figures show of its measurements.</summary>
public sealed class MonitorPanelTests
{
    private static IReadOnlyList<MonitorPanel> Of(RatePoint[] rates, params MonitorRow[] rows)
    {
        var run = Make("sgd", 0, null, null, 0.5) with
        {
            Rates = rates,
            Monitor = new(MonitorQuantities.Sharpness | MonitorQuantities.Noise, rows, 0.05, 0.05, 0.1, 0.1, "2/η"),
        };
        return MonitorPanel.Of(Compared("loss", 0.1, [run]), new Dictionary<string, string> { ["sgd"] = "#000000" });
    }

    private static MonitorRow At(long step, double rate, Estimate? noise = null) =>
        new()
        {
            Step = step,
            Seconds = step,
            LearningRate = rate,
            Sharpness = 3,
            StabilityBound = 2 / rate,
            NoiseScale = noise,
        };

    /// <summary>The rate is constant until step 3, and measured at 1 and 5 alone.</summary>
    [Fact]
    public void The_edge_of_stability_follows_the_rate_between_measurements()
    {
        RatePoint[] rates = [new(1, 1, 0.1), new(3, 3, 0.1), new(5, 5, 0.001)];
        var edge = Of(rates, At(1, 0.1), At(5, 0.001)).SelectMany(p => p.Traces).Single(t => t.Dashed);
        Assert.Equal([1, 3, 5], edge.Steps);
        Assert.Equal([20, 20, 2000], edge.Values.Select(v => Math.Round(v, 9)));
    }

    [Fact]
    public void A_noise_scale_without_a_sign_is_left_out()
    {
        var panel = Of([], At(1, 0.1, new(88, 20)), At(2, 0.1, new(4067, 15438)), At(3, 0.1, new(-5, 1)))
            .Single(p => p.Title.Contains("noise", StringComparison.Ordinal));
        Assert.Equal([88.0], panel.Traces.Single().Values);
    }
}
