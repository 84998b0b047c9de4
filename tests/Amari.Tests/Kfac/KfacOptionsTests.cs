using Amari.Curvature;
using Amari.Distributed;
using Amari.Optimizers;
using Amari.Solvers;

namespace Amari.Tests.KfacOptimizer;

/// <summary>The options of K-FAC: their ranges, and that each has an effect.</summary>
public sealed class KfacOptionsTests : MixedModelTest
{
    [Fact]
    public void Each_option_changes_the_trajectory()
    {
        Kfac.Options[] others =
        [
            Base,
            Base with
            {
                LearningRate = 0.05,
            },
            Base with
            {
                Damping = 1e-2,
            },
            Base with
            {
                Curvature = Base.Curvature with { Inverse = new InverseOptions.Eigenbasis() },
            },
            Base with
            {
                Curvature = Base.Curvature with { Fisher = new FisherOptions.Empirical() },
            },
            Base with
            {
                Curvature = Base.Curvature with { Inverse = new InverseOptions.EigenvalueCorrection() },
            },
            Base with
            {
                Curvature = Base.Curvature with { DampingScale = DampingScale.MeanEigenvalue },
            },
            Base with
            {
                Curvature = Base.Curvature with { WeightSharing = WeightSharing.Reduce },
            },
            Base with
            {
                Curvature = Base.Curvature with { Fisher = new FisherOptions.Exact() },
            },
            Base with
            {
                Curvature = Base.Curvature with { Fisher = new FisherOptions.CurvaturePropagation() },
            },
            Base with
            {
                Curvature = Base.Curvature with { Fisher = new FisherOptions.CurvaturePropagation { Samples = 2 } },
            },
            Base with
            {
                Reduction = LossReduction.Sum,
            },
            Base with
            {
                Curvature = Base.Curvature with { FactorEma = 0.5 },
            },
            Base with
            {
                Curvature = Base.Curvature with { Refresh = Base.Curvature.Refresh with { FactorInterval = 2 } },
            },
            Base with
            {
                Curvature = Base.Curvature with { Refresh = Base.Curvature.Refresh with { InverseInterval = 3 } },
            },
            Base with
            {
                Step = (AutoStep)Base.Step with { KlClip = 1e-4 },
            },
            Base with
            {
                Step = (AutoStep)Base.Step with { Momentum = 0.6 },
            },
            Base with
            {
                WeightDecay = 0.1,
            },
            Base with
            {
                Fallback = new() { LearningRate = 0.1 },
            },
            Base with
            {
                Seed = 7,
            },
            Base with
            {
                Curvature = Base.Curvature with { FactorBatchSize = 4 },
            },
            Base with
            {
                Curvature = Base.Curvature with { Fisher = new FisherOptions.ForwardOnly() },
            },
            Base with
            {
                Curvature = Base.Curvature with { FactorPrecision = MatmulPrecision.BFloat16 },
            },
            Base with
            {
                Curvature = Base.Curvature with { Inverse = new InverseOptions.NewtonSchulz() },
            },
            Base with
            {
                Curvature = Base.Curvature with { Inverse = new InverseOptions.Nystrom { Precision = MatmulPrecision.BFloat16 } },
            },
            Base with
            {
                MaxGrowth = 1.01,
            },
            Base with
            {
                Curvature = Base.Curvature with { IdentityStart = 0.1 },
            },
        ];
        var runs = others.Select(o => Run(o)).Append(Run(Base, clip: 0.01)).ToArray();
        for (int i = 0; i < runs.Length; i++)
        for (int k = 0; k < i; k++)
            Assert.NotEqual(runs[k], runs[i]);
        var plain = Settings.Describe(Base);
        var changed = others
            .SelectMany(o => Settings.Describe(o).Where(d => plain.GetValueOrDefault(d.Key) != d.Value))
            .Select(d => d.Key)
            .ToHashSet();
        string[] elsewhere = // in the tests of adaptive damping, low rank, the clock and the ranks
        [
            "MinDamping",
            "Warmup",
            "TimeFraction",
            "RankTolerance",
            "StepRejection",
            "Strict",
            "BatchSize",
            "AdaptiveDamping",
            "Interval",
            "Decay",
            "FactorDamping",
            "GradWorkerFraction",
            "InverseWork",
        ];
        var leaves = Leaves(typeof(Kfac.Options)).Where(l => !elsewhere.Contains(l.Split('.')[^1]));
        // a new option needs a row
        Assert.All(leaves, l => Assert.Contains(changed, c => c.EndsWith(l, StringComparison.Ordinal)));
    }

    /// <summary>All options of a record and of its parts, whatever kind those are of, each by its part's name and its own.</summary>
    private static IEnumerable<string> Leaves(Type type, string prefix = "") =>
        type.GetProperties()
            .Where(p => p.CanWrite && p.PropertyType != typeof(AdamW.Options))
            .SelectMany(p => p.PropertyType.IsClass ? KindsOf(p.PropertyType).SelectMany(k => Leaves(k, p.Name + ".")) : [prefix + p.Name])
            .Distinct();

    private static IEnumerable<Type> KindsOf(Type type) =>
        type.IsAbstract ? type.Assembly.GetTypes().Where(t => t.IsSubclassOf(type) && !t.IsAbstract) : [type];

    [Theory]
    [
        InlineData("Damping", 0.0),
        InlineData("Curvature.FactorEma", 1.0),
        InlineData("Step.Momentum", -0.1),
        InlineData("WeightDecay", double.NaN)
    ]
    [
        InlineData("Curvature.Refresh.FactorInterval", 0),
        InlineData("Curvature.Refresh.InverseInterval", -3),
        InlineData("Curvature.Fisher.Samples", 0),
        InlineData("Step.KlClip", 0.0),
        InlineData("Curvature.Refresh.TimeFraction", 1.0),
        InlineData("Curvature.FactorBatchSize", 0L),
        InlineData("Step.BatchSize", 0L),
        InlineData("Step.AdaptiveDamping.Decay", 1.0),
        InlineData("Curvature.MinDamping", -1.0),
        InlineData("MaxGrowth", 1.0),
        InlineData("Curvature.IdentityStart", -1.0),
        InlineData("Step.AdaptiveDamping.Interval", 0),
        InlineData("Step.FactorDamping.Interval", 0),
        InlineData("Curvature.Inverse.RankTolerance", 0.0),
        InlineData("Curvature.Refresh.Warmup", 1.0)
    ]
    public void Bad_options_are_refused_with_the_value(string option, object value)
    {
        string text = Convert.ToString(value, System.Globalization.CultureInfo.InvariantCulture)!;
        string[] kinds = option switch
        {
            "Step.BatchSize" or "Step.FactorDamping.Interval" => ["Step=Quadratic"],
            "Curvature.Fisher.Samples" => ["Curvature.Fisher=MonteCarlo"],
            _ => [],
        };
        var error = Assert.Throws<ArgumentException>(() =>
            Settings.Apply(
                typeof(Kfac.Options),
                [.. kinds.Select(k => k.Split('=')).Select(k => KeyValuePair.Create(k[0], k[1])), KeyValuePair.Create(option, text)]
            )
        );
        Assert.Contains($"{option.Split('.')[^1]} is {text}; it must be", error.Message, StringComparison.Ordinal);
    }
}
