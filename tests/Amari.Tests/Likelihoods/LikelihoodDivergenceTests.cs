using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.Likelihoods;

/// <summary>KL divergences against sums over outcomes, the output Fisher, and the change of the loss.</summary>
public sealed class LikelihoodDivergenceTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public LikelihoodDivergenceTests() => manual_seed(2);

    public void Dispose() => _scope.Dispose();

    [Theory, MemberData(nameof(Names), MemberType = typeof(LikelihoodCases))]
    public void Kl_is_the_mean_log_ratio_over_outcomes(string name)
    {
        var (f, g) = (randn(N, C, dtype: F64), randn(N, C, dtype: F64));
        var kl = Make(name).KlDivergence(f, g);
        Assert.Equal([N], kl.shape);
        Near(
            kl,
            name switch
            {
                nameof(Categorical) => (f.softmax(1) * (f.softmax(1) / g.softmax(1)).log()).sum(1),
                nameof(Bernoulli) => Ratio(f.sigmoid(), g.sigmoid()) + Ratio(1 - f.sigmoid(), 1 - g.sigmoid()),
                nameof(Gaussian) => (f - g).square().sum(1) / 1.4,
                nameof(SquaredError) => (f - g).square().sum(1) / 2,
                nameof(Poisson) => Enumerable.Range(0, 100).Select(y => Ratio(Mass(f, y), Mass(g, y))).Aggregate((a, b) => a + b),
                _ => Enumerable
                    .Range(-4000, 8001)
                    .Select(i => 0.02 * i)
                    .Select(y => 0.02 * Ratio(Density(f, y), Density(g, y)))
                    .Aggregate((a, b) => a + b),
            },
            1e-9
        );

        static Tensor Ratio(Tensor p, Tensor q) => (p * ((p + 1e-300) / (q + 1e-300)).log()).sum(1);
        static Tensor Mass(Tensor f, int y) => (y * f - f.exp() - Enumerable.Range(1, y).Sum(k => Math.Log(k))).exp();
        static Tensor Density(Tensor f, double y) =>
            (-(y - f.narrow(1, 0, 2)).square() / (2 * f.narrow(1, 2, 2).exp())).exp() / (2 * Math.PI * f.narrow(1, 2, 2).exp()).sqrt();
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(LikelihoodCases))]
    public void Kl_has_the_Fisher_as_its_Hessian_and_autograd_agrees(string name)
    {
        var (likelihood, f) = (Make(name), randn(1, C, dtype: F64));
        const double H = 1e-3;
        Tensor E(int i) => zeros(1, C, dtype: F64).index_fill_(1, tensor(new[] { (long)i }), H);
        double Kl(Tensor d) => likelihood.KlDivergence(f, f + d).ToDouble();
        var lambda = Lambda(name, f[0]);
        for (int i = 0; i < C; i++)
        for (int j = 0; j < C; j++)
            Assert.Equal(
                lambda[i, j].ToDouble(),
                (Kl(E(i) + E(j)) - Kl(E(i) - E(j)) - Kl(E(j) - E(i)) + Kl(-E(i) - E(j))) / (4 * H * H),
                1e-5
            );
        Assert.Equal(0, Kl(zeros_like(f)));

        var d = randn(1, C, dtype: F64).requires_grad_();
        var gradient = autograd.grad([likelihood.KlDivergence(f, f + d)], [d])[0];
        for (int i = 0; i < C; i++)
            Assert.Equal(gradient[0, i].ToDouble(), (Kl(d.detach() + E(i)) - Kl(d.detach() - E(i))) / (2 * H), 1e-4);
    }

    [Theory, MemberData(nameof(Names), MemberType = typeof(LikelihoodCases))]
    public void Kl_of_a_small_step_keeps_its_digits_in_float32(string name)
    {
        var likelihood = Make(name);
        var (f, d) = (randn(N, C), randn(N, C) * 1e-3f);
        var moved = f + d;
        var kl = likelihood.KlDivergence(f, moved).to_type(F64);
        var exact = likelihood.KlDivergence(f.to_type(F64), moved.to_type(F64));
        Assert.True((kl / exact - 1).abs().max().ToDouble() < 3e-3, $"{kl / exact - 1}"); // the naive formula has no digit right
        var quadratic = Enumerable
            .Range(0, N)
            .Select(n =>
            {
                var e = (moved - f).to_type(F64)[n];
                return e.dot(Lambda(name, f.to_type(F64)[n]).mv(e)) / 2;
            });
        Assert.True((exact / stack([.. quadratic]) - 1).abs().max().ToDouble() < 3e-3);
    }

    public static TheoryData<string> Natural => ["categorical", "bernoulli", "gaussian", "poisson"];

    /// <summary>How the change of the loss is known without its targets.</summary>
    [Theory, MemberData(nameof(Natural))]
    public void The_loss_changes_by_the_score_along_the_outputs_and_the_divergence(string name)
    {
        var (f, g) = (randn(8, 3, dtype: F64), 3 * randn(8, 3, dtype: F64));
        (Likelihood likelihood, Tensor y) = name switch
        {
            "categorical" => ((Likelihood)new Categorical(), randint(0, 3, [8])),
            "bernoulli" => (new Bernoulli(), randint(0, 2, [8, 3]).to(F64)),
            "gaussian" => (new Gaussian(), randn(8, 3, dtype: F64)),
            _ => (new Poisson(), randint(0, 5, [8, 3]).to(F64)),
        };
        Assert.True(likelihood.IsNatural);
        double change = (likelihood.SumNegativeLogLikelihood(g, y) - likelihood.SumNegativeLogLikelihood(f, y)).ToDouble();
        double found = (likelihood.Score(f, y).mul(g - f).sum() + likelihood.KlDivergence(f, g).sum()).ToDouble();
        Assert.Equal(change, found, 1e-9 * Math.Abs(change));
        Assert.False(new HeteroscedasticGaussian().IsNatural);
    }
}
