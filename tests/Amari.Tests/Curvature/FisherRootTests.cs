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

    /// <summary>In float32, a layer of large gradients does not hide that another's are not of its calls alone.</summary>
    [Theory, InlineData(false), InlineData(true)]
    public void A_layer_is_held_against_its_own_gradient(bool mixes)
    {
        using var scope = NewDisposeScope();
        manual_seed(3);
        var (large, small) = (nn.Linear(3, 2), nn.Linear(3, 2));
        var model = new Two(large, small, mixes);
        var (x, y) = (randn(4, 3), randn(4, 4));
        var objective = new Objective(model, new SquaredError(), [(x, y)]);
        using var root = FisherRoot.Of(objective, FisherKind.Exact, 1, 0);
        Assert.NotNull(root.Fallback);
        if (!mixes)
            Near(root.ToDense() is var a ? a.t().mm(a) : a, new Fisher(objective).ToDense(), 1e-4);
    }

    private sealed class Two : nn.Module<Tensor, Tensor>
    {
        private readonly Linear _large,
            _small;
        private readonly bool _mixes;

        public Two(Linear large, Linear small, bool mixes)
            : base(nameof(Two))
        {
            (_large, _small, _mixes) = (large, small, mixes);
            register_module("large", large);
            register_module("small", small);
        }

        public override Tensor forward(Tensor x) =>
            cat(
                [
                    _large.call(x * 1e4),
                    _mixes ? Centred(1e-2 * _small.call(x)) : 0.1 * _small.call(x) + nn.functional.linear(x, _small.weight!),
                ],
                1
            );

        private static Tensor Centred(Tensor t) => t - t.mean([0L]);
    }
}
