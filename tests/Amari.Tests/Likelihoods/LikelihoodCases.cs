namespace Amari.Tests.Likelihoods;

/// <summary>Every likelihood with targets for it and the closed form of its output Fisher.</summary>
public static class LikelihoodCases
{
    public const int N = 3,
        C = 4;
    public const ScalarType F64 = ScalarType.Float64;

    public static TheoryData<string> Names =>
        [.. typeof(Likelihood).Assembly.GetTypes().Where(t => t.IsSubclassOf(typeof(Likelihood)) && !t.IsAbstract).Select(t => t.Name)];

    public static Likelihood Make(string name) =>
        name switch
        {
            nameof(Categorical) => new Categorical(),
            nameof(Bernoulli) => new Bernoulli(),
            nameof(Gaussian) => new Gaussian(0.7),
            nameof(SquaredError) => new SquaredError(),
            nameof(Poisson) => new Poisson(),
            nameof(HeteroscedasticGaussian) => new HeteroscedasticGaussian(),
            _ => throw new ArgumentException($"{name} has no row here."),
        };

    public static Tensor Targets(string name, long n, ScalarType type = F64) =>
        name switch
        {
            nameof(Categorical) => randint(0, C, [n], dtype: ScalarType.Int64),
            nameof(Bernoulli) => rand(n, C, dtype: type),
            nameof(Gaussian) or nameof(SquaredError) => randn(n, C, dtype: type),
            nameof(Poisson) => randint(0, 6, [n, C], dtype: ScalarType.Int64).to_type(type),
            _ => randn(n, C / 2, dtype: type),
        };

    /// <summary>Λ of one term in closed form, from f : [C].</summary>
    public static Tensor Lambda(string name, Tensor f) =>
        name switch
        {
            nameof(Categorical) => diag(f.softmax(0)) - f.softmax(0).outer(f.softmax(0)),
            nameof(Bernoulli) => diag(f.sigmoid() * (1 - f.sigmoid())),
            nameof(Gaussian) => eye(C, dtype: F64) / 0.7,
            nameof(SquaredError) => eye(C, dtype: F64),
            nameof(Poisson) => diag(f.exp()),
            _ => diag(cat([1 / f.narrow(0, C / 2, C / 2).exp(), full(C / 2, 0.5, dtype: F64)])),
        };

    public static void Near(Tensor actual, Tensor expected, double tolerance)
    {
        Assert.Equal(expected.shape, actual.shape);
        double error = (actual - expected).abs().max().ToDouble();
        Assert.True(error <= tolerance * Math.Max(1, expected.abs().max().ToDouble()), $"differs by {error}");
    }
}
