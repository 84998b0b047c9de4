using Amari.Native;
using Amari.Spectrum;
using Amari.Verification;

namespace Amari.Curvature;

/// <summary>The loss over a plane through the weights, L(w + a u + b v) (Goodfellow, Vinyals, Saxe 2015; Li et al. 2018,
/// arXiv:1712.09913).</summary>
public static class LossSurface
{
    /// <summary>Two random Gaussian directions as columns [d, 2]. Each filter (a slice along the first dimension of a weight) is scaled to
    /// the length of the weights' own filter; biases and other vectors are 0 (Li et al. 2018, Section 4). The caller owns it.</summary>
    /// <remarks>A step of 1 along such a direction is as long as the weights, for any scale of the layers.</remarks>
    /// <param name="parameters">w.</param>
    /// <param name="seed">Seed of the directions.</param>
    public static Tensor FilterNormalised(ParameterLayout parameters, long seed = 0)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var generator = Probes.Generator(seed);
        return stack([Direction(), Direction()], 1).MoveToOuterDisposeScope();

        Tensor Direction() =>
            parameters.Flatten([
                .. parameters.Parameters.Select(p =>
                {
                    var w = p.Parameter;
                    if (w.dim() < 2)
                        return zeros_like(w);
                    var filters = w.reshape(w.shape[0], -1);
                    var g = randn(filters.shape, dtype: w.dtype, generator: generator).to(w.device);
                    return g * (filters.norm(1, keepdim: true) / (g.norm(1, keepdim: true) + finfo(w.dtype).tiny));
                }),
            ]);
    }

    /// <summary>The two principal directions of a path of weights relative to its end, as columns [d, 2] of length 1 (Li et al. 2018,
    /// Section 7), and their share of the path's variation. The caller owns the directions.</summary>
    /// <param name="path">At least three weight vectors [d], not all on one line.</param>
    /// <exception cref="ArgumentException">There are fewer, or they are on a line to rounding, or not finite.</exception>
    public static (Tensor Directions, double Share) Principal(IReadOnlyList<Tensor> path)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (path.Count < 3)
            throw new ArgumentException($"The path has {path.Count} points; two principal directions need at least 3.", nameof(path));
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var steps = stack([.. path.Take(path.Count - 1).Select(w => w - path[^1])]); // [n, d]
        var (values, vectors) = linalg.eigh(steps.mm(steps.T).to_type(ScalarType.Float64));
        double least = finfo(steps.dtype).eps * path.Count * values[-1].ToDouble();
        if (!(values[-2].ToDouble() > least))
            throw new ArgumentException(
                "The points of the path lie on a line, or are not finite: there is one direction at most.",
                nameof(path)
            );
        var u = steps.T.mm(vectors.narrow(1, path.Count - 3, 2).flip(1).to_type(steps.dtype));
        return (
            (u / u.norm(0, keepdim: true)).MoveToOuterDisposeScope(),
            (values.narrow(0, path.Count - 3, 2).sum() / values.sum()).ToDouble()
        );
    }

    /// <summary>The losses [row of b, column of a]; NaN for points after an interruption. The weights are restored.</summary>
    /// <param name="objective">L; its parameters are w.</param>
    /// <param name="directions">u and v, [d, 2].</param>
    /// <param name="a">Steps along u.</param>
    /// <param name="b">Steps along v.</param>
    /// <param name="progress">Receives the completed share, 0..1.</param>
    /// <param name="stop">Stops after the current point.</param>
    public static double[,] Evaluate(
        Objective objective,
        Tensor directions,
        IReadOnlyList<double> a,
        IReadOnlyList<double> b,
        IProgress<double>? progress = null,
        CancellationToken stop = default
    )
    {
        ArgumentNullException.ThrowIfNull(objective);
        ArgumentNullException.ThrowIfNull(a);
        ArgumentNullException.ThrowIfNull(b);
        Check(directions, objective.Parameters.Dimension);
        var losses = new double[b.Count, a.Count];
        foreach (ref double loss in System.Runtime.InteropServices.MemoryMarshal.CreateSpan(ref losses[0, 0], losses.Length))
            loss = double.NaN;
        using var off = no_grad();
        using var scope = NewDisposeScope();
        var w = objective.Parameters.Read();
        try
        {
            for (int row = 0; row < b.Count; row++)
            for (int column = 0; column < a.Count && !stop.IsCancellationRequested; column++)
            {
                using var inner = NewDisposeScope();
                objective.Parameters.Write(w.add(directions.select(1, 0), a[column]).add_(directions.select(1, 1), b[row]));
                losses[row, column] = objective.Loss();
                progress?.Report((row * a.Count + column + 1.0) / losses.Length);
            }
        }
        finally
        {
            objective.Parameters.Write(w);
        }
        return losses;
    }

    /// <summary>The coordinates (a, b) of the point w + a u + b v of the plane nearest to a given point.</summary>
    /// <param name="point">[d].</param>
    /// <param name="origin">w, [d].</param>
    /// <param name="directions">u and v, [d, 2], not parallel.</param>
    public static (double A, double B) Project(Tensor point, Tensor origin, Tensor directions)
    {
        ArgumentNullException.ThrowIfNull(point);
        Check(directions, point.numel());
        using var off = no_grad();
        using var scope = NewDisposeScope();
        double[] along = directions.T.mv(point - origin).Elements<double>(),
            gram = directions.T.mm(directions).Elements<double>();
        double determinant = gram[0] * gram[3] - gram[1] * gram[2];
        return ((gram[3] * along[0] - gram[1] * along[1]) / determinant, (gram[0] * along[1] - gram[2] * along[0]) / determinant);
    }

    private static void Check(Tensor directions, long dimension)
    {
        ArgumentNullException.ThrowIfNull(directions);
        if (directions.dim() != 2 || directions.shape[0] != dimension || directions.shape[1] != 2)
            throw new ArgumentException(
                $"The directions are [{string.Join(", ", directions.shape)}]; they must be [{dimension}, 2].",
                nameof(directions)
            );
    }
}
