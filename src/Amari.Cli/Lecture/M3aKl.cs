using Amari.Curvature;
using Amari.Reporting;
using Amari.Training;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>M3a: the Fisher is the Hessian of the KL divergence.</summary>
/// <remarks><code>
/// KL( p(·|w) ‖ p(·|w + D) ) = ½ D'FD + O(|D|³)
/// </code>
/// The relative error of ½ D'FD therefore falls as |D|: slope 1 on a log-log plot. F is the library's exact Fisher. The Hessian of the KL
/// is computed by double backward through the KL itself, without common code.</remarks>
internal sealed class M3aKl() : LectureItem("M3a", "The Fisher information is the Hessian of the KL divergence")
{
    private const int Examples = 24,
        Directions = 16,
        Inputs = 4,
        Hidden = 6;
    private static readonly (string Name, Likelihood Likelihood, int Outputs, string Color)[] Cases =
    [
        ("categorical", new Categorical(), 3, "#0072B2"),
        ("Bernoulli", new Bernoulli(), 2, "#D55E00"),
        ("Poisson", new Poisson(), 2, "#009E73"),
        ("Gaussian", new Gaussian(0.5), 2, "#CC79A7"),
    ];
    private static readonly double[] Lengths = [1, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4];

    public override LectureResult Run(int seed)
    {
        // Longer than 60 lines: one experiment from top to bottom, its table, its checks and its figures.
        var table = new LectureTable("likelihood", "Hessian of KL against F", "error at |D| = 1", "at 0.01", "at 1e-4", "slope");
        var checks = new List<Check>();
        var errors = Figure.Panel("Relative error of ½ D'FD", "|D| (log scale)", "|KL - ½ D'FD| / KL (log scale)");
        var parabola = Figure.Panel("Categorical, along one direction", "D, in units of a step with |D| = 3", "KL divergence");
        foreach (var (name, likelihood, outputs, color) in Cases)
        {
            using var model = nn.Sequential(nn.Linear(Inputs, Hidden), nn.Tanh(), nn.Linear(Hidden, outputs)).to(ScalarType.Float64);
            var x = randn(Examples, Inputs, dtype: ScalarType.Float64);
            var layout = ParameterLayout.Of(model);
            Tensor w = layout.Read(),
                f = model.call(x).detach(),
                y = likelihood.Sample(f);
            using var fisher = new Fisher(new Objective(model, likelihood, [(x, y)])).ToDense();
            using var hessian = new Hessian(new Objective(() => likelihood.KlDivergence(f, model.call(x)).mean(), layout)).ToDense();
            double difference = (hessian - fisher).norm().ToDouble() / fisher.norm().ToDouble();

            var d = randn(layout.Dimension, Directions, dtype: ScalarType.Float64);
            d = d / d.norm(0, keepdim: true, p: 2);
            double[] relative = [.. Lengths.Select(length => Enumerable.Range(0, Directions).Average(i => Error(d.select(1, i) * length)))];
            var small = Lengths.Index().Where(l => l.Item <= 0.1).Select(l => l.Index).ToList();
            double slope = Fit.Exponent([.. small.Select(i => Lengths[i])], [.. small.Select(i => relative[i])]);
            double At(double length) => relative[Array.IndexOf(Lengths, length)];
            table.Add(name, difference, At(1), At(0.01), At(1e-4), slope);
            checks.Add(Check.Near($"{name}: Hessian of the KL against the Fisher, relative", difference, 0, 1e-10));
            checks.Add(Check.Near($"{name}: slope of the relative error against |D|", slope, 1, 0.05));
            checks.Add(Check.AtMost($"{name}: relative error at |D| = 1e-4", At(1e-4), 1e-3));
            Figure.Line(errors, Lengths.Select(Math.Log10), relative.Select(Math.Log10), color, name).MarkerSize = 8;
            if (name == Cases[0].Name)
                Along(d.select(1, 0) * 3);

            double Kl(Tensor step)
            {
                using var scope = NewDisposeScope();
                using var off = no_grad();
                layout.Write(w + step);
                double kl = likelihood.KlDivergence(f, model.call(x)).mean().ToDouble();
                layout.Write(w);
                return kl;
            }

            double Quadratic(Tensor step) => 0.5 * step.dot(fisher.mv(step)).ToDouble();

            double Error(Tensor step) => Math.Abs(1 - Quadratic(step) / Kl(step));

            void Along(Tensor step)
            {
                double[] t = [.. Enumerable.Range(0, 121).Select(i => -1 + i / 60.0)];
                Figure.Line(parabola, t, t.Select(s => Kl(step * s)), color, "KL( p(w) || p(w + D) )");
                Figure.Line(parabola, t, t.Select(s => Quadratic(step * s)), "#000000", "½ D'FD", pattern: LinePattern.Dashed);
            }
        }
        Figure.Line(errors, [-4, 0], [-4.5, -0.5], "#999999", "slope 1", 2, LinePattern.Dashed);
        Figure.Logarithmic(errors.Axes.Bottom, 5e-5, 2);
        Figure.Logarithmic(errors.Axes.Left, 1e-6, 3);
        Figure.Legend(errors, corner: Alignment.LowerRight);
        Figure.Legend(parabola, corner: Alignment.UpperCenter);
        return new(
            [table],
            checks,
            [new Figure("M3a-kl", parabola, errors)],
            "Near w the KL divergence is the parabola ½ D'FD: its relative error falls in proportion to |D|, for every likelihood."
        );
    }
}
