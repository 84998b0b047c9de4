using System.Text.Json.Nodes;
using Amari.Optimizers;

namespace Amari.Tests.Optimizers;

/// <summary>Options of K-FAC that were saved when they were one flat record.</summary>
public sealed class KfacNamesTests
{
    private static Kfac.Options Read(params (string Name, JsonNode? Value)[] saved) =>
        SavedState.Read<Kfac.Options>(new JsonObject(saved.Select(s => KeyValuePair.Create(s.Name, s.Value))));

    private static readonly CurvatureOptions Before = new()
    {
        MinDamping = 0,
        IdentityStart = 0,
        Refresh = new() { Warmup = null },
        Inverse = new InverseOptions.Cholesky(),
    };

    [Fact]
    public void Missing_options_are_as_before_they_existed() =>
        Assert.Equal(
            new Kfac.Options
            {
                LearningRate = 0.3,
                MaxGrowth = null,
                Step = new FixedStep(),
                Curvature = Before,
            },
            Read(("LearningRate", 0.3))
        );

    [Fact]
    public void Options_without_effect_are_left_out()
    {
        var options = Read(
            ("StepRule", "QuadraticModel"),
            ("KlClip", 0.5),
            ("Momentum", 0.9),
            ("ModelExamples", 5),
            ("AdaptDamping", true),
            ("DampingDecay", 0.8),
            ("DampingInterval", 3),
            ("FactorDampingInterval", 7),
            ("DampingMethod", "Ekfac"),
            ("InverseMethod", "LowRank"),
            ("RankTolerance", 0.7),
            ("Fisher", "Exact"),
            ("MonteCarloSamples", 4)
        );
        Assert.Equal(
            new QuadraticStep
            {
                BatchSize = 5,
                AdaptiveDamping = new() { Decay = 0.8, Interval = 3 },
            },
            options.Step
        );
        Assert.Equal(
            Before with
            {
                Fisher = new FisherOptions.Exact(),
                Inverse = new InverseOptions.EigenvalueCorrection(),
            },
            options.Curvature
        );
    }

    [Fact]
    public void A_rule_that_was_not_chosen_keeps_what_either_needs()
    {
        var options = Read(
            ("StepRule", null),
            ("KlClip", null),
            ("Momentum", 0.9),
            ("ModelExamples", 64),
            ("AdaptDamping", true),
            ("InverseMethod", "LowRank"),
            ("RankTolerance", 0.7),
            ("Fisher", null),
            ("MonteCarloSamples", 2)
        );
        Assert.Equal(
            new AutoStep
            {
                KlClip = null,
                Momentum = 0.9,
                BatchSize = 64,
                AdaptiveDamping = new(),
            },
            options.Step
        );
        Assert.Equal(
            Before with
            {
                Fisher = new FisherOptions.CurvaturePropagation { Samples = 2 },
                Inverse = new InverseOptions.Nystrom { RankTolerance = 0.7 },
            },
            options.Curvature
        );
    }

    [Fact]
    public void Fixed_steps_that_adapt_keep_the_model_they_adapt_by() =>
        Assert.Equal(
            new FixedStep
            {
                AdaptiveDamping = new() { BatchSize = 16, Interval = 2 },
            },
            Read(("StepRule", "Fixed"), ("ModelExamples", 16), ("AdaptDamping", true), ("DampingInterval", 2)).Step
        );

    [Fact]
    public void A_further_group_keeps_its_own_alone() =>
        Assert.Equal(
            new Kfac.GroupOptions { Damping = 0.1, Momentum = 0.7 },
            SavedState.Read<Kfac.GroupOptions>(
                new JsonObject
                {
                    ["Damping"] = 0.1,
                    ["Momentum"] = 0.7,
                    ["DampingMethod"] = "Eigenbasis",
                    ["KlClip"] = 0.5,
                    ["Seed"] = 3,
                }
            )
        );

    [Fact]
    public void A_method_among_others_is_found_in_a_run_record()
    {
        var saved = new Dictionary<string, string>
        {
            ["Matrices"] = "kfac",
            ["Matrices.KlClip"] = "0.5",
            ["Matrices.StepRule"] = "Fixed",
            ["Matrices.InverseMethod"] = "LowRank",
        };
        var options = (PartitionedOptimizer.Options)Settings.Restore(typeof(PartitionedOptimizer.Options), saved);
        var kfac = Assert.IsType<Kfac.Options>(options.MatrixOptimizer);
        Assert.Equal(new FixedStep { KlClip = 0.5 }, kfac.Step);
        Assert.Equal(new InverseOptions.Nystrom(), kfac.Curvature.Inverse);
    }
}
