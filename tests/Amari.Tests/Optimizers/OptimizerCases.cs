namespace Amari.Tests.Optimizers;

using Named = IEnumerable<(string, Parameter)>;

/// <summary>Every optimizer with a group loop, in each setting that takes another path: what the contract tests run over.</summary>
public static class OptimizerCases
{
    private static readonly Dictionary<string, Func<Named, bool, Optimizer>> Makers = new()
    {
        ["Sgd plain"] = (p, fused) => new Sgd([new(p, new() { Momentum = 0 })]) { Fused = fused },
        ["Sgd momentum"] = (p, fused) => new Sgd([new(p, new())]) { Fused = fused },
        ["Sgd L2"] = (p, fused) => new Sgd([new(p, new() { Momentum = 0, WeightDecay = 0.1 })]) { Fused = fused },
        ["Sgd Nesterov L2"] = (p, fused) => new Sgd([new(p, new() { Nesterov = true, WeightDecay = 0.1 })]) { Fused = fused },
        ["Adam"] = (p, fused) => new Adam([new(p, new())]) { Fused = fused },
        ["Adam L2"] = (p, fused) => new Adam([new(p, new() { LearningRate = 0.01, Beta1 = 0, Beta2 = 0.9, Epsilon = 1e-3, WeightDecay = 0.1 })]) { Fused = fused },
        ["AdamW"] = (p, fused) => new AdamW([new(p, new())]) { Fused = fused },
        ["AdamW other"] = (p, fused) => new AdamW([new(p, new() { LearningRate = 0.02, Beta1 = 0.5, Beta2 = 0.8, Epsilon = 1e-2, WeightDecay = 0.5 })]) { Fused = fused },
        ["Lion"] = (p, fused) => new Lion([new(p, new())]) { Fused = fused },
        ["Lion decay"] = (p, fused) => new Lion([new(p, new() { LearningRate = 0.01, Beta1 = 0.5, Beta2 = 0.8, WeightDecay = 0.5 })]) { Fused = fused },
    };

    public static TheoryData<string> Names => [.. Makers.Keys];

    internal static Optimizer Make(string name, Named parameters, bool fused = true) => Makers[name](parameters, fused);

    internal static Optimizer Make(string name, IEnumerable<Parameter> parameters, bool fused = true) =>
        Make(name, parameters.Select((p, i) => ($"p{i}", p)), fused);
}
