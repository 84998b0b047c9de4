using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>Random vectors z with E[z z'] = I, as columns: k of them are one product of an operator.</summary>
internal static class Probes
{
    /// <summary>Independent signs, [d, k].</summary>
    public static Tensor Signs(LinearOperator op, long count, Generator generator) =>
        randint(0, 2, [count, op.Dimension], dtype: op.Type, generator: generator).mul_(2).sub_(1).to(op.Device).T;

    /// <summary>Uniform on the sphere of radius √d, [d, k]; a column does not depend on how many follow.</summary>
    public static Tensor Sphere(LinearOperator op, long count, Generator generator)
    {
        var g = stack([.. Enumerable.Range(0, (int)count).Select(_ => randn(op.Dimension, dtype: op.Type, generator: generator))]).to(op.Device);
        return g.div_(g.norm(1, keepdim: true)).mul_(Math.Sqrt(op.Dimension)).T;
    }

    /// <summary>The numbers of a vector, in float64.</summary>
    public static double[] Read(Tensor vector) => vector.to_type(ScalarType.Float64).cpu().data<double>().ToArray();
}
