using Amari.Kernels;
using Amari.Native;
using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>Means of quadratic forms of random signs z (Hutchinson 1989): unbiased, one product per probe, little memory.</summary>
/// <remarks><code>
/// tr C = E[ z'C z ]       ‖C‖²_F = E[ ‖C z‖² ]       diag C = E[ z ∘ C z ]
/// </code>The standard error falls as 1 / √probes. <see cref="XTrace"/> is more accurate if the spectrum decays.</remarks>
/// <example><code>
/// using Amari.Curvature;
/// using Amari.Spectrum;
///
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// var hessian = new Hessian(new Objective(model, new Categorical(), [(x, y)]));
/// Estimate trace = Hutchinson.Trace(hessian, probes: 30);
/// Console.WriteLine($"{trace.Value} ± {trace.StandardError}");
/// </code></example>
public static class Hutchinson
{
    private const long Entries = 1 << 23; // maximum number of entries in the probes of one product

    /// <summary>tr C.</summary>
    /// <param name="op">C.</param>
    /// <param name="probes">Products, ≥ 2.</param>
    /// <param name="seed">Seed of the probes.</param>
    public static Estimate Trace(LinearOperator op, int probes = 30, long seed = 0) =>
        Estimate.OfMean(Samples(op, probes, seed, InnerProducts.OfRows));

    /// <summary>‖C‖_F, the square root of the sum of squared eigenvalues.</summary>
    /// <param name="op">C.</param>
    /// <param name="probes">Products, ≥ 2.</param>
    /// <param name="seed">Seed of the probes.</param>
    public static Estimate FrobeniusNorm(LinearOperator op, int probes = 30, long seed = 0)
    {
        double[] lengths = Samples(op, probes, seed, (_, cz) => Probes.Length(cz, 1).Elements<double>());
        double largest = lengths.Max();
        if (!(largest > 0))
            return Estimate.Exact(largest); // 0, or NaN
        double[] squares = Array.ConvertAll(lengths, l => l / largest * (l / largest));
        return largest * Estimate.Jackknife(squares.Length, i => Math.Sqrt(squares.Where((_, j) => j != i).Average()));
    }

    /// <summary>diag C : [d]; the caller owns it. Exact with one probe for a diagonal C. <see cref="XDiag"/> is more accurate with many
    /// products.</summary>
    /// <param name="op">C.</param>
    /// <param name="probes">Products, ≥ 1.</param>
    /// <param name="seed">Seed of the probes.</param>
    public static Tensor Diagonal(LinearOperator op, int probes = 1, long seed = 0)
    {
        ArgumentNullException.ThrowIfNull(op);
        Require.AtLeast(1, probes);
        using var run = op.BeginRun();
        using var generator = Probes.Generator(seed);
        using var scope = NewDisposeScope();
        var sum = zeros(op.Dimension, dtype: op.Type, device: op.Device);
        for (int i = 0; i < probes; i++)
        {
            using var inner = NewDisposeScope();
            var z = Probes.TorchSigns(op, 1, generator).squeeze(0);
            sum.addcmul_(z, op.Apply(z), 1);
        }
        return sum.div_(probes).MoveToOuterDisposeScope();
    }

    private static double[] Samples(LinearOperator op, int probes, long seed, Func<Tensor, Tensor, double[]> form)
    {
        ArgumentNullException.ThrowIfNull(op);
        Require.AtLeast(2, probes);
        using var run = op.BeginRun();
        using var generator = Probes.Generator(seed);
        var samples = new List<double>();
        int together = (int)Math.Clamp(Entries / op.Dimension, 1, 16);
        for (int done = 0; done < probes; done += together)
        {
            using var scope = NewDisposeScope();
            var z = Probes.Signs(op, Math.Min(together, probes - done), generator);
            samples.AddRange(form(z, op.ApplyToRows(z)));
        }
        return [.. samples];
    }
}
