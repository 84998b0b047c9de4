using System.Globalization;
using Amari.Optimizers;
using Amari.Ranks;
using Amari.Reporting;
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
            var point = entry.SearchSpace.Select((d, i) => (Dimension: d, Value: d.At(corner >> i & 1))).ToList();
            var always = point.Where(p => p.Dimension.Unless is null).Select(p => KeyValuePair.Create(p.Dimension.Option, p.Value));
            var left = entry.SearchSpaceOf(Settings.Describe(Settings.Apply(entry.OptionsType, [.. entry.Preset ?? [], .. always])));
            var values = point
                .Where(p => left.Contains(p.Dimension))
                .Select(p => KeyValuePair.Create(p.Dimension.Option, p.Value))
                .ToList();
            var options = Settings.Apply(entry.OptionsType, [.. entry.Preset ?? [], .. values]);
            var described = Settings.Describe(options);
            Assert.All(values, v => Assert.Equal(v.Value, described[v.Key]));
            Assert.Equal(defaults.Keys.Where(IsAlways), described.Keys.Where(IsAlways));
            using var optimizer = entry.Create(model, options, LabelSquares.For(name));
        }

        static bool IsAlways(string option) => !option.StartsWith("Step.", StringComparison.Ordinal);
    }

    [Fact]
    public void A_dimension_spans_its_ends()
    {
        foreach (var dimension in OptimizerCatalog.All.SelectMany(o => o.SearchSpace))
            switch (dimension)
            {
                case SearchRange range:
                    Assert.True(range.Low < range.High, range.Option);
                    Assert.Equal(range.Low, Number(range.At(0)), 1e-9 * range.Low);
                    Assert.Equal(range.High, Number(range.At(1)), 1e-9 * range.High);
                    double middle = range.FromOne ? 1 - Math.Sqrt((1 - range.Low) * (1 - range.High)) : Math.Sqrt(range.Low * range.High);
                    Assert.Equal(middle, Number(range.At(0.5)), 5e-3 * middle); // three digits
                    break;
                case SearchChoice choice:
                    Assert.Equal(
                        choice.Values,
                        Enumerable.Range(0, choice.Values.Count).Select(i => choice.At((i + 0.5) / choice.Values.Count))
                    );
                    Assert.Equal((choice.Values[0], choice.Values[^1]), (choice.At(0), choice.At(1)));
                    break;
                default:
                    Assert.Fail(dimension.ToString());
                    break;
            }

        static double Number(string value) => double.Parse(value, CultureInfo.InvariantCulture);
    }

    [Theory, InlineData("kfac", "Curvature.Inverse.RankTolerance"), InlineData("ekfac", "Step.AdaptiveDamping")]
    public void Kfac_is_tuned_where_its_step_rule_reads(string name, string own)
    {
        var entry = OptimizerCatalog.Find(name);
        Assert.Equal(["Step", "Curvature.IdentityStart", "Damping", own, "Step.KlClip", "Step.Momentum", "LearningRate"], Space([]));
        Assert.Equal(["Step", "Curvature.IdentityStart", "Damping", own], Space([KeyValuePair.Create("Step", "Quadratic")]));

        IEnumerable<string> Space(IEnumerable<KeyValuePair<string, string>> settings) =>
            entry
                .SearchSpaceOf(Settings.Describe(Settings.Apply(entry.OptionsType, [.. entry.Preset ?? [], .. settings])))
                .Select(d => d.Option);
    }

    /// <summary>What is left out has no effect, and what is left in has.</summary>
    [Fact]
    public void Steps_of_the_quadratic_model_depend_on_their_own_space()
    {
        var entry = OptimizerCatalog.Find("kfac");
        using var trainer = new Trainer(new DigitsConv(), null); // with a factor that is large enough for a low rank
        KeyValuePair<string, string>[] rule =
        [
            KeyValuePair.Create("Step", "Quadratic"),
            KeyValuePair.Create("Curvature.Refresh.FactorInterval", "1"),
            KeyValuePair.Create("Curvature.Refresh.InverseInterval", "1"),
            KeyValuePair.Create("Curvature.Refresh.Warmup", "none"),
            KeyValuePair.Create("Damping", "1"),
        ];
        double expected = Loss();
        var left = entry.SearchSpaceOf(Settings.Describe(trainer.Options(new("kfac", new Dictionary<string, string>(rule)))));
        foreach (var dimension in entry.SearchSpace.Where(d => d.Option != "Step"))
            if (left.Contains(dimension) || !dimension.Option.StartsWith("Step.", StringComparison.Ordinal))
                Assert.Equal(!left.Contains(dimension), expected.Equals(Loss(KeyValuePair.Create(dimension.Option, dimension.At(0.3)))));
            else // the quadratic model has no such option
                Assert.ThrowsAny<ArgumentException>(() => Loss(KeyValuePair.Create(dimension.Option, dimension.At(0.3))));

        double Loss(params KeyValuePair<string, string>[] more) =>
            trainer
                .Train(
                    new("kfac", new Dictionary<string, string>([.. rule.ExceptBy(more.Select(m => m.Key), r => r.Key), .. more])),
                    0,
                    Budget.OfEpochs(1)
                )
                .FinalLoss;
    }
}
