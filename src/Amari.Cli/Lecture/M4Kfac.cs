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
/// </code>The rearrangement and the figure order a block as V = [W b] row by row, where the Kronecker product reads G ⊗ A.</remarks>
internal sealed class M4Kfac() : LectureItem("M4", "K-FAC: error of the factorisation, cost of the inverse")
{
    private const double Damping = 1e-3;
    private const int Examples = 500,
        Tries = 5;
    private static readonly int[] FactorSizes = [256, 384, 512, 640, 896],
        DenseSizes = [16, 20, 25, 32, 40];

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
        var factors = FactorSizes.Select(n => (Size: (double)n, Seconds: 2 * Inversion(n))).ToList();
        var dense = DenseSizes.Select(n => (Size: (double)n, Seconds: Inversion(n * n))).ToList();
        double factorExponent = Exponent(factors),
            denseExponent = Exponent(dense),
            sameSize = 2 * Inversion(DenseSizes[^1]);

        var errors = new LectureTable("block", "size", "error K-FAC", "best product", "diagonal", "step's share K-FAC", "diagonal");
        foreach (var b in blocks)
            errors.Add($"{b.Layer} {b.When}", b.Dense.shape[0], b.Error, b.Best, b.Diagonal, b.Share, b.DiagonalShare);
        var costs = new LectureTable("inverse of", "n", "size", "operations", "ms of one core", "exponent in n");
        foreach (var (n, s) in factors)
            costs.Add("A and G", n, n, 2 * Math.Pow(n, 3), 1e3 * s, factorExponent);
        foreach (var (n, s) in dense)
            costs.Add("dense block", n, n * n, Math.Pow(n, 6), 1e3 * s, denseExponent);
        var trained = blocks.Where(b => b.When == "trained").ToList();
        Check[] checks =
        [
            .. blocks.Select(b => Check.AtMost($"{b.Layer} {b.When}: K-FAC's error over the diagonal's", b.Error / b.Diagonal, 1)),
            .. blocks.Select(b =>
                Check.AtLeast($"{b.Layer} {b.When}: K-FAC's error over the best Kronecker product's", b.Error / b.Best, 1)
            ),
            .. blocks.Select(b =>
                Check.AtMost($"{b.Layer} {b.When}: error of K-FAC's step against the dense (G x A + damping)^-1 g", b.InverseError, 1e-9)
            ),
            .. blocks.Except(trained).Select(b => Check.AtLeast($"{b.Layer} {b.When}: share of K-FAC's step", b.Share, 0.9)),
            Check.AtLeast(
                "mean share of K-FAC's step in the trained network minus the diagonal's",
                trained.Average(b => b.Share - b.DiagonalShare),
                0
            ),
            Check.Near("exponent of inverting both factors (3 in operations)", factorExponent, 3, 1) with
            {
                Timed = true,
            },
            Check.Near("exponent of inverting the dense block (6 in operations)", denseExponent, 5.5, 1.5) with
            {
                Timed = true,
            },
            Check.AtLeast(
                $"dense block over factors, time for a {DenseSizes[^1]} x {DenseSizes[^1]} layer",
                dense[^1].Seconds / sameSize,
                20
            ) with
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
                    $"For a {DenseSizes[^1]} x {DenseSizes[^1]} layer the factors are {Number.Short(dense[^1].Seconds / sameSize, 2)} "
                        + $"times cheaper to invert, and the ratio grows as n^3."
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
                        .reshape(-1);
                    Tensor Reordered(Tensor m) => m.index_select(0, order).index_select(1, order);
                    var rearranged = Reordered(dense)
                        .view(outputs, inputs + 1, outputs, inputs + 1)
                        .permute(0, 2, 1, 3)
                        .reshape(outputs * outputs, -1);
                    double norm = Norm(dense),
                        first = linalg.eigvalsh(rearranged.mm(rearranged.t()))[-1].ToDouble();
                    return new Block(
                        c.name,
                        when,
                        Reordered(dense),
                        Reordered(factored),
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

    private static Figure DrawBlock(Block b)
    {
        double limit = b.Dense.abs().quantile(tensor(0.995, dtype: ScalarType.Float64)).ToDouble();
        Plot Of(string title, Tensor matrix)
        {
            var panel = Figure.Panel(title, "weight, in rows of [W b]", "weight, in rows of [W b]");
            Figure.Matrix(panel, Figure.Array(matrix), limit);
            return panel;
        }
        return new(
            "M4-kfac-block",
            Of($"Fisher block of the last layer, {b.Dense.shape[0]} x {b.Dense.shape[0]}", b.Dense),
            Of("K-FAC: G ⊗ A", b.Factored),
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
        void Series(List<(double Size, double Seconds)> points, double exponent, string color, string name)
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
                FormattableString.Invariant($"fitted exponent {exponent:F1}"),
                2
            );
        }
        Series(dense, denseExponent, Palette.Of("natural-gradient"), "dense block, n² x n²");
        Series(factors, factorExponent, Palette.Of("kfac"), "K-FAC, two factors n x n");
        Figure.Logarithmic(plot.Axes.Bottom, 10, 2000);
        double[] all = [.. factors.Concat(dense).Select(p => 1e3 * p.Seconds)];
        Figure.Logarithmic(plot.Axes.Left, all.Min() / 3, all.Max() * 3);
        Figure.Legend(plot, corner: Alignment.UpperLeft);
        return new("M4-kfac-cost", plot);
    }
}
