using System.Globalization;
using Amari.Curvature;
using Amari.Reporting;
using Amari.Training;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>M3b: the natural-gradient theorem.</summary>
/// <remarks><code>
/// the minimiser of L + g'D subject to KL ≤ ε, for small ε, is   D = -(1/λ) F⁻¹ g,   1/λ = √(2 ε / g'F⁻¹g),   with g'D = -√(2 ε g'F⁻¹g)
/// </code>Left: the library's trust-region step, the target KL against the exact KL that it achieves. Right: the steps of that KL in the
/// plane of the gradient and the natural gradient, next to the ellipse ½ D'FD = ε, and the decrease in other directions.</remarks>
internal sealed class M3bTheorem() : LectureItem("M3b", "The natural gradient is the steepest descent per unit of KL divergence")
{
    private const int Examples = 60,
        Training = 20,
        Random = 2000,
        Probed = 60;
    private const double Exact = 3e-4;
    private static readonly double[] Radii = [1e-7, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1];

    public override LectureResult Run(int seed)
    {
        var target = new LectureTable(
            "target KL",
            "achieved: exact Fisher",
            "over the target",
            "achieved: empirical Fisher",
            "over the target"
        );
        double[] exact = Achieved(FisherKind.Exact, seed),
            empirical = Achieved(FisherKind.Empirical, seed);
        foreach (var (i, epsilon) in Radii.Index())
            target.Add(epsilon, exact[i], exact[i] / epsilon, empirical[i], empirical[i] / epsilon);
        var ball = new KlBall();
        var directions = new LectureTable("direction", "g'D over the theorem's, KL = ½ D'FD", "same, exact KL");
        foreach (var (name, d) in ball.Others())
            directions.Add(name, ball.Share(d), ball.ExactShare(d));
        var random = ball.Sample(Random, 1);
        var nearby = ball.Sample(Random, 0.1);
        double best = random.Max(ball.Share),
            bestNear = nearby.Max(ball.Share),
            bestExact = random.Concat(nearby).Where((_, i) => i % (2 * Random / Probed) == 0).Max(ball.ExactShare);
        directions.Add($"best of {Random} random directions", best, "");
        directions.Add($"best of {Random} close to the natural gradient", bestNear, "");
        directions.Add($"best of {Probed} of both", "", bestExact);
        var ellipse = new LectureTable("KL", "length of the ellipse / its width", "largest deviation of the exact KL from the ellipse");
        foreach (double epsilon in (double[])[KlBall.Small, KlBall.Shown])
            ellipse.Add(epsilon, ball.Elongation, ball.Deviation(epsilon));

        var small = Radii.Index().Where(r => r.Item <= Exact).ToList();
        Check[] checks =
        [
            .. small.Select(r =>
                Check.Near(FormattableString.Invariant($"achieved over target KL, ε = {r.Item}"), exact[r.Index] / r.Item, 1, 0.05)
            ),
            Check.Near(
                "exponent of achieved in target KL",
                Fit.Exponent([.. small.Select(r => r.Item)], [.. small.Select(r => exact[r.Index])]),
                1,
                0.01
            ),
            Check.Near("KKT: |g + λ F D| / |g|", ball.Stationarity, 0, 1e-8),
            Check.Near("½ D'FD over ε", ball.Kl, 1, 1e-9),
            Check.Near("exact KL over ε", ball.ExactKl, 1, 0.01),
            Check.Near("g'D over -√(2 ε g'F⁻¹g)", ball.Share(ball.Step), 1, 1e-9),
            Check.AtMost("the best random direction, over the theorem's", best, 1),
            Check.AtMost("the best direction close to it, over the theorem's", bestNear, 1),
            Check.AtMost("the best direction with the exact KL, over the theorem's", bestExact, 1.002),
            Check.AtMost("the gradient's direction, over the theorem's", ball.Share(-ball.Gradient), 0.9),
            Check.AtMost("largest deviation of the exact KL from the ellipse, ε = 1e-8", (double)ellipse.Rows[0][2], 0.02),
        ];
        return new(
            [target, directions, ellipse],
            checks,
            [new("M3b-theorem", DrawTargets(exact, empirical), ball.Draw())],
            string.Create(
                CultureInfo.InvariantCulture,
                $"Up to ε = {Exact} the step's KL equals the target within 5 %, and no direction with that KL lowers L + g'D as much: the "
                    + $"gradient achieves {100 * ball.Share(-ball.Gradient):F0} % of the decrease, the best of {Random} random "
                    + $"directions {100 * best:F0} %."
            )
        );
    }

    /// <summary>The exact KL of the library's step for every ε, each from the same weights.</summary>
    private static double[] Achieved(FisherKind kind, int seed)
    {
        manual_seed(seed);
        using var network = new DigitsNetwork(ScalarType.Float64, Examples, 64, 16, 10);
        using (var adam = new AdamW(network.Model, new() { LearningRate = 1e-2 }))
            network.Train(adam, Training, Examples);
        var layout = network.Objective.Parameters;
        var w = layout.Read();
        return
        [
            .. Radii.Select(epsilon =>
            {
                layout.Write(w);
                using var optimizer = new NaturalGradient(
                    network.Model,
                    network.Likelihood,
                    new()
                    {
                        KlRadius = epsilon,
                        Damping = 1e-4,
                        Fisher = kind,
                    }
                );
                return optimizer.StepOnBatch(network.Inputs, network.Targets).AchievedKl ?? double.NaN;
            }),
        ];
    }

    private static Plot DrawTargets(double[] exact, double[] empirical)
    {
        var plot = Figure.Panel(
            "A network on digits: one step from the same weights",
            "target KL divergence ε (log scale)",
            "achieved KL divergence (log scale)"
        );
        Figure.Line(plot, [-7.5, 0.5], [-7.5, 0.5], "#999999", "achieved = target", 1.5f);
        Figure.Marks(plot, Radii.Select(Math.Log10), empirical.Select(Math.Log10), Palette.Of("sgd"), "empirical Fisher", 11);
        Figure.Marks(plot, Radii.Select(Math.Log10), exact.Select(Math.Log10), Palette.Of("natural-gradient"), "exact Fisher", 11);
        Figure.Logarithmic(plot.Axes.Bottom, 3e-8, 3);
        Figure.Logarithmic(plot.Axes.Left, 1e-8, 10);
        Figure.Legend(plot, corner: Alignment.UpperLeft);
        return plot;
    }
}
