using Amari.Optimizers;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using static Amari.Tests.Cli.PlantedRuns;
using static Amari.Tests.Reporting.AnswerTests;

namespace Amari.Tests.Reporting;

/// <summary>What tuning chose is named.</summary>
public sealed class ChosenSettingsTests
{
    private static TrainingRun[] Tuned(string name, params (string Option, string Value)[] settings)
    {
        var entry = OptimizerCatalog.Find(name);
        var options = Settings.Describe(
            Settings.Apply(entry.OptionsType, [.. settings.Select(s => KeyValuePair.Create(s.Option, s.Value))])
        );
        return [.. Times(name, [1, 1.1, 1.2]).Select(r => r with { Options = options, Schedule = Schedule.Default })];
    }

    private static string Answer(params TrainingRun[][] runs) =>
        Amari.Reporting.Answer.Of(Compared("loss", 0.1, runs) with { Settings = SettingsSource.Tuned, Schedule = null });

    [Fact]
    public void The_answer_names_the_choice_of_each()
    {
        string text = Answer(Tuned("adamw", ("LearningRate", "0.0042")), Tuned("sgd"), Tuned("schedulefree-adamw"));
        Contains("Tuning chose: adamw LearningRate 0.0042, schedule linear; sgd schedule linear; schedulefree-adamw its defaults.", text);
        Lacks("At the edge", text);
    }

    /// <summary>The learning rate of AdamW is tuned from 1e-4 to 3e-2 on a logarithmic scale: 5 % of it are a factor of 1.33. Its β₁ is
    /// tuned from 0.8 to 0.98, on the scale of 1 - β₁.</summary>
    [Theory]
    [InlineData("LearningRate", "0.023", true), InlineData("LearningRate", "0.022", false)]
    [InlineData("LearningRate", "0.00013", true), InlineData("LearningRate", "0.00014", false)]
    [InlineData("Beta1", "0.978", true), InlineData("Beta1", "0.976", false), InlineData("Beta1", "0.82", true)]
    public void A_choice_at_the_edge_of_its_range_is_mentioned(string option, string value, bool isAtEdge)
    {
        string text = Answer(Tuned("adamw", (option, value)), Tuned("sgd")),
            edge = $"At the edge of its range, so that better values may lie outside: {option} {value} of adamw (";
        if (isAtEdge)
            Contains(edge, text);
        else
            Lacks("At the edge", text);
    }

    [Fact]
    public void Without_tuning_nothing_was_chosen() =>
        Lacks("Tuning chose", Amari.Reporting.Answer.Of(Compared("loss", 0.1, Tuned("adamw"), Tuned("sgd"))));
}
