using System.Text.Json.Nodes;

namespace Amari.Optimizers;

/// <summary>The options of K-FAC as they were one flat record, in which some had no effect: states of the schemas 1 and 2.</summary>
internal static class KfacNames
{
    private const string Step = "Step",
        Inverse = "Curvature.Inverse",
        Adaptive = "Step.AdaptiveDamping",
        None = "none";

    /// <summary>Options that are elsewhere today, under their own names or others.</summary>
    private static readonly Dictionary<string, string> Moved = new()
    {
        ["WeightSharing"] = "Curvature.WeightSharing",
        ["FactorEma"] = "Curvature.FactorEma",
        ["FactorBatchSize"] = "Curvature.FactorBatchSize",
        ["FactorPrecision"] = "Curvature.FactorPrecision",
        ["IdentityStart"] = "Curvature.IdentityStart",
        ["DampingScale"] = "Curvature.DampingScale",
        ["MinDamping"] = "Curvature.MinDamping",
        ["FactorInterval"] = "Curvature.Refresh.FactorInterval",
        ["InverseInterval"] = "Curvature.Refresh.InverseInterval",
        ["RefreshWarmup"] = "Curvature.Refresh.Warmup",
        ["CurvatureTimeFraction"] = "Curvature.Refresh.TimeFraction",
        ["GradWorkerFraction"] = "Curvature.Distribution.GradWorkerFraction",
        ["InverseWork"] = "Curvature.Distribution.InverseWork",
        ["Fisher"] = "Curvature.Fisher",
        ["MonteCarloSamples"] = "Curvature.Fisher.Samples",
        ["InverseMethod"] = Inverse,
        ["DampingMethod"] = Inverse,
        ["RankTolerance"] = "Curvature.Inverse.RankTolerance",
        ["InversePrecision"] = "Curvature.Inverse.Precision",
        ["StepRule"] = Step,
        ["Momentum"] = "Step.Momentum",
        ["KlClip"] = "Step.KlClip",
        ["QuadraticModelBatchSize"] = "Step.BatchSize",
        ["AdaptiveDamping"] = Adaptive,
        ["DampingDecay"] = Adaptive + ".Decay",
        ["DampingInterval"] = Adaptive + ".Interval",
        ["AdaptiveFactorDamping"] = "Step.FactorDamping",
        ["FactorDampingInterval"] = "Step.FactorDamping.Interval",
    };

    /// <summary>Options that are at two places today.</summary>
    private static readonly Dictionary<string, string> Shared = new()
    {
        ["QuadraticModelBatchSize"] = Adaptive + ".BatchSize",
        ["DampingDecay"] = "Step.FactorDamping.Decay",
    };

    /// <summary>What a state had before there was the option.</summary>
    private static readonly Dictionary<string, string> Before = new()
    {
        ["MaxGrowth"] = None,
        ["MinDamping"] = "0",
        ["IdentityStart"] = "0",
        ["RefreshWarmup"] = None,
        ["StepRule"] = "Fixed",
        ["QuadraticModelBatchSize"] = None,
        ["InverseMethod"] = "Cholesky",
        ["DampingMethod"] = "FactoredTikhonov",
        ["Fisher"] = None,
        ["MonteCarloSamples"] = "1",
        ["AdaptiveDamping"] = "False",
        ["AdaptiveFactorDamping"] = "False",
    };

    private static readonly Dictionary<string, string> Values = new()
    {
        ["QuadraticModel"] = "Quadratic",
        ["Ekfac"] = "EigenvalueCorrection",
        ["FactoredTikhonov"] = "Nystrom",
        ["LowRank"] = "Nystrom",
    };

    /// <inheritdoc cref="EarlierNames.Flat"/>
    public static IEnumerable<(string Path, string Value)> Flat(string name, string value) =>
        Moved
            .Concat(Shared)
            .Where(m => m.Key.Equals(name, StringComparison.OrdinalIgnoreCase))
            .Select(m => (m.Value, m.Value == Step && value == None ? "Auto" : NowOf(value)));

    private static string NowOf(string value) =>
        Values.FirstOrDefault(v => v.Key.Equals(value, StringComparison.OrdinalIgnoreCase)).Value ?? value;

    /// <summary>Flat options among others as those of today; nested ones stay as they are.</summary>
    /// <param name="options">By name.</param>
    /// <param name="prefix">Of K-FAC's names.</param>
    /// <param name="isWhole">Whether they are those of the first group; only what is its own is kept of another's.</param>
    public static IReadOnlyDictionary<string, string> Nested(IReadOnlyDictionary<string, string> options, string prefix, bool isWhole)
    {
        var own = options
            .Where(o => o.Key.StartsWith(prefix, StringComparison.Ordinal))
            .ToDictionary(o => o.Key[prefix.Length..], o => o.Value);
        if (own.ContainsKey(Step) || own.Keys.Any(k => k.StartsWith("Curvature.", StringComparison.Ordinal)))
            return options;
        var nested = isWhole ? Nested(own) : Group(own);
        return options
            .Where(o => !o.Key.StartsWith(prefix, StringComparison.Ordinal))
            .Concat(nested.Select(o => KeyValuePair.Create(prefix + o.Key, o.Value)))
            .ToDictionary();
    }

    /// <summary>Whether saved options are flat ones of K-FAC.</summary>
    public static bool IsFlat(JsonObject options, Type type) =>
        type.DeclaringType?.Name == "Kfac"
        && !options.ContainsKey("Curvature")
        && (type.Name == "Options" || options.ContainsKey("DampingMethod"));

    /// <summary>Saved options as names and texts.</summary>
    public static IEnumerable<KeyValuePair<string, string>> Texts(JsonObject options, string prefix)
    {
        foreach (var (name, value) in options.Where(o => o.Key != nameof(OptimizerOptions.CycledMomentum))) // not read
            if (value is JsonObject inner)
                foreach (var text in Texts(inner, prefix + name + "."))
                    yield return text;
            else
                yield return new(prefix + name, value?.ToString() ?? None);
    }

    private static Dictionary<string, string> Group(Dictionary<string, string> own)
    {
        string[] shared = ["MaxGrowth", "Reduction", "StepRejection", "Strict", "Seed", .. Moved.Keys];
        bool quadratic = own.GetValueOrDefault("StepRule") == "QuadraticModel";
        return own.Where(o => o.Key == "Momentum" ? !quadratic : !shared.Contains(o.Key)).ToDictionary();
    }

    private static Dictionary<string, string> Nested(Dictionary<string, string> own)
    {
        foreach (var (name, value) in Before)
            own.TryAdd(name, value);
        string rule = own["StepRule"],
            fisher = own["Fisher"],
            samples = own["MonteCarloSamples"],
            method = own["DampingMethod"] == "FactoredTikhonov" ? own["InverseMethod"] : NowOf(own["DampingMethod"]);
        bool quadratic = rule == "QuadraticModel",
            adapts = IsOn("AdaptiveDamping"),
            factors = quadratic && IsOn("AdaptiveFactorDamping"),
            draws = fisher is "MonteCarlo" or "CurvaturePropagation" || (fisher == None && samples != "1"),
            factored = own["DampingMethod"] == "FactoredTikhonov";
        var result = own.Where(o => !Moved.ContainsKey(o.Key)).ToDictionary();
        result[Step] = rule == None ? "Auto" : NowOf(rule);
        Keep("Momentum", !quadratic);
        Keep("KlClip", !quadratic);
        if (quadratic || rule == None)
            Keep("QuadraticModelBatchSize");
        else if (adapts)
            result[Shared["QuadraticModelBatchSize"]] = own["QuadraticModelBatchSize"];
        if (adapts)
            result[Adaptive] = "True";
        Keep("DampingDecay", adapts);
        Keep("DampingInterval", adapts);
        if (factors)
            result["Step.FactorDamping"] = "True";
        if (factors && own.TryGetValue("DampingDecay", out string? decay))
            result[Shared["DampingDecay"]] = decay;
        Keep("FactorDampingInterval", factors);
        result[Inverse] = method;
        Keep("RankTolerance", factored && method == "Nystrom");
        Keep("InversePrecision", factored);
        result["Curvature.Fisher"] = draws && fisher == None ? "CurvaturePropagation" : fisher;
        Keep("MonteCarloSamples", draws);
        Keep("IdentityStart", fisher != "ForwardOnly");
        string[] others =
        [
            "WeightSharing",
            "FactorEma",
            "FactorBatchSize",
            "FactorPrecision",
            "DampingScale",
            "MinDamping",
            "FactorInterval",
            "InverseInterval",
            "RefreshWarmup",
            "CurvatureTimeFraction",
            "GradWorkerFraction",
            "InverseWork",
        ];
        foreach (string name in others)
            Keep(name);
        return result;

        bool IsOn(string name) => own[name].Equals("true", StringComparison.OrdinalIgnoreCase);

        void Keep(string name, bool has = true)
        {
            if (has && own.TryGetValue(name, out string? value))
                result[Moved[name]] = value;
        }
    }
}
