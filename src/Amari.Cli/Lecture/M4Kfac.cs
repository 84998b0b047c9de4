using System.Globalization;
using Amari.Curvature;
using Amari.Reporting;
using Amari.Solvers;
using Amari.Training;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>M4: the distance of A ⊗ G from a layer's dense Fisher block, and the cost of both inverses.</summary>
/// <remarks><code>
/// error     |F - A ⊗ G| / |F|, Frobenius, F the exact Fisher block of a layer with its bias
/// best      the error of the nearest Kronecker product: a rank-one approximation of the rearranged F (Van Loan and Pitsianis 1993)
/// diagonal  the error of diag(F)
/// share     of the decrease predicted for the dense step (F + λ)⁻¹ g that a direction d achieves at its best length:
///          (g'd)² / (d'(F + λ)d) over g'(F + λ)⁻¹ g
/// </code>Blocks are in the order of vec(V), V = [W b] column by column.</remarks>
internal sealed class M4Kfac() : LectureItem("M4", "K-FAC: error of the factorisation, cost of the inverse")
{
    private const double Damping = 1e-3;
    private const int Examples = 500,
        Tries = 5;
    private static readonly int[] Layers = [16, 20, 25, 32, 40];

    private sealed record Block(
        string Layer,
        string When,
        Tensor Dense,
        Tensor Factored,
        double Error,
        double Best,
        double Diagonal,
        double Share,
        double DiagonalShare,
        double InverseError
    );

    public override LectureResult Run(int seed)
    {
        // Longer than 60 lines: one experiment from top to bottom, its table, its checks and its figures.
        using var network = new DigitsNetwork(ScalarType.Float64, Examples, 64, 12, 12, 10);
        var blocks = Blocks(network, "at the start");
        using (var optimizer = new AdamW(network.Model, new() { LearningRate = 1e-2 }))
            network.Train(optimizer, 50, Examples);
        blocks.AddRange(Blocks(network, "trained"));
        var factors = Layers.Select(n => (Size: (double)n * n, Seconds: 2 * Inversion(n * n))).ToList();
        var dense = Layers.Select(n => (Size: (double)n, Seconds: Inversion(n * n))).ToList();
        double factorExponent = Exponent(factors),
            denseExponent = Exponent(dense),
            faster = dense[^1].Seconds / (2 * Inversion(Layers[^1]));

        var errors = new LectureTable(
            "block",
            "size",
            "error: K-FAC",
            "error: best product",
            "error: diagonal",
            "share of the decrease: K-FAC",
            "share of the decrease: diagonal"
        );
        foreach (var b in blocks)
            errors.Add($"{b.Layer} {b.When}", b.Dense.shape[0], b.Error, b.Best, b.Diagonal, b.Share, b.DiagonalShare);
        var costs = new LectureTable("inverse of", "n", "size", "operations", "ms of one core", "operations per ns");
        foreach (var (n, s) in factors)
            costs.Add("A and G", n, n, 2 * Math.Pow(n, 3), 1e3 * s, 2e-9 * Speed((n, s)));
        foreach (var (n, s) in dense)
            costs.Add("dense block", n, n * n, Math.Pow(n, 6), 1e3 * s, 1e-9 * Speed((n * n, s)));
        var trained = blocks.Where(b => b.When == "trained").ToList();
        Check[] checks =
        [
            .. blocks.Select(b => Check.AtMost($"{b.Layer} {b.When}: K-FAC's error over the diagonal's", b.Error / b.Diagonal, 1)),
            .. blocks.Select(b =>
                Check.AtLeast($"{b.Layer} {b.When}: K-FAC's error over the best Kronecker product's", b.Error / b.Best, 1)
            ),
            .. blocks.Select(b =>
                Check.AtMost($"{b.Layer} {b.When}: error of K-FAC's step against the dense (A x G + damping)^-1 g", b.InverseError, 1e-9)
            ),
            .. blocks.Except(trained).Select(b => Check.AtLeast($"{b.Layer} {b.When}: share of K-FAC's step", b.Share, 0.9)),
            Check.AtLeast(
                "mean share of K-FAC's step in the trained network minus the diagonal's",
                trained.Average(b => b.Share - b.DiagonalShare),
                0
            ),
            Check.Near("exponent of the time to invert both factors (3 in operations)", factorExponent, 2.75, 1) with
            {
                Timed = true,
            },
            Check.Near("exponent of the time to invert the dense block (6 in operations)", denseExponent, 5.5, 2) with
            {
                Timed = true,
            },
            Check.AtLeast($"dense block over factors, time for a {Layers[^1]} x {Layers[^1]} layer", faster, 20) with
            {
                Timed = true,
            },
        ];
        return new(
            [errors, costs],
            checks,
            [DrawBlock(trained[^1]), DrawCost(factors, dense, factorExponent, denseExponent)],
            "At the start A x G is nearly exact. Training makes activations and gradients dependent and the error grows, but the "
                + "diagonal is less accurate. "
                + string.Create(
                    CultureInfo.InvariantCulture,
                    $"For a {Layers[^1]} x {Layers[^1]} layer the factors are {Number.Short(faster, 2)} times cheaper to invert. The "
                        + $"operations grow as n^3 and n^6, the times as n^{factorExponent:F1} and n^{denseExponent:F1}: with a matrix of "
                        + $"size {factors[^1].Size} the processor does {Speed(factors[^1]) / Speed(factors[0]):F1} times as many "
                        + $"operations per second as with one of size {factors[0].Size}."
                )
        );
    }

    /// <summary>Compares K-FAC's operator with the dense Fisher, layer by layer.</summary>
    private static List<Block> Blocks(DigitsNetwork network, string when) =>
        [
            .. network
                .Model.named_children()
                .Where(c => c.module is Linear)
                .Select(c =>
                {
                    var layout = ParameterLayout.Of(network.Model, p => p.StartsWith(c.name + '.', StringComparison.Ordinal));
                    var objective = new Objective(network.Model, network.Likelihood, [(network.Inputs, network.Targets)], layout);
                    using var kfac = new KroneckerFactored(objective);
                    using var inverse = kfac.Inverse(Damping, DampingMethod.Eigenbasis);
                    Tensor dense = new Fisher(objective).ToDense(),
                        factored = kfac.ToDense(),
                        gradient = objective.Gradient().Gradient;
                    var damping = Damping * eye(layout.Dimension, dtype: layout.Type);
                    Tensor exact = linalg.solve(dense + damping, gradient),
                        step = inverse.Apply(gradient),
                        diagonal = gradient / (dense.diag() + Damping);
                    long outputs = layout.Shapes[0][0],
                        inputs = layout.Shapes[0][1];
                    var order = cat(
                            [arange(outputs * inputs).view(outputs, inputs), arange(outputs).add(outputs * inputs).view(outputs, 1)],
                            1
                        )
                        .t()
                        .reshape(-1);
                    Tensor Vec(Tensor m) => m.index_select(0, order).index_select(1, order);
                    var rearranged = Vec(dense)
                        .view(inputs + 1, outputs, inputs + 1, outputs)
                        .permute(1, 3, 0, 2)
                        .reshape(outputs * outputs, -1);
                    double norm = Norm(dense),
                        first = linalg.eigvalsh(rearranged.mm(rearranged.t()))[-1].ToDouble();
                    return new Block(
                        c.name,
                        when,
                        Vec(dense),
                        Vec(factored),
                        Norm(dense - factored) / norm,
                        Math.Sqrt(Math.Max(0, 1 - first / (norm * norm))),
                        Norm(dense - dense.diag().diag()) / norm,
                        Share(step),
                        Share(diagonal),
                        Norm(linalg.solve(factored + damping, gradient) - step) / Norm(step)
                    );

                    double Share(Tensor d) =>
                        Math.Pow(gradient.dot(d).ToDouble(), 2)
                        / (d.dot(dense.mv(d)).ToDouble() + Damping * d.dot(d).ToDouble())
                        / gradient.dot(exact).ToDouble();
                }),
        ];

    private static double Norm(Tensor t) => t.norm().ToDouble();

    /// <summary>Seconds of one core for a float32 Cholesky inverse of a positive definite matrix, the best of several. Other programs do
    /// not affect the time.</summary>
    private static double Inversion(int n)
    {
        int threads = get_num_threads();
        using var scope = NewDisposeScope();
        var x = randn(n, n).div_(Math.Sqrt(n));
        var matrix = x.mm(x.t()) + eye(n);
        double best = double.PositiveInfinity;
        set_num_threads(1);
        for (int i = 0; i < Tries; i++)
        {
            using var inner = NewDisposeScope();
            var start = Environment.CpuUsage.TotalTime;
            SpdInverse.Cholesky(matrix);
            best = Math.Min(best, (Environment.CpuUsage.TotalTime - start).TotalSeconds);
        }
        set_num_threads(threads);
        return best;
    }

    private static double Exponent(List<(double Size, double Seconds)> points) =>
        Fit.Exponent([.. points.Select(p => p.Size)], [.. points.Select(p => p.Seconds)]);

    /// <summary>Size³ per second.</summary>
    private static double Speed((double Size, double Seconds) inverse) => Math.Pow(inverse.Size, 3) / inverse.Seconds;

    private static Figure DrawBlock(Block b)
    {
        double limit = b.Dense.abs().quantile(tensor(0.995, dtype: ScalarType.Float64)).ToDouble();
        Plot Of(string title, Tensor matrix)
        {
            var panel = Figure.Panel(title, "entry of vec [W b]", "entry of vec [W b]");
            Figure.Matrix(panel, Figure.Array(matrix), limit);
            return panel;
        }
        return new(
            "M4-kfac-block",
            Of($"Fisher block of the last layer, {b.Dense.shape[0]} x {b.Dense.shape[0]}", b.Dense),
            Of("K-FAC: A ⊗ G", b.Factored),
            Of(FormattableString.Invariant($"difference, {100 * b.Error:F0} % of the norm"), b.Dense - b.Factored)
        )
        {
            Size = (2220, 640),
        };
    }

    private static Figure DrawCost(
        List<(double Size, double Seconds)> factors,
        List<(double Size, double Seconds)> dense,
        double factorExponent,
        double denseExponent
    )
    {
        var plot = Figure.Panel(
            "Inverting the curvature of one n x n layer",
            "n: inputs and outputs of the layer (log scale)",
            "milliseconds of one core (log scale)"
        );
        void Series(List<(double Size, double Seconds)> points, double exponent, int operations, string color, string name)
        {
            double[] x = [.. points.Select(p => Math.Log10(p.Size))],
                y = [.. points.Select(p => Math.Log10(1e3 * p.Seconds))];
            Figure.Marks(plot, x, y, color, name, 11);
            double mx = x.Average(),
                my = y.Average();
            double[] ends = [x[0] - 0.1, x[^1] + 0.1];
            Figure.Line(
                plot,
                ends,
                ends.Select(e => my + exponent * (e - mx)),
                color,
                FormattableString.Invariant($"fitted exponent {exponent:F1}; of the operations {operations}"),
                2
            );
        }
        Series(dense, denseExponent, 6, Palette.Of("natural-gradient"), "dense block, n² x n²");
        Series(factors, factorExponent, 3, Palette.Of("kfac"), "K-FAC, two factors n x n");
        Figure.Logarithmic(plot.Axes.Bottom, 10, 2500);
        double[] all = [.. factors.Concat(dense).Select(p => 1e3 * p.Seconds)];
        Figure.Logarithmic(plot.Axes.Left, all.Min() / 3, all.Max() * 3);
        Figure.Legend(plot, corner: Alignment.UpperCenter);
        return new("M4-kfac-cost", plot);
    }
}
