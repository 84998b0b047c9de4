using Amari;

namespace Amari.Tests.Likelihoods;

/// <summary>Loss, score, output Fisher and samples against autograd, dense Hessians and closed forms.</summary>
public sealed class LikelihoodTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public LikelihoodTests() => manual_seed(2);

    public void Dispose() => _scope.Dispose();

    private static (Likelihood Likelihood, Tensor Target) Make(string name, Tensor f) => name switch
    {
        "categorical" => (new Categorical(), tensor(new long[] { 2, 0, 1 })),
        "bernoulli" => (new Bernoulli(), rand(f.shape, dtype: f.dtype)),
        _ => (new Gaussian(0.7), randn(f.shape, dtype: f.dtype)),
    };

    [Theory, InlineData("categorical"), InlineData("bernoulli"), InlineData("gaussian")]
    public void Score_and_Fisher_are_the_derivatives_of_the_loss(string name)
    {
        var f = randn(3, 4, dtype: ScalarType.Float64).requires_grad_();
        var (likelihood, y) = Make(name, f);
        var g = autograd.grad([likelihood.SumNegativeLogLikelihood(f, y)], [f], retain_graph: true, create_graph: true)[0];
        Assert.True(likelihood.Score(f.detach(), y).sub(g.detach()).abs().max().ToDouble() < 1e-12);
        for (long n = 0; n < 3; n++)
        {
            var root = stack([.. Enumerable.Range(0, 4).Select(c => likelihood.FisherRootColumn(f.detach(), c)[n])], 1);
            var hessian = stack([.. Enumerable.Range(0, 4).Select(c => autograd.grad([g[n, c]], [f], retain_graph: true)[0][n])]);   // Hessian = Fisher here
            Assert.True(root.mm(root.T).sub(hessian).abs().max().ToDouble() < 1e-12);
        }
        Assert.Equal(3, likelihood.Terms(f));
        Assert.Equal(4, likelihood.Outputs(f));
        Assert.Equal(likelihood.SumNegativeLogLikelihood(f, y).ToDouble() / 3, likelihood.Loss(f, y).ToDouble(), 1e-12);
    }

    [Fact]
    public void Losses_match_closed_forms()
    {
        var f = tensor(new[] { 0.3, -1.2 }).unsqueeze(0);
        double p = Math.Exp(0.3) / (Math.Exp(0.3) + Math.Exp(-1.2));
        Assert.Equal(-Math.Log(p), new Categorical().Loss(f, tensor(new long[] { 0 })).ToDouble(), 1e-12);
        double b(double v, double y) => -(y * Math.Log(1 / (1 + Math.Exp(-v))) + (1 - y) * Math.Log(1 / (1 + Math.Exp(v))));
        Assert.Equal(b(0.3, 1) + b(-1.2, 0.25), new Bernoulli().Loss(f, tensor(new[] { 1, 0.25 }).unsqueeze(0)).ToDouble(), 1e-12);
        Assert.Equal((0.09 + 1.44) / 4 + Math.Log(2 * Math.PI * 2), new Gaussian(2).Loss(f, zeros_like(f)).ToDouble(), 1e-12);
    }

    [Theory, InlineData("categorical"), InlineData("bernoulli"), InlineData("gaussian")]
    public void Scores_of_samples_have_mean_zero_and_the_Fisher_as_covariance(string name)
    {
        const int Draws = 20000;
        var one = randn(1, 4, dtype: ScalarType.Float64);
        var f = one.expand(Draws, 4).contiguous();
        var likelihood = Make(name, one.expand(3, 4)).Likelihood;
        using var generator = new Generator(9);
        var s = likelihood.Score(f, likelihood.Sample(f, generator));
        var root = stack([.. Enumerable.Range(0, 4).Select(c => likelihood.FisherRootColumn(one, c)[0])], 1);
        var fisher = root.mm(root.T);
        for (int i = 0; i < 4; i++)
        {
            var column = s.select(1, i);
            double error = 3 * column.std().ToDouble() / Math.Sqrt(Draws);
            Assert.InRange(column.mean().ToDouble(), -error, error);
            double squares = 3 * column.square().std().ToDouble() / Math.Sqrt(Draws);
            Assert.InRange(column.square().mean().ToDouble() - fisher[i, i].ToDouble(), -squares, squares);
        }
    }

    [Theory, InlineData(1e4f), InlineData(-1e4f)]
    public void Extreme_logits_stay_finite(float logit)
    {
        var f = tensor(new[] { logit, 0, -logit }).unsqueeze(0);
        foreach (var (likelihood, y) in new (Likelihood, Tensor)[] { (new Categorical(), tensor(new long[] { 2 })), (new Bernoulli(), ones(1, 3)) })
        {
            Assert.True(double.IsFinite(likelihood.Loss(f, y).ToDouble()));
            Assert.True(likelihood.Score(f, y).isfinite().all().ToBoolean());
            Assert.True(likelihood.FisherRootColumn(f, 0).isfinite().all().ToBoolean());
        }
    }
}
