using System.Globalization;
using Amari.Curvature;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads.Data;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>M2c: the scatter of mini-batch steps, for the gradient and for Newton's step.</summary>
/// <remarks><code>
/// s_B = g_B,  or  (H_B + λ I)⁻¹ g_B,   B examples drawn with replacement;   s : the step with all examples
/// spread = √( E |s_B - E s_B|² ) / |s|         ~ 1/√B
/// share  = E [ L(w) - L(w - η s_B) ] / ( L(w) - L(w - η s) ):  η = 1 for Newton's step, g'g / g'Hg for the gradient
/// </code>
/// Softmax regression of three digits with standardised pixels (195 weights), from w = 0. H is positive semidefinite, so there is no
/// negative curvature.</remarks>
internal sealed class M2cNoise() : LectureItem("M2c", "Newton's steps on mini-batches are noisier than gradients")
{
    private const int Draws = 16,
        Pixels = 64,
        Classes = 3;
    private static readonly int[] Sizes = [32, 64, 128, 256, 512, 1024];
    private static readonly double[] Dampings = [1e-3, 1e-2, 1e-1];
    private static readonly string[] Inks = [Palette.Of("sgd"), Palette.Of("newton"), Palette.Of("adamw"), Palette.Of("lion")];

    /// <summary>One kind of step: spread and share of the decrease for every batch size.</summary>
    private sealed record Series(string Name, double[] Spread, double[] Share)
    {
        public double Exponent => Fit.Exponent([.. Sizes.Select(b => (double)b)], Spread);
    }

    public override LectureResult Run(int seed)
    {
        // Longer than 60 lines: one experiment from top to bottom, its table, its checks and its figures.
        var train = Digits.Load().Train;
        var few = train.Targets.lt(Classes).nonzero().squeeze(1);
        Tensor x = train.Inputs.index_select(0, few).view(-1, Pixels).to(ScalarType.Float64),
            y = train.Targets.index_select(0, few);
        x = (x - x.mean([0], keepdim: true)) / (x.std(0, keepdim: true) + 1e-3);
        using var model = nn.Sequential(("fc", nn.Linear(Pixels, Classes))).to(ScalarType.Float64);
        var likelihood = new Categorical();
        var whole = new Objective(model, likelihood, [(x, y)]);
        var layout = whole.Parameters;
        layout.Write(zeros(layout.Dimension, dtype: layout.Type));
        var w = layout.Read();
        double loss = whole.Loss();
        var (exact, curvature) = Steps(whole);
        double rate = exact[0].dot(exact[0]).ToDouble() / exact[0].dot(curvature.mv(exact[0])).ToDouble();
        double[] best = [.. exact.Select((s, k) => Decrease(k, s))];

        double Decrease(int kind, Tensor step)
        {
            layout.Write(w - step * (kind == 0 ? rate : 1));
            double decrease = loss - whole.Loss();
            layout.Write(w);
            return decrease;
        }

        var (spread, share) = (new double[exact.Count, Sizes.Length], new double[exact.Count, Sizes.Length]);
        foreach (var (i, batch) in Sizes.Index())
        {
            using var scope = NewDisposeScope();
            var drawn = Enumerable
                .Range(0, Draws)
                .Select(_ =>
                {
                    var index = randint(x.shape[0], batch, dtype: ScalarType.Int64);
                    return Steps(new Objective(model, likelihood, [(x.index_select(0, index), y.index_select(0, index))])).Steps;
                })
                .ToList();
            for (int k = 0; k < exact.Count; k++)
            {
                var all = stack(drawn.Select(s => s[k])); // [draws, d]
                spread[k, i] =
                    Math.Sqrt((all - all.mean([0], keepdim: true)).square().sum().ToDouble() / (Draws - 1)) / exact[k].norm().ToDouble();
                share[k, i] = drawn.Average(s => Decrease(k, s[k])) / best[k];
            }
        }
        string[] names = ["gradient", .. Dampings.Select(l => FormattableString.Invariant($"Newton, λ = {l}"))];
        Series[] series =
        [
            .. names.Select(
                (name, k) =>
                    new Series(name, [.. Sizes.Index().Select(s => spread[k, s.Index])], [.. Sizes.Index().Select(s => share[k, s.Index])])
            ),
        ];

        var table = new LectureTable(["step", .. Sizes.Select(b => $"B = {b}"), "exponent"]);
        foreach (var s in series)
            table.Add([$"{s.Name}: spread", .. s.Spread.Cast<object>(), s.Exponent]);
        foreach (var s in series)
            table.Add([$"{s.Name}: share of the decrease", .. s.Share.Cast<object>(), ""]);
        var (gradient, newton, damped) = (series[0], series[1], series[^1]);
        Check[] checks =
        [
            Check.Near("exponent of the gradient's spread in B", gradient.Exponent, -0.5, 0.06),
            Check.Near("exponent of Newton's spread in B, λ = 0.1", damped.Exponent, -0.5, 0.1),
            Check.AtLeast(
                "Newton's spread over the gradient's, the smallest ratio over B",
                newton.Spread.Zip(gradient.Spread, (a, b) => a / b).Min(),
                1.25
            ),
            Check.AtLeast(
                "Newton's spread over that with more damping, the smallest ratio over B",
                newton.Spread.Zip(damped.Spread, (a, b) => a / b).Min(),
                1.2
            ),
            Check.AtMost(
                $"share of the decrease that Newton's step keeps at B = {Sizes[0]}, minus the gradient's",
                newton.Share[0] - gradient.Share[0],
                0
            ),
            Check.AtLeast($"share at B = {Sizes[^1]}", newton.Share[^1], 0.7),
        ];
        return new(
            [table],
            checks,
            [Draw(series)],
            string.Create(
                CultureInfo.InvariantCulture,
                $"Both scatter as 1/√B, but Newton's step {newton.Spread[^1] / gradient.Spread[^1]:F1} times as much: it divides by the "
                    + $"small eigenvalues, which a batch estimates worst. Damping trades noise for speed."
            )
        );
    }

    /// <summary>The gradient, Newton's step for every damping, and H.</summary>
    private static (List<Tensor> Steps, Tensor Hessian) Steps(Objective objective)
    {
        var g = objective.Gradient().Gradient;
        var h = new Hessian(objective).ToDense();
        return ([g, .. Dampings.Select(l => linalg.solve(h + l * eye(h.shape[0], dtype: h.dtype), g))], h);
    }

    private static Figure Draw(Series[] series)
    {
        var spread = Figure.Panel(
            "Scatter of a mini-batch's step",
            "batch size B (log scale)",
            "standard deviation over length (log scale)"
        );
        var share = Figure.Panel(
            "Decrease of the loss by a mini-batch step",
            "batch size B (log scale)",
            "share of the decrease with the whole data"
        );
        double[] x = [.. Sizes.Select(b => Math.Log10(b))];
        foreach (var (s, color) in series.Zip(Inks))
        {
            Figure
                .Line(spread, x, s.Spread.Select(Math.Log10), color, FormattableString.Invariant($"{s.Name}: B^{s.Exponent:F2}"))
                .MarkerSize = 9;
            Figure.Line(share, x, s.Share, color, s.Name).MarkerSize = 9;
        }
        Figure.Line(
            spread,
            [x[0], x[^1]],
            [Math.Log10(0.1 / Math.Sqrt(Sizes[0] / 32.0)), Math.Log10(0.1 / Math.Sqrt(Sizes[^1] / 32.0))],
            "#999999",
            "1/√B",
            1.5f
        );
        foreach (var plot in new[] { spread, share })
            Figure.Logarithmic(plot.Axes.Bottom, 25, 1300);
        double[] all = [.. series.SelectMany(s => s.Spread)];
        Figure.Logarithmic(spread.Axes.Left, Math.Min(0.015, all.Min() / 1.5), all.Max() * 2);
        share.Axes.SetLimitsY(series.Min(s => s.Share.Min()) - 0.03, 1.02);
        Figure.Legend(spread);
        Figure.Legend(share, corner: Alignment.LowerRight);
        return new("M2c-noise", spread, share);
    }
}
