using System.Globalization;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>Search spaces: every value of them can be had, and none is without effect.</summary>
public sealed class OptimizerCatalogTests
{
    public static TheoryData<string> Optimizers => [.. OptimizerCatalog.All.Select(o => o.Name)];

    [Theory, MemberData(nameof(Optimizers))]
    public void Every_corner_of_a_search_space_makes_an_optimizer(string name)
    {
        var entry = OptimizerCatalog.Find(name);
        using var model = nn.Sequential(("fc1", nn.Linear(3, 4)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(4, 2)));
        var defaults = Settings.Describe(Settings.Apply(entry.OptionsType, entry.Preset ?? []));
        Assert.NotEmpty(entry.SearchSpace);
        for (int corner = 0; corner < 1 << entry.SearchSpace.Count; corner++)
        {
            var values = entry.SearchSpace.Select((d, i) => KeyValuePair.Create(d.Option, d.At(corner >> i & 1).ToString("R", CultureInfo.InvariantCulture))).ToList();
            var options = Settings.Apply(entry.OptionsType, [.. entry.Preset ?? [], .. values]);
            var described = Settings.Describe(options);
            Assert.All(values, v => Assert.Equal(v.Value, described[v.Key]));
            Assert.Equal(defaults.Keys, described.Keys);
            using var optimizer = entry.Create(model, options, new Categorical());
        }
    }

    [Fact]
    public void A_dimension_spans_its_ends()
    {
        foreach (var dimension in OptimizerCatalog.All.SelectMany(o => o.SearchSpace))
        {
            Assert.True(dimension.Low < dimension.High, dimension.Option);
            Assert.Equal(dimension.Low, dimension.At(0), 1e-9 * dimension.Low);
            Assert.Equal(dimension.High, dimension.At(1), 1e-9 * dimension.High);
        }
    }

    [Theory, InlineData("digits-mlp", 5), InlineData("autoencoder", 2), InlineData("autoencoder-sigmoid", 2)]
    public void Kfac_is_tuned_where_its_step_rule_reads(string workload, int dimensions)
    {
        foreach (string name in (string[])["kfac", "ekfac"])
        {
            var entry = OptimizerCatalog.Find(name);
            var options = Settings.Describe(Settings.Apply(entry.OptionsType, entry.SettingsIn(WorkloadCatalog.Find(workload, null))));
            string[] space = [.. entry.SearchSpaceOf(options).Select(d => d.Option)];
            Assert.Equal(dimensions == 5 ? ["LearningRate", "Damping", "KlClip", "FactorDecay", "Momentum"] : ["Damping", "FactorDecay"], space);
        }
    }

    /// <summary>What is left out has no effect, and what is left in has.</summary>
    [Fact]
    public void Steps_of_the_quadratic_model_depend_on_the_space_that_is_left_alone()
    {
        var entry = OptimizerCatalog.Find("kfac");
        using var trainer = new Trainer(new DigitsMlp(), null);
        KeyValuePair<string, string>[] rule = [KeyValuePair.Create("StepRule", "QuadraticModel"), KeyValuePair.Create("FactorInterval", "1"), KeyValuePair.Create("InverseInterval", "1")];
        double expected = Loss();
        var left = entry.SearchSpaceOf(Settings.Describe(trainer.Options(new("kfac", new Dictionary<string, string>(rule)))));
        foreach (var dimension in entry.SearchSpace)
            Assert.Equal(!left.Contains(dimension), expected.Equals(Loss(KeyValuePair.Create(dimension.Option, FormattableString.Invariant($"{dimension.At(0.3):R}")))));

        double Loss(params KeyValuePair<string, string>[] more) => trainer.Train(new("kfac", new Dictionary<string, string>([.. rule, .. more])), 0, Budget.OfEpochs(1)).FinalLoss;
    }
}
