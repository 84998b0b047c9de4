using Amari.Kernels;
using Amari.Native;
using Amari.Solvers;

namespace Amari.Spectrum;

/// <summary>Stochastic Lanczos quadrature (Golub and Meurant 1994; Ubaru, Chen, Saad 2017; Ghorbani, Krishnan, Xiao 2019,
/// arXiv:1901.10159): the density of an operator's whole spectrum from products with a few random vectors.</summary>
/// <remarks><code>
/// v uniform on the unit sphere:   tr f(C) / d = E[ v'f(C) v ]
/// Lanczos from v gives T = S Θ S':   v'f(C) v ≈ Σₖ s₁ₖ² f(θₖ)     exact for polynomials f below degree 2 m
/// </code>
/// All probes go through the operator together. Without reorthogonalisation, copies of converged θ appear and share their weight. The sums
/// above stay correct.</remarks>
/// <example><code>
/// using Amari.Curvature;
/// using Amari.Spectrum;
///
/// var model = nn.Sequential(("fc1", nn.Linear(4, 8)), ("tanh", nn.Tanh()), ("fc2", nn.Linear(8, 3)));
/// Tensor x = rand(64, 4), y = randint(3, [64]);
/// var matrix = new GaussNewton(new Objective(model, new Categorical(), [(x, y)]));
/// var density = LanczosQuadrature.Run(matrix, new() { Steps = 30, Probes = 4 });
/// Console.WriteLine($"rank {density.EffectiveRank()}, log det(G + 0.01 I) {density.LogDeterminant(damping: 0.01)}");
/// </code></example>
public static class LanczosQuadrature
{
    private const int RecurrenceVectors = 6; // of a probe without a basis: three terms, and what a product holds

    /// <summary>The options of <see cref="Run"/>.</summary>
    public sealed record Options
    {
        /// <summary>Number of random vectors, ≥ 1; error bars need 2.</summary>
        public int Probes
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 10;

        /// <summary>m: products per probe, ≥ 1 (at most d).</summary>
        public int Steps
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 80;

        /// <summary>Maximum bytes of vectors, ≥ 0. Probes are processed together as far as they fit: m vectors each to reorthogonalise.
        /// If the m vectors of one probe do not fit, there is no reorthogonalisation, and the result says so; a probe is then
        /// counted as six vectors.</summary>
        public long MemoryLimit
        {
            get;
            init => field = (long)Require.NonNegative(value);
        } = 1L << 30;

        /// <summary>Seed of the probes.</summary>
        public long Seed { get; init; }
    }

    /// <param name="op">C.</param>
    /// <param name="options">Number of probes and steps.</param>
    /// <param name="progress">Receives the completed share, 0..1, after each product.</param>
    /// <param name="stop">Stops after the current product. Probes keep their completed steps; probes that have not started are
    /// omitted.</param>
    public static SpectralDensity Run(
        LinearOperator op,
        Options? options = null,
        IProgress<double>? progress = null,
        CancellationToken stop = default
    )
    {
        ArgumentNullException.ThrowIfNull(op);
        options ??= new();
        int m = (int)Math.Min(options.Steps, op.Dimension);
        long vectors = options.MemoryLimit / (op.Dimension * (op.Type == ScalarType.Float64 ? 8 : 4));
        bool reorthogonalise = vectors >= m;
        int block = (int)Math.Clamp(vectors / (reorthogonalise ? m : RecurrenceVectors), 1, options.Probes);
        using var off = no_grad();
        using var generator = Probes.Generator(options.Seed);
        using var run = op.BeginRun();
        var rules = new List<Quadrature>();
        for (int done = 0; done < options.Probes && !(stop.IsCancellationRequested && done > 0); done += block)
        {
            using var scope = NewDisposeScope();
            int count = Math.Min(block, options.Probes - done);
            var start = Probes.Sphere(op, count, generator).div_(Math.Sqrt(op.Dimension));
            var (alpha, beta) = (reorthogonalise ? (Tridiagonalisation)Reorthogonalised : ThreeTerms)(
                op,
                start,
                m,
                step => progress?.Report((done + (double)count * step / m) / options.Probes),
                stop
            );
            rules.AddRange(alpha.Zip(beta, (a, b) => Rule(a, b, finfo(op.Type).eps)));
        }
        return new(op.Dimension, rules, reorthogonalise);
    }

    /// <summary>Lanczos from each row of v : [p, d], of length 1, at once. Gives the diagonals and off-diagonals, shorter if a probe's
    /// space is exhausted.</summary>
    private delegate (List<double>[] Alpha, List<double>[] Beta) Tridiagonalisation(
        LinearOperator op,
        Tensor v,
        int m,
        Action<int> report,
        CancellationToken stop
    );

    private static (List<double>[] Alpha, List<double>[] Beta) Reorthogonalised(
        LinearOperator op,
        Tensor v,
        int m,
        Action<int> report,
        CancellationToken stop
    )
    {
        using var scope = NewDisposeScope();
        int p = (int)v.shape[0];
        var (alpha, beta) = (Lists(p), Lists(p));
        bool[] ended = new bool[p];
        var rows = empty([p, m, op.Dimension], dtype: op.Type, device: op.Device);
        KrylovBasis[] bases = [.. Enumerable.Range(0, p).Select(i => new KrylovBasis(rows[i]))];
        for (int i = 0; i < p; i++)
            bases[i].Set(0, v[i]);
        for (int j = 0; j < m && !Array.TrueForAll(ended, e => e); j++)
        {
            using var inner = NewDisposeScope();
            var w = op.ApplyToRows(rows.select(1, j));
            for (int i = 0; i < p; i++)
            {
                if (ended[i])
                    continue;
                double b = bases[i].Extend(j, w[i]);
                alpha[i].Add(bases[i].T[j, j]);
                ended[i] = !(b > 0);
                if (!ended[i])
                    beta[i].Add(b);
            }
            report(j + 1);
            if (stop.IsCancellationRequested)
                break;
        }
        return (alpha, beta);
    }

    private static (List<double>[] Alpha, List<double>[] Beta) ThreeTerms(
        LinearOperator op,
        Tensor v,
        int m,
        Action<int> report,
        CancellationToken stop
    )
    {
        using var scope = NewDisposeScope();
        int p = (int)v.shape[0];
        var (alpha, beta) = (Lists(p), Lists(p));
        bool[] ended = new bool[p];
        double[] scale = new double[p];
        Tensor? previous = null,
            coupling = null;
        for (int j = 0; j < m; j++)
        {
            using var inner = NewDisposeScope();
            var w = op.ApplyToRows(v);
            double[] an = InnerProducts.OfRows(v, w);
            var a = tensor(an, dtype: op.Type, device: op.Device).unsqueeze(1);
            w.addcmul_(a, v, -1);
            if (previous is not null)
                w.addcmul_(coupling!, previous, -1);
            var b = Probes.Length(w, 1);
            double[] bn = b.squeeze(1).Elements<double>();
            for (int i = 0; i < p; i++)
            {
                if (ended[i])
                    continue;
                alpha[i].Add(an[i]);
                scale[i] = Math.Max(scale[i], Math.Max(Math.Abs(an[i]), bn[i]));
                ended[i] = !(bn[i] > 10 * finfo(op.Type).eps * scale[i]);
                if (!ended[i])
                    beta[i].Add(bn[i]);
            }
            report(j + 1);
            if (stop.IsCancellationRequested || Array.TrueForAll(ended, e => e))
                break;
            previous?.Dispose();
            coupling?.Dispose();
            (previous, coupling, v) = (v, b.MoveToOuterDisposeScope(), w.div_(b.add(finfo(op.Type).tiny)).MoveToOuterDisposeScope());
        }
        return (alpha, beta);
    }

    /// <summary>Gauss quadrature from a tridiagonal matrix (Golub and Welsch 1969).</summary>
    private static Quadrature Rule(List<double> alpha, List<double> beta, double epsilon)
    {
        int n = alpha.Count;
        if (alpha.Concat(beta).Any(x => !double.IsFinite(x)))
            return new([double.NaN], [1]);
        var t = new double[n, n];
        for (int i = 0; i < n; i++)
        {
            t[i, i] = alpha[i];
            if (i + 1 < n)
                t[i, i + 1] = t[i + 1, i] = beta[i];
        }
        using var scope = NewDisposeScope();
        var (nodes, vectors) = linalg.eigh(tensor(t));
        double[] theta = nodes.Elements<double>();
        double left = beta.Count < n ? 0 : Math.Abs(beta[n - 1] * vectors[n - 1, 0].ToDouble());
        return new(theta, vectors[0].square().Elements<double>())
        {
            FirstResidual = Math.Max(left, epsilon * Math.Max(Math.Abs(theta[0]), Math.Abs(theta[^1]))),
        };
    }

    private static List<double>[] Lists(int count) => [.. Enumerable.Range(0, count).Select(_ => new List<double>())];
}
