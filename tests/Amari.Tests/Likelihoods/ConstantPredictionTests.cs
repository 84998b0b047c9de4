using Amari.Ranks;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Likelihoods;

/// <summary>The best constant output against one found by iteration, and the best of all against predictions of the targets
/// themselves.</summary>
public sealed class ConstantPredictionTests : IDisposable
{
    private const int N = 40,
        C = 4;
    private const ScalarType F64 = ScalarType.Float64;
    private readonly DisposeScope _scope = NewDisposeScope();

    public ConstantPredictionTests() => manual_seed(3);

    public void Dispose() => _scope.Dispose();

    public static TheoryData<string> Names =>
        [nameof(Categorical), nameof(Bernoulli), nameof(Gaussian), nameof(SquaredError), nameof(Poisson), nameof(HeteroscedasticGaussian)];

    private static (Likelihood, Tensor) Make(string name) =>
        name switch
        {
            nameof(Categorical) => (new Categorical(), randint(0, C, [N], dtype: ScalarType.Int64)),
            nameof(Bernoulli) => (new Bernoulli(), rand(N, C, dtype: F64)),
            nameof(Gaussian) => (new Gaussian(0.7), randn(N, C, dtype: F64) + 3),
            nameof(SquaredError) => (new SquaredError(), randn(N, C, dtype: F64) + 3),
            nameof(Poisson) => (new Poisson(), randint(0, 6, [N, C], dtype: ScalarType.Int64).to_type(F64)),
            _ => (new HeteroscedasticGaussian(), randn(N, C / 2, dtype: F64) * 2 - 1),
        };

    [Fact]
    public void Targets_may_be_of_any_numbers()
    {
        var y = randint(0, 2, [N, C], dtype: ScalarType.Int64);
        foreach (Likelihood likelihood in (Likelihood[])[new Bernoulli(), new Poisson(), new Gaussian()])
        foreach (var type in (ScalarType[])[ScalarType.Bool, ScalarType.Int64, ScalarType.Float32])
            Assert.Equal(likelihood.BestConstant(y.to_type(F64))!.Value.Loss, likelihood.BestConstant(y.to_type(type))!.Value.Loss, 1e-6);
    }

    /// <summary>Fisher scoring over one output for all examples: c ← c - Λ⁺ s, with the means of Λ and of the score.</summary>
    [Theory, MemberData(nameof(Names))]
    public void No_constant_is_better(string name)
    {
        var (likelihood, y) = Make(name);
        var c = zeros(1, C, dtype: F64);
        for (int i = 0; i < 60; i++)
        {
            var f = c.expand(N, C).contiguous();
            c -= linalg.pinv(likelihood.FisherMatrix(f).mean([0]), 1e-10).matmul(likelihood.Score(f, y).mean([0])).unsqueeze(0);
        }
        double best = likelihood.Loss(c.expand(N, C).contiguous(), y).ToDouble();
        Assert.Equal(best, likelihood.BestConstant(y)!.Value.Loss, 1e-9);
    }

    [Fact]
    public void What_is_left_at_best_is_the_loss_of_the_targets_themselves()
    {
        var (bernoulli, p) = Make(nameof(Bernoulli));
        Assert.Equal(bernoulli.Loss((p / (1 - p)).log(), p).ToDouble(), bernoulli.BestConstant(p)!.Value.Saturated, 1e-9);
        var (gaussian, y) = Make(nameof(Gaussian));
        Assert.Equal(gaussian.Loss(y, y).ToDouble(), gaussian.BestConstant(y)!.Value.Saturated, 1e-9);
        var (poisson, n) = Make(nameof(Poisson));
        Assert.Equal(poisson.Loss((n + 1e-300).log(), n).ToDouble(), poisson.BestConstant(n)!.Value.Saturated, 1e-9);
        var (categorical, label) = Make(nameof(Categorical));
        Assert.Equal(
            categorical.Loss(nn.functional.one_hot(label, C).to_type(F64) * 1e3, label).ToDouble(),
            categorical.BestConstant(label)!.Value.Saturated,
            1e-9
        );
    }

    [Fact]
    public void Further_dimensions_count_as_the_loss_counts_them()
    {
        var labels = randint(0, C, [N, 5], dtype: ScalarType.Int64);
        Assert.Equal(
            new Categorical().BestConstant(labels.view(-1))!.Value.Loss,
            new Categorical().BestConstant(labels)!.Value.Loss,
            1e-12
        );
        var images = rand(N, 2, 3, dtype: F64);
        Assert.Equal(new Bernoulli().BestConstant(images.flatten(1))!.Value.Loss, new Bernoulli().BestConstant(images)!.Value.Loss, 1e-12);
        Assert.Null(new Categorical().BestConstant(full([3], -100, dtype: ScalarType.Int64)));
        Assert.Null(new HeteroscedasticGaussian().BestConstant(ones(N, 2)));
        Assert.Equal(
            new Bernoulli().BestConstant(images)!.Value.Loss,
            new Bernoulli().BestConstant(images.to_type(ScalarType.Float32))!.Value.Loss,
            1e-5
        );
    }

    /// <summary>The mean image of the autoencoder's digits: what K-FAC rested at from Glorot's weights.</summary>
    [Fact]
    public void The_autoencoders_mean_image()
    {
        using var trainer = new Amari.Training.Trainer(new Amari.Workloads.AutoencoderSigmoid(), null);
        Assert.InRange(trainer.BestConstant!.Value.Loss, 205, 207.5);
        Assert.InRange(trainer.BestConstant.Value.Saturated, 40, 100);
    }
}
