using System.Globalization;
using Amari.Curvature;
using Amari.LeastSquares;
using Amari.Native;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>B1, beyond the lecture: a network solves Poisson's equation. The curvature J'J of its residuals is so uneven that Adam stalls,
/// and Levenberg-Marquardt, which inverts it, does not.</summary>
/// <remarks><code>
/// L(w) = ½ |r(w)|²,   r = √weight (Δu + f) inside, √weight u on the boundary,   J = ∂r/∂w
/// gradient descent leaves (1 - λᵢ/λ₁)ᵗ of the residual in the direction of λᵢ after t steps: nearly all of it if λᵢ is far below λ₁/t
/// </code></remarks>
internal sealed class B1Equation() : LectureItem("B1", "Beyond the lecture: where curvature decides")
{
    private const int FirstOrderSteps = 1000,
        LbfgsSteps = 20,
        LeastSquaresSteps = 120;
    private const string LeastSquares = "levenberg-marquardt";
    private static readonly double[] Rates = [3e-3, 1e-2];

    public override LectureResult Run(int seed)
    {
        using var trainer = new Trainer(new PoissonEquation(), null);
        double[] weights = [];
        TrainingRun Train(string optimizer, int steps, double? rate = null)
        {
            var settings = new Dictionary<string, string>();
            if (rate is { } given)
                settings["LearningRate"] = given.ToString(CultureInfo.InvariantCulture);
            var choice = new OptimizerChoice(optimizer, settings) { Schedule = rate is null ? Schedule.Constant : Schedule.Default };
            return trainer.Train(choice, seed, Budget.OfEpochs(steps), evaluated: (model, _) => weights = Weights(model));
        }

        var adam = Rates.Select(rate => (Rate: rate, Run: Train("adamw", FirstOrderSteps, rate), Weights: weights)).ToList();
        var best = adam.MinBy(a => a.Run.FinalMetric);
        var lbfgs = Train("lbfgs", LbfgsSteps);
        var lm = Train(LeastSquares, LeastSquaresSteps);
        double[] spectrum = Spectrum(trainer, best.Weights);
        double reach = spectrum[0] / FirstOrderSteps;
        int beyond = spectrum.Count(v => v < reach);

        var table = new LectureTable("method", "steps", "seconds", "loss", "relative error");
        foreach (var (name, run) in adam.Select(a => (Adam(a.Rate), a.Run)).Append(("L-BFGS", lbfgs)).Append(("Levenberg-Marquardt", lm)))
            table.Add(name, run.Steps, run.Seconds, run.FinalLoss, run.FinalMetric);
        var curvature = new LectureTable("eigenvalues of J'J where Adam ends", "value");
        curvature.Add("largest", spectrum[0]);
        curvature.Add("median", spectrum[spectrum.Length / 2]);
        curvature.Add("smallest above rounding", spectrum.Last(v => v > spectrum[0] * 1e-16));
        curvature.Add(FormattableString.Invariant($"below the largest / {FirstOrderSteps}"), beyond);
        double spread = spectrum[0] / spectrum[spectrum.Length / 2];
        Check[] checks =
        [
            Check.AtMost("relative error of Levenberg-Marquardt", lm.FinalMetric, 1e-5),
            Check.AtLeast("error of the better Adam / that of Levenberg-Marquardt", best.Run.FinalMetric / lm.FinalMetric, 100),
            Check.AtLeast("error of L-BFGS / that of Levenberg-Marquardt", lbfgs.FinalMetric / lm.FinalMetric, 10),
            Check.AtLeast("largest / median eigenvalue of J'J", spread, 1e4),
            Check.AtLeast("share of directions beyond the reach of gradient descent", (double)beyond / spectrum.Length, 0.5),
        ];
        return new(
            [table, curvature],
            checks,
            [
                new(
                    "B1-equation",
                    Errors([(Adam(best.Rate), "adamw", best.Run), ("L-BFGS", "lbfgs", lbfgs), ("Levenberg-Marquardt", LeastSquares, lm)]),
                    Eigenvalues(spectrum, reach)
                ),
            ],
            string.Create(
                CultureInfo.InvariantCulture,
                $"Levenberg-Marquardt reaches a relative error of {Number.Short(lm.FinalMetric, 2)} where the better Adam ends at "
                    + $"{Number.Short(best.Run.FinalMetric, 2)}: {100.0 * beyond / spectrum.Length:F0} % of the directions "
                    + $"have too little curvature for a method that does not invert it."
            )
        );

        static string Adam(double rate) => FormattableString.Invariant($"AdamW, rate {rate}");
    }

    private static double[] Weights(nn.Module<Tensor, Tensor> model)
    {
        using var scope = NewDisposeScope();
        return ParameterLayout.Of(model).Read().Elements<double>();
    }

    /// <summary>The eigenvalues of J'J in descending order: the squared singular values of J.</summary>
    private static double[] Spectrum(Trainer trainer, double[] weights)
    {
        using var scope = NewDisposeScope();
        using var model = trainer.Workload.CreateModel();
        var data = trainer.Data.Train;
        var residuals = new ModelResiduals(model, trainer.Workload.Likelihood, data.Inputs, data.Targets);
        residuals.Parameters.Write(tensor(weights));
        using var at = residuals.Linearize();
        return [.. linalg.svdvals(at.Jacobian()).Elements<double>().Select(s => s * s)];
    }

    private static Plot Errors(IReadOnlyList<(string Name, string Color, TrainingRun Run)> runs)
    {
        var colors = Palette.Of(runs.Select(r => r.Color));
        var plot = Figure.Panel("Poisson's equation, 129 weights: the error", "training time (s)", "relative L2 error (log scale)");
        foreach (var (name, color, run) in runs)
            Figure.Line(plot, run.HeldOut.Select(p => p.Seconds), run.HeldOut.Select(p => Math.Log10(p.Metric)), colors[color], name);
        var all = runs.SelectMany(r => r.Run.HeldOut).Select(p => p.Metric).Where(v => v > 0 && double.IsFinite(v)).ToList();
        Figure.Logarithmic(plot.Axes.Left, all.Min() / 2, all.Max() * 2);
        plot.Axes.SetLimitsX(0, 1.02 * runs.Max(r => r.Run.Seconds));
        Figure.Legend(plot);
        return plot;
    }

    private static Plot Eigenvalues(double[] spectrum, double reach)
    {
        double low = spectrum[0] * 1e-18;
        double[] shown = [.. spectrum.Where(v => v > low)];
        var plot = Figure.Panel("Where AdamW ends: the curvature", "rank", "eigenvalue of J'J (log scale)");
        Figure.Marks(plot, shown.Select((_, i) => i + 1.0), shown.Select(Math.Log10), Palette.Of("newton"), size: 6);
        var line = Figure.Line(
            plot,
            [0, spectrum.Length],
            [Math.Log10(reach), Math.Log10(reach)],
            Palette.Of("adamw"),
            FormattableString.Invariant($"largest / {FirstOrderSteps}: below, {FirstOrderSteps} steps of descent change little"),
            pattern: LinePattern.Dashed
        );
        line.LineWidth = 2;
        Figure.Logarithmic(plot.Axes.Left, low, spectrum[0] * 10);
        plot.Axes.SetLimitsX(0, spectrum.Length + 1);
        Figure.Legend(plot);
        return plot;
    }
}
