using Amari.Native;
using Amari.Serialization;
using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>Extreme eigenpairs of a symmetric operator by thick-restart Lanczos (Wu and Simon 2000, SIAM J. Matrix Anal. Appl. 22), with
/// full reorthogonalisation.</summary>
/// <remarks><code>
/// C V = V T + β v₊ eₘ'       V : [d, m], V'V = I, T symmetric
/// T = S Θ S',   Ritz pairs (θᵢ, V sᵢ),   ‖C V sᵢ - θᵢ V sᵢ‖ = |β sₘᵢ|: an eigenvalue lies within this of θᵢ
/// restart: V ← (V S of the best l, v₊),   T ← arrow of Θ and β sₘ
/// </code>
/// Memory is m + 1 vectors for any number of products. One starting vector finds a multiple eigenvalue once, until V spans an invariant
/// subspace. Then Lanczos continues with a new random direction.</remarks>
public static class Lanczos
{
    private const int GramSchmidtPasses = 2; // of Gram-Schmidt: two are enough

    /// <param name="op">C.</param>
    /// <param name="options">Which pairs, and how accurate.</param>
    /// <param name="progress">Called after each product.</param>
    /// <param name="stop">Stops after the current product and returns the pairs found so far.</param>
    /// <returns>The pairs; the caller disposes them.</returns>
    /// <exception cref="ArgumentException">The start has another shape, is not finite, or is 0.</exception>
    public static Eigenpairs Run(
        LinearOperator op,
        LanczosOptions? options = null,
        IProgress<LanczosProgress>? progress = null,
        CancellationToken stop = default
    )
    {
        // Longer than 60 lines: the basis, T and the counters change together in every step and restart.
        ArgumentNullException.ThrowIfNull(op);
        options ??= new();
        int requested = (int)Math.Min(options.Count * (options.End == SpectrumEnd.Both ? 2L : 1), op.Dimension);
        int m = (int)Math.Min(op.Dimension, Math.Max(options.BasisSize ?? 2 * requested + 20, requested + 2));
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var generator = Probes.Generator(options.Seed);
        var basis = empty([m + 1, op.Dimension], dtype: op.Type, device: op.Device); // V', one vector per row, and v₊
        var t = new double[m, m];
        basis[0].copy_(options.Start is null ? Random(op, generator) : Unit(op, options));
        int retained = 0,
            products = 0,
            converged = 0;
        while (true)
        {
            int size = m;
            double beta = 0;
            for (int j = retained; j < m; j++)
            {
                using var inner = NewDisposeScope();
                var v = basis.narrow(0, 0, j + 1);
                var w = op.Apply(basis[j]);
                var alpha = v[j].mul(w).sum();
                w.addcmul_(alpha, v[j], -1);
                t[j, j] = alpha.ToDouble() + Orthogonalise(w, v)[j];
                beta = Probes.Length(w).ToDouble();
                products++;
                if (!double.IsFinite(beta))
                    return new([], [], null, products, LanczosStatus.NotFinite);
                progress?.Report(new(products, converged, requested));
                if (beta <= 10 * finfo(op.Type).eps * Scale(t, j + 1)) // V is invariant: continue in its complement, if any
                {
                    beta = 0;
                    if (j + 1 < op.Dimension)
                    {
                        w = Random(op, generator);
                        Orthogonalise(w, v);
                        w.div_(Probes.Length(w));
                    }
                }
                else
                    w.div_(beta);
                basis[j + 1].copy_(w);
                if (j + 1 < m)
                    t[j, j + 1] = t[j + 1, j] = beta;
                if (!stop.IsCancellationRequested && products < options.MaxProducts)
                    continue;
                size = j + 1;
                break;
            }
            var (values, vectors) = linalg.eigh(tensor(Leading(t, size))); // ascending
            double[] theta = values.Elements<double>(),
                last = vectors[size - 1].Elements<double>();
            double accuracy = finfo(op.Type).eps * Math.Max(Math.Abs(theta[0]), Math.Abs(theta[^1]));
            double[] residual = [.. last.Select(s => Math.Max(Math.Abs(beta * s), accuracy))];
            double tolerance = Math.Max(options.Tolerance * Math.Max(Math.Abs(theta[0]), Math.Abs(theta[^1])), accuracy);
            int[] chosen = options.End.Choose(size, Math.Min(requested, size));
            converged = chosen.Count(i => residual[i] <= tolerance);
            var status =
                converged == requested ? LanczosStatus.Converged
                : stop.IsCancellationRequested ? LanczosStatus.Interrupted
                : products >= options.MaxProducts ? LanczosStatus.ProductLimit
                : (LanczosStatus?)null;
            if (status is { } end)
            {
                Tensor? pairs = null;
                if (options.Vectors)
                {
                    Rotate(basis, vectors, size, chosen);
                    pairs = basis.narrow(0, 0, chosen.Length).clone().T.MoveToOuterDisposeScope();
                }
                return new([.. chosen.Select(i => theta[i])], [.. chosen.Select(i => residual[i])], pairs, products, end);
            }
            int[] best = options.End.Choose(size, requested + (m - requested) / 2);
            retained = best.Length;
            Rotate(basis, vectors, m, best);
            basis[retained].copy_(basis[m]);
            Array.Clear(t);
            for (int i = 0; i < retained; i++)
            {
                t[i, i] = theta[best[i]];
                t[i, retained] = t[retained, i] = beta * last[best[i]];
            }
        }
    }

    private static Tensor Unit(LinearOperator op, LanczosOptions options)
    {
        var start = options.Start!;
        double norm = start.dim() == 1 && start.shape[0] == op.Dimension ? Probes.Length(start).ToDouble() : double.NaN;
        return norm > 0 && double.IsFinite(norm)
            ? start / norm
            : throw new ArgumentException(
                $"Start is [{string.Join(", ", start.shape)}]; it must be [{op.Dimension}], finite and not 0.",
                nameof(options)
            );
    }

    private static Tensor Random(LinearOperator op, Generator generator)
    {
        var r = randn(op.Dimension, dtype: op.Type, generator: generator).to(op.Device);
        return r.div_(Probes.Length(r));
    }

    /// <summary>w ← (I - V V') w; returns V'w.</summary>
    private static double[] Orthogonalise(Tensor w, Tensor rows)
    {
        var along = new double[rows.shape[0]];
        for (int pass = 0; pass < GramSchmidtPasses; pass++)
        {
            using var scope = NewDisposeScope();
            var h = Probes.Along(rows, w);
            w.sub_(rows.T.mv(h.to_type(w.dtype)));
            double[] part = h.Elements<double>();
            for (int i = 0; i < along.Length; i++)
                along[i] += part[i];
        }
        return along;
    }

    /// <summary>Replaces the first rows of V' by the chosen Ritz vectors, a few columns at a time, so that no second basis is
    /// needed.</summary>
    private static void Rotate(Tensor basis, Tensor vectors, int size, int[] chosen)
    {
        const long Columns = 1 << 18;
        using var scope = NewDisposeScope();
        var s = vectors.index_select(1, tensor(Array.ConvertAll(chosen, i => (long)i))).T.to_type(basis.dtype).to(basis.device);
        for (long start = 0; start < basis.shape[1]; start += Columns)
        {
            using var inner = NewDisposeScope();
            var part = basis.narrow(1, start, Math.Min(Columns, basis.shape[1] - start));
            part.narrow(0, 0, chosen.Length).copy_(s.mm(part.narrow(0, 0, size)));
        }
    }

    private static double[,] Leading(double[,] t, int size)
    {
        var part = new double[size, size];
        for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++)
            part[i, j] = t[i, j];
        return part;
    }

    /// <summary>The largest entry so far: the size of C up to a factor.</summary>
    private static double Scale(double[,] t, int size) =>
        Enumerable.Range(0, size).Max(i => Enumerable.Range(0, size).Max(j => Math.Abs(t[i, j])));
}
