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
/// <example><code>
/// using Amari.Curvature;
/// using Amari.Spectrum;
///
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// var hessian = new Hessian(new Objective(model, new Categorical(), [(x, y)]));
/// using var top = Lanczos.Run(hessian, new() { Count = 5 });
/// for (int i = 0; i &lt; 5; i++)
///     Console.WriteLine($"{top.Values[i]} ± {top.Residuals[i]}");
/// </code></example>
public static class Lanczos
{
    private const double RoundingUnits = 8; // of a residual; those of inner products grow with their length

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
        using var run = op.BeginRun();
        var rows = empty([m + 1, op.Dimension], dtype: op.Type, device: op.Device);
        var basis = new KrylovBasis(rows);
        basis.Set(0, options.Start is null ? Random(op, generator) : Start(op, options));
        double rounding = finfo(op.Type).eps * Math.Max(RoundingUnits, Math.Sqrt(op.Dimension) / RoundingUnits);
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
                beta = basis.Extend(j, op.Apply(basis[j]));
                products++;
                if (!double.IsFinite(beta))
                    return new([], [], null, products, LanczosStatus.NotFinite);
                progress?.Report(new(products, converged, requested));
                if (beta == 0 && j + 1 < op.Dimension) // V is invariant: continue in its complement
                    basis.Set(j + 1, Random(op, generator));
                if (!stop.IsCancellationRequested && products < options.MaxProducts)
                    continue;
                size = j + 1;
                break;
            }
            var (values, vectors) = linalg.eigh(tensor(basis.Leading(size))); // ascending
            double[] theta = values.Elements<double>(),
                last = vectors[size - 1].Elements<double>();
            double accuracy = rounding * Math.Max(Math.Abs(theta[0]), Math.Abs(theta[^1]));
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
                    basis.Rotate(Columns(vectors, chosen));
                    pairs = rows.narrow(0, 0, chosen.Length).clone().T.MoveToOuterDisposeScope();
                }
                return new([.. chosen.Select(i => theta[i])], [.. chosen.Select(i => residual[i])], pairs, products, end);
            }
            int[] best = options.End.Choose(size, requested + (m - requested) / 2);
            retained = best.Length;
            basis.Restart(Columns(vectors, best), [.. best.Select(i => theta[i])], [.. best.Select(i => beta * last[i])]);
        }
    }

    /// <summary>The chosen columns, as rows.</summary>
    private static Tensor Columns(Tensor matrix, int[] chosen) => matrix.index_select(1, tensor(Array.ConvertAll(chosen, i => (long)i))).T;

    private static Tensor Start(LinearOperator op, LanczosOptions options)
    {
        var start = options.Start!;
        double norm = start.dim() == 1 && start.shape[0] == op.Dimension ? Probes.Length(start).ToDouble() : double.NaN;
        return norm > 0 && double.IsFinite(norm)
            ? start.clone()
            : throw new ArgumentException(
                $"Start is [{string.Join(", ", start.shape)}]; it must be [{op.Dimension}], finite and not 0.",
                nameof(options)
            );
    }

    private static Tensor Random(LinearOperator op, Generator generator) =>
        randn(op.Dimension, dtype: op.Type, generator: generator).to(op.Device);
}
