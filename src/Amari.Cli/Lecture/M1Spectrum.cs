using System.Globalization;
using Amari.Curvature;
using Amari.Native;
using Amari.Reporting;
using Amari.Spectrum;
using Amari.Training;
using Amari.Workloads;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>M1: the Hessian's spectrum of a trained network, and gradient descent just below and above 2 / λ_max.</summary>
/// <remarks><code>
/// L(w) + ½ c |w|²  is brought to a minimum w*, strict for c > 0;  A = H + c I  there
/// on the quadratic  ½ D'AD:  D ← (I - lr A) D,  along the first eigenvector a factor 1 - lr λ₁ per step: it shrinks iff lr &lt; 2 / λ₁
/// </code>The dense matrix and its eigenvalues are the oracle of Lanczos and of the quadrature.</remarks>
internal sealed class M1Spectrum() : LectureItem("M1", "The spectrum of a trained network, and the largest stable learning rate")
{
    private const int Examples = 500,
        Classes = 10,
        Top = 40,
        Training = 150,
        Polishing = 80,
        Steps = 130,
        Linear = 40;
    private const double Decay = 1e-3,
        Below = 0.95,
        Above = 1.05,
        Push = 1e-4,
        Floor = 1e-9;

    /// <summary>A run from w* + D: |v₁'D| after 0, 1, .. steps.</summary>
    private sealed record Descent(double Share, double[] Quadratic, double[] Network)
    {
        /// <summary>The mean factor per step while the network is close to its quadratic approximation.</summary>
        public static double Factor(double[] along) => Math.Pow(along[Linear] / along[0], 1.0 / Linear);
    }

    public override LectureResult Run(int seed)
    {
        // Longer than 60 lines: one experiment from top to bottom, its table, its checks and its figures.
        using var network = new DigitsNetwork(ScalarType.Float64, Examples, 64, 10, Classes);
        var layout = network.Objective.Parameters;
        double gradient = Minimise(network);
        var minimum = layout.Read();
        var hessian = new Hessian(network.Objective);
        using var largest = Lanczos.Run(
            hessian,
            new()
            {
                Count = Top,
                Tolerance = 1e-10,
                Seed = seed,
            }
        );
        var density = LanczosQuadrature.Run(
            hessian,
            new()
            {
                Probes = 20,
                Steps = 60,
                Seed = seed,
            }
        );
        var outliers = Outliers.Of(largest.Values);

        var dense = hessian.ToDense();
        double[] values = [.. linalg.eigvalsh(dense).Elements<double>().Reverse()];
        double first = largest.Values[0] + Decay,
            stable = 2 / first;
        var along = largest.Vectors!.select(1, 0);
        var push = Push * (along + randn_like(along) / Math.Sqrt(layout.Dimension));
        Descent[] runs =
        [
            .. new[] { Below, Above }.Select(share => new Descent(share, OnQuadratic(share * stable), OnNetwork(share * stable))),
        ];

        double[] OnQuadratic(double rate)
        {
            var d = push.clone();
            return Along(() => d, () => d.add_(dense.mv(d).add_(d, alpha: Decay), alpha: -rate));
        }

        double[] OnNetwork(double rate)
        {
            using var optimizer = new Sgd(
                network.Model,
                new()
                {
                    LearningRate = rate,
                    Momentum = 0,
                    WeightDecay = Decay,
                }
            );
            layout.Write(minimum + push);
            return Along(() => layout.Read() - minimum, () => network.Train(optimizer, 1, Examples));
        }

        double[] Along(Func<Tensor> displacement, Action step) =>
            [
                .. Enumerable
                    .Range(0, Steps + 1)
                    .Select(i =>
                    {
                        using var scope = NewDisposeScope();
                        if (i > 0)
                            step();
                        return Math.Abs(along.dot(displacement()).ToDouble());
                    }),
            ];

        double Deviation(Func<double, double> f) =>
            density.Mean(f) is var e ? Math.Abs(e.Value - values.Average(f)) / e.StandardError : double.NaN;
        var spectrum = new LectureTable("rank", "Lanczos", "dense", "");
        for (int i = 0; i < Top; i++)
            if (i < Classes + 4 || i % 10 == 9)
                spectrum.Add(i + 1, largest.Values[i], values[i], i < outliers.Count ? "outlier" : "bulk");
        spectrum.Add(values.Length, "", values[^1], string.Create(CultureInfo.InvariantCulture, $"smallest; at least -c = -{Decay}"));
        var descents = new LectureTable("lr x λ₁ / 2", "lr", "on", "factor per step", "|v₁'D| at the start", "at the end");
        foreach (var run in runs)
        foreach (var (name, path) in new[] { ("quadratic", run.Quadratic), ("network", run.Network) })
            descents.Add(run.Share, run.Share * stable, name, Descent.Factor(path), path[0], path[^1]);
        double bulk = values.Count(v => Math.Abs(v) < 0.01 * values[0]) / (double)values.Length;
        int gap = Enumerable.Range(4, Top / 2).MaxBy(i => largest.Values[i - 1] / largest.Values[i]);
        Check[] checks =
        [
            Check.AtMost(
                "Lanczos against the dense eigenvalues, over the largest",
                Enumerable.Range(0, Top).Max(i => Math.Abs(largest.Values[i] - values[i])) / values[0],
                1e-9
            ),
            Check.AtMost("quadrature: mean eigenvalue, standard errors from the dense one", Deviation(x => x), 3),
            Check.AtMost("quadrature: mean square, standard errors from the dense one", Deviation(x => x * x), 3),
            Check.Near("outliers by the rule of the library, for 10 classes", outliers.Count, Classes, 5),
            Check.Near("rank after which the eigenvalues decrease most", gap, Classes, 1),
            Check.AtLeast("share of eigenvalues below 1 % of the largest", bulk, 0.8),
            Check.AtMost("|gradient| at the minimum", gradient, 1e-9),
            Check.AtLeast("smallest eigenvalue of H + c I at the minimum", values[^1] + Decay, 0),
            .. runs.Select(r =>
                Check.Near($"factor per step on the quadratic, lr = {r.Share} x 2 / λ", Descent.Factor(r.Quadratic), 2 * r.Share - 1, 1e-6)
            ),
            .. runs.Select(r =>
                Check.Near($"factor per step on the network, lr = {r.Share} x 2 / λ", Descent.Factor(r.Network), 2 * r.Share - 1, 0.01)
            ),
            Check.AtMost("below: |v₁'D| at the end over the start, on the network", runs[0].Network[^1] / runs[0].Network[0], 1e-2),
            Check.AtLeast("above: |v₁'D| at the end over the start, on the network", runs[1].Network[^1] / runs[1].Network[0], 1e3),
            Check.AtLeast("above: |v₁'D| at the end over the start, on the quadratic", runs[1].Quadratic[^1] / runs[1].Quadratic[0], 1e3),
        ];
        var shown = new SpectrumResult(layout.Dimension, largest, null, density, null, "", outliers, false)
        {
            Title = "Hessian",
            Workload = "a trained network",
        };
        return new(
            [spectrum, descents],
            checks,
            [new("M1-spectrum", SpectrumFigure.Panels(shown)), Draw(runs, first)],
            string.Create(
                CultureInfo.InvariantCulture,
                $"{outliers.Count} eigenvalues stand out for {Classes} classes (the widest gap is after rank {gap}), and "
                    + $"{100 * bulk:F0} % are "
                    + $"below 1 % of the largest in magnitude. The smallest, {Number.Short(values[^1], 2)}, is no rounding error: with the "
                    + $"weight decay c = {Decay} it is {Number.Short(values[^1] + Decay, 2)}, and the minimum is strict. "
                    + $"Gradient descent converges at 0.95 x 2/λ and diverges at 1.05 x 2/λ."
            )
        );
    }

    /// <summary>Trains, then minimises by Newton-CG.</summary>
    /// <returns>|∇| at the minimum.</returns>
    private static double Minimise(DigitsNetwork network)
    {
        using (var adam = new Adam(network.Model, new() { LearningRate = 1e-2, WeightDecay = Decay }))
            network.Train(adam, Training, Examples);
        using var newton = new NewtonCg(network.Model.parameters(), new() { MaxIterations = 400 });
        for (int i = 0; i < Polishing; i++)
        {
            using var scope = NewDisposeScope();
            newton.step(() =>
                network.Likelihood.Loss(network.Model.call(network.Inputs), network.Targets)
                + 0.5 * Decay * network.Model.parameters().Select(p => p.square().sum()).Aggregate((a, b) => a + b)
            );
            if (newton.Report!.GradientNorm < 1e-10)
                break;
        }
        return newton.Report!.GradientNorm;
    }

    private static Figure Draw(Descent[] runs, double first)
    {
        var plot = Figure.Panel(
            FormattableString.Invariant($"Gradient descent around 2 / λ₁ = {2 / first:F3}"),
            "step",
            "distance along the first eigenvector (log scale)"
        );
        double[] steps = [.. Enumerable.Range(0, Steps + 1).Select(i => (double)i)];
        foreach (
            var (run, color, name) in new[]
            {
                (runs[1], Palette.Of("kfac"), "1.05 x 2 / λ₁"),
                (runs[0], Palette.Of("adamw"), "0.95 x 2 / λ₁"),
            }
        )
            Figure.Line(plot, steps, run.Network.Select(Math.Log10), color, $"{name}, network");
        var sparse = runs.SelectMany(r => r.Quadratic.Index()).Where(p => p.Index % 5 == 0 && p.Item > Floor).ToList();
        Figure.Marks(
            plot,
            sparse.Select(p => (double)p.Index),
            sparse.Select(p => Math.Log10(p.Item)),
            "#000000",
            "quadratic approximation",
            7
        );
        Figure.Logarithmic(plot.Axes.Left, Floor, 1e2);
        plot.Axes.SetLimitsX(-1.5, Steps + 1.5);
        Figure.Legend(plot, corner: Alignment.UpperLeft);
        return new("M1-stability", plot);
    }
}
