using Amari.Native;

namespace Amari.Tests.Optimizers;

/// <summary>Parameters and gradients made from a seed.</summary>
internal static class Problem
{
    public static Parameter[] Parameters(IEnumerable<long[]> shapes, ScalarType type = ScalarType.Float32, int seed = 1)
    {
        using var generator = new Generator((ulong)seed);
        return [.. shapes.Select(s => nn.Parameter(randn(s, dtype: ScalarType.Float32, generator: generator).to_type(type)))];
    }

    public static void SetGradients(IEnumerable<Parameter> parameters, int seed)
    {
        using var generator = new Generator((ulong)seed);
        foreach (var p in parameters)
        {
            using var old = p.grad;
            p.grad = randn(p.shape, dtype: ScalarType.Float32, generator: generator).to_type(p.dtype);
        }
    }

    /// <summary>Steps from (inclusive) to (exclusive), each with gradients of its own.</summary>
    public static void Steps(Optimizer optimizer, Parameter[] parameters, int from, int to)
    {
        for (int step = from; step < to; step++)
        {
            SetGradients(parameters, step);
            optimizer.step();
        }
    }

    /// <summary>All elements as float64, in order.</summary>
    public static double[] Values(IEnumerable<Tensor> tensors) => [.. tensors.SelectMany(t => t.Elements<double>())];
}
