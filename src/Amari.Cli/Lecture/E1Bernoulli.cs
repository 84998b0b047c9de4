using Amari.Curvature;
using Amari.Native;
using Amari.Reporting;
using Amari.Training;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>E1: score and Fisher information of a Bernoulli neuron, and why the natural step does not vanish when it saturates.</summary>
/// <remarks><code>
/// p = σ(w),  ∂ log p(y; w) / ∂w = y - p,  F = E[(y - p)²] = p (1 - p)
/// -log p:     gradient p - y,                natural step -(p - y) / (p (1 - p))
/// (y - p)²:   gradient 2 (p - y) p (1 - p),  natural step -2 (p - y)
/// </code></remarks>
internal sealed class E1Bernoulli() : LectureItem("E1", "Fisher information of a Bernoulli neuron, p = sigmoid(w)")
{
    private static readonly double[] Weights = [-10, -4, -1, 0, 1, 4, 10];

    public override LectureResult Run(int seed)
    {
        var table = new LectureTable("w", "p", "score y=0", "score y=1", "Fisher", "natural step y=0", "squared loss gradient y=0");
        double score = 0,
            fisher = 0,
            dense = 0,
            step = 0,
            squared = 0;
        foreach (double w in Weights)
        {
            double p = Neuron.Sigmoid(w),
                q = Neuron.Sigmoid(-w); // q = 1 - p, exact in both tails
            using Neuron zero = new(w, 0),
                one = new(w, 1);
            double score0 = -zero.Gradient(),
                score1 = -one.Gradient(),
                information = zero.Fisher();
            double natural = score0 / information,
                gradient = SquaredGradient(w, 0);
            table.Add(w, p, score0, score1, information, natural, gradient);
            score = Math.Max(score, Math.Max(Math.Abs(score0 + p), Math.Abs(score1 - q)));
            fisher = Math.Max(fisher, Math.Abs(information - p * q));
            dense = Math.Max(dense, Math.Abs(information - (q * score0 * score0 + p * score1 * score1)));
            step = Math.Max(step, Math.Abs(natural / (-1 / q) - 1));
            squared = Math.Max(squared, Math.Abs(gradient - 2 * p * p * q));
        }
        using Neuron saturated = new(10, 0);
        double plateau = SquaredGradient(10, 0);
        Check[] checks =
        [
            Check.Near("score is y - p (largest error)", score, 0),
            Check.Near("the Fisher operator is p (1 - p) (largest error)", fisher, 0),
            Check.Near("the Fisher is the mean of score^2 over y (largest error)", dense, 0),
            Check.Near("natural step for -log p is -(p - y) / (p (1 - p)) (largest relative error)", step, 0),
            Check.Near("gradient of the squared loss is 2 (p - y) p (1 - p) (largest error)", squared, 0),
            Check.AtMost("squared-loss gradient on the plateau, w = 10, y = 0", plateau, 1e-4),
            Check.Near("the same divided by the Fisher: 2 (p - y)", plateau / saturated.Fisher(), 2 * Neuron.Sigmoid(10)),
        ];
        return new(
            [table],
            checks,
            [Draw()],
            "If the neuron saturates, the gradient of the squared loss vanishes with p (1 - p). The natural step divides by the same "
                + "factor, so it does not vanish on the plateau."
        );
    }

    /// <summary>d/dw (y - σ(w))², by automatic differentiation.</summary>
    private static double SquaredGradient(double w, double y)
    {
        using var scope = NewDisposeScope();
        var weight = tensor(w, dtype: ScalarType.Float64, requires_grad: true);
        return ReverseMode.Derivative([(y - weight.sigmoid()).square()], [weight])[0]!.item<double>();
    }

    private static Figure Draw()
    {
        double[] w = [.. Enumerable.Range(0, 481).Select(i => -12 + i / 20.0)];
        double[] p = [.. w.Select(Neuron.Sigmoid)],
            q = [.. w.Select(v => Neuron.Sigmoid(-v))];
        var left = Figure.Panel("p = sigmoid(w) and its Fisher information", "w", "p, and p (1 - p)");
        Figure.Line(left, w, p, "#777777", "p");
        Figure.Line(left, w, p.Zip(q, (a, b) => a * b), Palette.Of("natural-gradient"), "Fisher p (1 - p)");
        Figure.Legend(left, corner: Alignment.UpperLeft);

        var right = Figure.Panel(
            "Length of the step when y = 0",
            "w  (the target is on the left)",
            "|step| at learning rate 1 (log scale)"
        );
        Figure.Line(right, w, p.Zip(q, (a, b) => Math.Log10(2 * a * a * b)), Palette.Of("sgd"), "squared loss, gradient: 2 p² (1 - p)");
        Figure.Line(right, w, p.Select(a => Math.Log10(2 * a)), Palette.Of("natural-gradient"), "squared loss, natural: 2 p");
        Figure.Line(right, w, p.Select(Math.Log10), Palette.Of("sgd"), "-log p, gradient: p", pattern: LinePattern.Dashed);
        Figure.Line(
            right,
            w,
            q.Select(b => -Math.Log10(b)),
            Palette.Of("natural-gradient"),
            "-log p, natural: 1 / (1 - p)",
            pattern: LinePattern.Dashed
        );
        Figure.Logarithmic(right.Axes.Left, 1e-6, 1e6);
        Figure.Legend(right, corner: Alignment.UpperLeft);
        right.Axes.SetLimitsX(-12, 12);
        return new("E1-bernoulli", left, right);
    }
}
