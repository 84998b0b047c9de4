using System.Text.Json.Nodes;

namespace Amari.Optimizers;

/// <summary>Optimizers, options and values under the names that states of the schemas 1 and 2 have for them.</summary>
internal static class EarlierNames
{
    private static readonly Dictionary<string, string> Types = new() { ["Routed"] = nameof(PartitionedOptimizer) };

    private static readonly Dictionary<string, string> Options = new()
    {
        ["Sharing"] = "WeightSharing",
        ["RejectRising"] = "StepRejection",
        ["AdaptDamping"] = "AdaptiveDamping",
        ["AdaptFactorDamping"] = "AdaptiveFactorDamping",
        ["InverseFraction"] = "GradWorkerFraction",
        ["FactorExamples"] = "FactorBatchSize",
        ["ModelExamples"] = "QuadraticModelBatchSize",
        ["IntervalGrowth"] = "RefreshWarmup",
        ["FactorDecay"] = "FactorEma",
        ["CurvatureBudget"] = "CurvatureTimeFraction",
        ["ProductPrecision"] = "MatmulPrecision",
        ["Matrices"] = "MatrixOptimizer",
        ["Rest"] = "Fallback",
        ["RestOnly"] = "FallbackOnly",
        ["LeastScale"] = "MinScale",
        ["Interpolation"] = "Beta1",
        ["StartStep"] = "StartPreconditioningStep",
    };

    private static readonly Dictionary<(string Option, string Value), string> Values = new()
    {
        [("Fisher", "InputOnly")] = nameof(FisherKind.ForwardOnly),
        [("InverseMethod", "LowRank")] = nameof(InverseMethod.Nystrom),
        [("InverseWork", "Shared")] = nameof(InverseWork.Broadcast),
        [("InverseWork", "Repeated")] = nameof(InverseWork.Replicated),
        [("StateFormat", "Blocks8")] = nameof(StateFormat.BlockwiseInt8),
    };

    /// <summary>An optimizer's name of today.</summary>
    public static string? TypeOf(string? saved) => saved is null ? null : Types.GetValueOrDefault(saved, saved);

    /// <summary>An option of today, named as <c>Outer.Inner</c>, and its value.</summary>
    public static KeyValuePair<string, string> Update(KeyValuePair<string, string> option)
    {
        var parts = option.Key.Split('.').Select(p => Options.GetValueOrDefault(p, p)).ToList();
        return new(string.Join('.', parts), Values.GetValueOrDefault((parts[^1], option.Value), option.Value));
    }

    /// <summary>Options of today, nested ones too, in the place of those that a state was saved with.</summary>
    public static void Update(JsonObject options)
    {
        foreach (var (name, value) in options.ToList())
        {
            if (value is JsonObject inner)
                Update(inner);
            string now = Options.GetValueOrDefault(name, name);
            if (now != name)
            {
                options.Remove(name);
                options[now] = value;
            }
            if (value is JsonValue text && text.TryGetValue(out string? word) && Values.TryGetValue((now, word), out string? known))
                options[now] = known;
        }
    }
}
