using Amari.Curvature;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.Curvature;

/// <summary>A'A is the Fisher, whose products come by another way.</summary>
public sealed class FisherRootTests
{
    private static readonly FisherKind[] Kinds =
    [
        FisherKind.Exact,
        FisherKind.MonteCarlo,
        FisherKind.CurvaturePropagation,
        FisherKind.Empirical,
    ];

    private static readonly string[] Models =
    [
        "mlp",
        "gaussian",
        "bernoulli",
        "weight sharing",
        "tied weights",
        "convolutions",
        "frozen weight",
        "norms and dropout",
    ];

    public static MatrixTheoryData<string, FisherKind> Cases => new(Models, Kinds);

    [Theory, MemberData(nameof(Cases))]
    public void Its_square_is_the_fisher(string name, FisherKind kind)
    {
        using var scope = NewDisposeScope();
        var objective = CurvatureCases.Make(name).Objective();
        var fisher = new Fisher(objective, kind, 2, seed: 5).ToDense();
        using var root = FisherRoot.Of(objective, kind, 2, seed: 5);
        var a = root.ToDense();
        Near(a.t().mm(a), fisher, 1e-12);
        Near(root.Gram(), a.mm(a.t()), 1e-12);
        Assert.Equal(name is "norms and dropout" or "convolutions", root.Fallback is not null);
    }
}
