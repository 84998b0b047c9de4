using System.Globalization;
using Amari.Curvature;
using Amari.Reporting;
using Amari.Spectrum;
using Amari.Training;
using Amari.Workloads.Data;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>M2: Newton's method on a strongly convex problem: the number of correct digits doubles with each step.</summary>
/// <remarks><code>
/// L(w) = softmax regression of the digits + ½ c |w|²,   e_k = |w_k - w*|
/// order = log(e_{k+1} / e_k) / log(e_k / e_{k-1}):   2 for e_{k+1} = C e_k²
/// </code></remarks>
internal sealed class M2Newton() : LectureItem("M2", "Newton's method doubles the correct digits")
{
    private const int Examples = 300,
        Steps = 14,
        NewtonSteps = 9,
        Inputs = 64,
        Classes = 10;
    private const double Decay = 0.01,
        Rounding = 1e-13;

    public override LectureResult Run(int seed)
    {
        // Longer than 60 lines: one experiment from top to bottom, its table, its checks and its figures.
        using var network = new DigitsNetwork(ScalarType.Float64, Examples, Inputs, Classes);
        var layout = network.Objective.Parameters;
        layout.Write(zeros(layout.Dimension, dtype: layout.Type));
        var start = layout.Read();
        Tensor Loss() =>
            network.Likelihood.Loss(network.Model.call(network.Inputs), network.Targets)
            + 0.5 * Decay * network.Model.parameters().Select(p => p.square().sum()).Aggregate((a, b) => a + b);

        List<Tensor> Follow(Action step, int steps)
        {
            layout.Write(start);
            var path = new List<Tensor> { layout.Read() };
            for (int i = 0; i < steps; i++)
            {
                using (NewDisposeScope())
                    step();
                path.Add(layout.Read());
            }
            return path;
        }

        using var newton = new Newton(network.Model.parameters(), new() { Damping = 0 });
        var newtonPath = Follow(() => newton.step(Loss), NewtonSteps);
        var minimum = newtonPath[^1]; // stationary up to rounding long before
        var objective = new Objective(Loss, layout);
        layout.Write(minimum);
        using var ends = Lanczos.Run(
            new Hessian(objective),
            new()
            {
                Count = 1,
                Vectors = false,
                Tolerance = 1e-6,
            }
        );
        double finalGradient = objective.Gradient().Gradient.norm().ToDouble(),
            rate = 1.9 / ends.Values[0];
        using var cg = new NewtonCg(network.Model.parameters(), new() { Radius = 100 });
        var cgPath = Follow(() => cg.step(Loss), Steps);
        using var sgd = new Sgd(
            network.Model,
            new()
            {
                LearningRate = rate,
                Momentum = 0,
                WeightDecay = Decay,
            }
        );
        var sgdPath = Follow(() => network.Train(sgd, 1, Examples), Steps);

        double size = minimum.norm().ToDouble();
        double[] Errors(List<Tensor> path) => [.. path.Select(w => (w - minimum).norm().ToDouble() / size)];
        double[] e = Errors(newtonPath),
            inexact = Errors(cgPath),
            descent = Errors(sgdPath);
        int clean = e.TakeWhile(x => x > Rounding).Count();
        double[] orders =
        [
            .. Enumerable
                .Range(0, e.Length)
                .Select(k => k >= 2 && k < clean ? Math.Log(e[k] / e[k - 1]) / Math.Log(e[k - 1] / e[k - 2]) : double.NaN),
        ];

        var table = new LectureTable("step", "Newton", "correct digits", "order", "Newton-CG", "gradient descent");
        for (int k = 0; k < clean + 1; k++)
            table.Add(k, e[k], Digits(e[k]), double.IsNaN(orders[k]) ? "" : orders[k], inexact[k], descent[k]);
        Check[] checks =
        [
            Check.AtLeast("order of convergence, over the last steps before rounding", orders[clean - 1], 1.9),
            Check.AtMost("|gradient| at the minimum", finalGradient, 1e-12),
            Check.AtMost("Newton's steps to 13 digits", clean, 8),
            Check.AtLeast("gradient descent's relative error after the same number of steps", descent[clean], 0.1),
        ];
        var plot = Figure.Panel("Softmax regression on digits, 650 weights", "step", "correct digits of the weights");
        void Series(double[] errors, string color, string name) =>
            Figure.Line(plot, errors.Index().Select(p => (double)p.Index), errors.Select(Digits), Palette.Of(color), name).MarkerSize = 9;
        Series(e[..(clean + 1)], "newton", "Newton");
        Series(inexact, "newton-cg", "Newton-CG");
        Series(descent, "sgd", "gradient descent, lr 1.9 / λ₁");
        plot.Axes.SetLimits(-0.2, Steps + 0.2, -0.5, 16.5);
        Figure.Legend(plot, corner: Alignment.MiddleRight);
        return new(
            [table],
            checks,
            [new("M2-digits", plot)],
            string.Create(
                CultureInfo.InvariantCulture,
                $"Near the minimum each Newton step doubles the correct digits (order {orders[clean - 1]:F2}): {clean} steps to rounding. "
                    + $"Gradient descent has no correct digit by then."
            )
        );
    }

    /// <summary>-log₁₀ of the relative error, limited by float64.</summary>
    private static double Digits(double error) => Math.Min(15.9, Math.Log10(1 / Math.Max(error, 1e-16)));
}
