using Amari.Kernels;
using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>Random vectors z with E[z z'] = I, as columns: an operator takes k of them in one product.</summary>
internal static class Probes
{
    private const ulong SeedOffset = 0x9E3779B97F4A7C15;

    /// <summary>The random generator of a seed. It differs from torch's generator with that seed, from which a model's weights may have
    /// been drawn: probes that are correlated with the weights are biased.</summary>
    public static Generator Generator(long seed) => new((ulong)seed ^ SeedOffset, CPU);

    /// <summary>Independent random signs, [d, k].</summary>
    public static Tensor Signs(LinearOperator op, long count, Generator generator) =>
        randint(0, 2, [count, op.Dimension], dtype: op.Type, generator: generator).mul_(2).sub_(1).to(op.Device).T;

    /// <summary>Uniform on the sphere of radius √d, [d, k]. A column does not depend on the number of columns after it.</summary>
    public static Tensor Sphere(LinearOperator op, long count, Generator generator)
    {
        var g = stack([.. Enumerable.Range(0, (int)count).Select(_ => randn(op.Dimension, dtype: op.Type, generator: generator))])
            .to(op.Device);
        return g.div_(Length(g, 1)).mul_(Math.Sqrt(op.Dimension)).T;
    }

    /// <summary>The lengths of vectors along a dimension, which is kept. (norm loses four digits of a long float32 vector; this sum of
    /// squares is pairwise.) Vectors are first divided by a power of two, so that squares are representable if the lengths are.</summary>
    public static Tensor Length(Tensor vectors, long dimension = 0)
    {
        using var scope = NewDisposeScope();
        var scale = Power(vectors.abs().amax([dimension], keepdim: true));
        return vectors.div(scale).square().sum(dim: dimension, keepdim: true).sqrt_().mul_(scale).MoveToOuterDisposeScope();
    }

    /// <summary>The size of the entries of a tensor as a power of two, so that dividing by it does not round; 1 if all entries are
    /// zero.</summary>
    public static double Size(Tensor entries)
    {
        using var scope = NewDisposeScope();
        double largest = entries.abs().max().to_type(ScalarType.Float64).ToDouble();
        return largest > 0 && double.IsFinite(largest)
            ? Math.Clamp(Math.ScaleB(1, Math.ILogB(largest)), finfo(entries.dtype).tiny, double.MaxValue)
            : 1;
    }

    private static Tensor Power(Tensor sizes) => sizes.clamp_min(finfo(sizes.dtype).tiny).log2_().floor_().exp2_();

    /// <summary>V'w in float64 for rows V' : [j, d], in pieces, because float32 loses digits in a long sum.</summary>
    public static Tensor Along(Tensor rows, Tensor w)
    {
        const long Piece = 1 << 15;
        using var scope = NewDisposeScope();
        var sum = zeros(rows.shape[0], dtype: ScalarType.Float64, device: w.device);
        long d = w.numel();
        for (long start = 0; start < d; start += Piece)
        {
            using var inner = NewDisposeScope();
            long length = Math.Min(Piece, d - start);
            sum.add_(rows.narrow(1, start, length).mv(w.narrow(0, start, length)));
        }
        return sum.MoveToOuterDisposeScope();
    }
}
