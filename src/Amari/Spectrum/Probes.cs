using Amari.Kernels;
using Amari.Native;
using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>Random vectors z with E[z z'] = I, as rows: an operator takes k of them in one product.</summary>
internal static class Probes
{
    private const ulong SeedOffset = 0x9E3779B97F4A7C15;

    /// <summary>The random generator of a seed. It differs from torch's generator with that seed, from which a model's weights may have
    /// been drawn: probes that are correlated with the weights are biased.</summary>
    public static Generator Generator(long seed) => new((ulong)seed ^ SeedOffset, CPU);

    /// <summary>Independent random signs, [k, d]. A row does not depend on the number of rows after it.</summary>
    public static Tensor Signs(LinearOperator op, long count, Generator generator) => Rows(op, count, generator, RandomSigns.Fill);

    /// <summary>The same from torch's generator alone, slower: what saved runs of methods with a diagonal in each step continue
    /// with.</summary>
    public static Tensor TorchSigns(LinearOperator op, long count, Generator generator) =>
        randint(0, 2, [count, op.Dimension], dtype: op.Type, generator: generator).mul_(2).sub_(1).to(op.Device);

    /// <summary>Uniform on the sphere of radius √d, [k, d]. A row does not depend on the number of rows after it.</summary>
    public static Tensor Sphere(LinearOperator op, long count, Generator generator) =>
        Rows(
            op,
            count,
            generator,
            (v, seed) =>
            {
                RandomNormals.Fill(v, seed);
                v.mul_(Math.Sqrt(op.Dimension / InnerProducts.Dot(v, v)));
            }
        );

    private static Tensor Rows(LinearOperator op, long count, Generator generator, Action<Tensor, ulong> fill)
    {
        using var scope = NewDisposeScope();
        var rows = empty(count, op.Dimension, dtype: ScalarType.Float32);
        long[] seeds = randint(0, 1L << 62, [count], dtype: ScalarType.Int64, generator: generator).Elements<long>();
        for (int i = 0; i < count; i++)
            fill(rows[i], (ulong)seeds[i]);
        return rows.to(op.Type, op.Device).MoveToOuterDisposeScope();
    }

    /// <summary>The lengths of vectors along a dimension, which is kept. (norm loses four digits of a long float32 vector; this sum of
    /// squares is pairwise.) Vectors are first divided by a power of two, so that squares are representable if the lengths are.</summary>
    public static Tensor Length(Tensor vectors, long dimension = 0)
    {
        using var scope = NewDisposeScope();
        var (high, low) = (vectors.amax([dimension], keepdim: true), vectors.amin([dimension], keepdim: true));
        var scale = Power(maximum(high, low.neg_()));
        var scaled = vectors.div(scale);
        return scaled.mul_(scaled).sum(dim: dimension, keepdim: true).sqrt_().mul_(scale).MoveToOuterDisposeScope();
    }

    /// <summary>The size of the entries of a tensor as a power of two, so that dividing by it does not round; 1 if all entries are
    /// zero.</summary>
    public static double Size(Tensor entries)
    {
        using var scope = NewDisposeScope();
        double largest = Math.Max(Number(entries.max()), -Number(entries.min()));
        return largest > 0 && double.IsFinite(largest)
            ? Math.Clamp(Math.ScaleB(1, Math.ILogB(largest)), finfo(entries.dtype).tiny, double.MaxValue)
            : 1;
    }

    private static double Number(Tensor scalar) => scalar.to_type(ScalarType.Float64).ToDouble();

    private static Tensor Power(Tensor sizes) => sizes.clamp_min(finfo(sizes.dtype).tiny).log2_().floor_().exp2_();
}
