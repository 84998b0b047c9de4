using Amari.Curvature;
using Amari.Tests.KfacOptimizer;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>Examples of several terms that the network brings together, as attention does: against dense Fishers of the terms, each by
/// itself.</summary>
public sealed class KroneckerEstimateMixedTermsTests() : KfacTest(81)
{
    private const int Positions = 3,
        Width = 2,
        Classes = 3;

    /// <summary>One use of the first layer an example, so that with one example its block is exact; then positions are mixed, and each is a
    /// term.</summary>
    private sealed class Mixing : nn.Module<Tensor, Tensor>
    {
        private readonly Linear a = nn.Linear(4, Positions * Width),
            b = nn.Linear(Width, Classes);
        private readonly Tensor mix = (randn(Positions, Positions) + 1).DetachFromDisposeScope();

        public Mixing()
            : base("mixing") => RegisterComponents();

        public override Tensor forward(Tensor x) => b.call(mix.matmul(a.call(x).tanh().view(-1, Positions, Width)));
    }

    private static Tensor TermsOf(Tensor f)
    {
        var lambda = zeros(f.numel(), f.numel());
        for (int t = 0; t < Positions; t++)
            lambda
                .narrow(0, t * Classes, Classes)
                .narrow(1, t * Classes, Classes)
                .copy_(Dense.CategoricalFisher(f.reshape(Positions, Classes)[t]));
        return lambda;
    }

    [Fact]
    public void Exact_Fisher_of_mixed_terms_is_unbiased()
    {
        const int draws = 2000;
        var (model, x) = (new Mixing(), randn(1, 4));
        var parameters = model.named_parameters().Where(p => p.name[0] == 'a').Select(p => p.parameter).ToList();
        var dense = Dense.Fisher(model, x, parameters, TermsOf) / Positions;
        double spread = Enumerable.Range(1, 20).Average(seed => Error(1, seed));
        Assert.InRange(spread, 0.1, 2); // a draw is not exact
        Assert.InRange(Error(draws, 0), 0, 2 * spread / Math.Sqrt(draws));

        // the same columns without signs
        var f = model.forward(x);
        var unsigned = zeros_like(dense);
        for (int c = 0; c < Classes; c++)
        {
            var k = cat([
                .. autograd
                    .grad([f], [.. parameters], [new Categorical().FisherRootColumn(f.detach(), c)], retain_graph: true)
                    .Select(t => t.flatten()),
            ]);
            unsigned += k.outer(k) / Positions;
        }
        Assert.InRange(Dense.RelativeError(unsigned, dense), 0.2, 10);

        double Error(int passes, long seed)
        {
            var batches = Enumerable.Repeat((x, zeros(1, Positions, dtype: ScalarType.Int64)), passes);
            using var factored = new KroneckerFactored(
                new(model, new Categorical(), batches, ParameterLayout.Of(model, n => n[0] == 'a')),
                seed: seed
            );
            var (_, a, g) = factored.Factors.Single();
            return Dense.RelativeError(Dense.Kronecker(a, g, bias: true), dense);
        }
    }

    /// <summary>Signs are the optimizer's draws: the same again from its seed, and without effect where no positions are mixed.</summary>
    [Theory, InlineData(true), InlineData(false)]
    public void Signs_come_from_the_seed_and_change_nothing_where_terms_are_apart(bool mixing)
    {
        double[] Factor(long seed)
        {
            manual_seed(82);
            nn.Module<Tensor, Tensor> model = mixing
                ? new Mixing()
                : nn.Sequential(("a", nn.Linear(4, 5)), ("t", nn.Tanh()), ("b", nn.Linear(5, Classes)));
            var x = mixing ? randn(4, 4) : randn(4, Positions, 4);
            var state = Step(
                model,
                new Categorical(),
                x,
                randint(0, Classes, [4, Positions]),
                Plain with
                {
                    Seed = seed,
                    LearningRate = 0,
                }
            ).State;
            return Optimizers.Problem.Values([state["a.G"]]);
        }
        Assert.Equal(Factor(1), Factor(1));
        if (mixing)
            Assert.NotEqual(Factor(1), Factor(2));
        else
            Assert.Equal(Factor(1), Factor(2));
    }

    [Fact]
    public void Verifier_passes_a_model_that_mixes_terms()
    {
        var report = Verifier.Verify(new Mixing(), new Categorical(), randn(3, 4), randint(0, Classes, [3, Positions]));
        Assert.True(report.Passed, report.ToString());
        Assert.Contains(report.Checks, c => c.Name == "k-fac factors (exact)" && c.Parameter == "a");
    }
}
