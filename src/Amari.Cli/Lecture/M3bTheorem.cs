using Amari.Cli.Reporting;
using Amari.Curvature;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>M3b: the natural-gradient theorem.</summary>
/// <remarks><code>
/// the minimiser of L + g'D subject to KL ≤ ε, for small ε, is   D = -(1/λ) F⁻¹ g,   1/λ = √(2 ε / g'F⁻¹g),   where g'D = -√(2 ε g'F⁻¹g)
/// </code>Left: the library's trust-region step, asked KL against the exact KL that came out. Right: the ball in the plane of the gradient
/// and the natural gradient, and how far one gets in other directions.</remarks>
internal sealed class M3bTheorem() : LectureItem("M3b", "The natural gradient is the steepest descent per unit of KL divergence")
{
    private const int Examples = 60, Training = 20, Random = 2000, Probed = 60, Angles = 120;
    private const double Small = 1e-8, Shown = 1e-5, Exact = 3e-4, Spread = 2.5;
    private static readonly double[] Radii = [1e-7, 1e-6, 1e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1];

    public override LectureResult Run(int seed)
    {
        var asked = new LectureTable("asked KL", "achieved", "achieved / asked", "with the empirical Fisher", "/ asked");
        double[] exact = Achieved(FisherKind.Exact, seed), empirical = Achieved(FisherKind.Empirical, seed);
        foreach (var (i, epsilon) in Radii.Index()) asked.Add(epsilon, exact[i], exact[i] / epsilon, empirical[i], empirical[i] / epsilon);
        var ball = new Ball();
        var directions = new LectureTable("direction", "g'D over the theorem's, KL = ½ D'FD", "same, exact KL");
        foreach (var (name, d) in ball.Others()) directions.Add(name, ball.Share(d), ball.ExactShare(d));
        var random = ball.Sample(Random, 1);
        var nearby = ball.Sample(Random, 0.1);
        double best = random.Max(ball.Share), bestNear = nearby.Max(ball.Share), bestExact = random.Concat(nearby).Where((_, i) => i % (2 * Random / Probed) == 0).Max(ball.ExactShare);
        directions.Add($"best of {Random} random directions", best, "");
        directions.Add($"best of {Random} close to the natural gradient", bestNear, "");
        directions.Add($"best of {Probed} of both", "", bestExact);

        var small = Radii.Index().Where(r => r.Item <= Exact).ToList();
        Check[] checks =
        [
            .. small.Select(r => Check.Near(FormattableString.Invariant($"achieved over asked KL, ε = {r.Item}"), exact[r.Index] / r.Item, 1, 0.05)),
            Check.Near("exponent of achieved in asked KL", Fit.Exponent([.. small.Select(r => r.Item)], [.. small.Select(r => exact[r.Index])]), 1, 0.01),
            Check.Near("KKT: |g + λ F D| / |g|", ball.Stationarity, 0, 1e-8),
            Check.Near("½ D'FD over ε", ball.Kl, 1, 1e-9),
            Check.Near("exact KL over ε", ball.ExactKl, 1, 0.01),
            Check.Near("g'D over -√(2 ε g'F⁻¹g)", ball.Share(ball.Step), 1, 1e-9),
            Check.AtMost("the best random direction, over the theorem's", best, 1),
            Check.AtMost("the best direction close to it, over the theorem's", bestNear, 1),
            Check.AtMost("the best direction with the exact KL, over the theorem's", bestExact, 1.002),
            Check.AtMost("the gradient's direction, over the theorem's", ball.Share(-ball.Gradient), 0.9),
        ];
        return new([asked, directions], checks, [new("M3b-theorem", DrawAsked(exact, empirical), ball.Draw())], FormattableString.Invariant(
            $"Up to ε = {Exact} the step's KL is the asked one within 5 %, and no direction of that KL lowers L + g'D as much: the gradient's gets {100 * ball.Share(-ball.Gradient):F0} % of it, the best of {Random} random ones {100 * best:F0} %."));
    }

    /// <summary>The exact KL of the library's step for every ε, each from the same weights.</summary>
    private static double[] Achieved(FisherKind kind, int seed)
    {
        manual_seed(seed);
        using var network = new DigitsNetwork(ScalarType.Float64, Examples, 64, 16, 10);
        using (var adam = new AdamW(network.Model, new() { LearningRate = 1e-2 })) network.Train(adam, Training, Examples);
        var layout = network.Objective.Parameters;
        var w = layout.Read();
        return [.. Radii.Select(epsilon =>
        {
            layout.Write(w);
            using var optimizer = new NaturalGradient(network.Model, network.Likelihood, new() { KlRadius = epsilon, Damping = 1e-4, Fisher = kind });
            return optimizer.Step(network.Inputs, network.Targets).AchievedKl ?? double.NaN;
        })];
    }

    private static Plot DrawAsked(double[] exact, double[] empirical)
    {
        var plot = Figure.Panel("A network on digits: one step from the same weights", "asked KL divergence ε (log scale)", "achieved KL divergence (log scale)");
        Figure.Line(plot, [-7.5, 0.5], [-7.5, 0.5], "#999999", "achieved = asked", 1.5f);
        Figure.Marks(plot, Radii.Select(Math.Log10), empirical.Select(Math.Log10), Palette.Of("sgd"), "empirical Fisher", 11);
        Figure.Marks(plot, Radii.Select(Math.Log10), exact.Select(Math.Log10), Palette.Of("natural-gradient"), "exact Fisher", 11);
        Figure.Logarithmic(plot.Axes.Bottom, 3e-8, 3);
        Figure.Logarithmic(plot.Axes.Left, 1e-8, 10);
        Figure.Legend(plot, corner: Alignment.UpperLeft);
        return plot;
    }

    /// <summary>The KL ball of a small network whose Fisher is positive definite.</summary>
    private sealed class Ball
    {
        private readonly Likelihood _likelihood = new Bernoulli();
        private readonly Sequential _model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(ScalarType.Float64);
        private readonly ParameterLayout _layout;
        private readonly Tensor _x = randn(200, 3, dtype: ScalarType.Float64), _w, _f, _fisher, _root;
        private readonly Objective _objective;
        private readonly double _optimum;

        public Ball()
        {
            _layout = ParameterLayout.Of(_model);
            _layout.Write(Spread * _layout.Read());               // or its Fisher would be nearly singular
            _w = _layout.Read();
            _f = _model.call(_x).detach();
            var y = (_x.narrow(1, 0, 2) + 0.5 * randn(200, 2, dtype: ScalarType.Float64)).gt(0).to(ScalarType.Float64);
            _objective = new(_model, _likelihood, [(_x, y)]);
            Gradient = _objective.Gradient().Gradient;
            _fisher = new Fisher(_objective).ToDense();
            _root = linalg.cholesky(_fisher);
            var natural = linalg.solve(_fisher, Gradient);
            double dual = Gradient.dot(natural).ToDouble(), inverse = Math.Sqrt(2 * Small / dual);
            Step = -inverse * natural;
            _optimum = -Math.Sqrt(2 * Small * dual);
            Stationarity = (Gradient + _fisher.mv(Step) / inverse).norm().ToDouble() / Gradient.norm().ToDouble();
        }

        public Tensor Gradient { get; }
        /// <summary>The theorem's D at ε = <see cref="Small"/>.</summary>
        public Tensor Step { get; }
        public double Stationarity { get; }
        public double Kl => Quadratic(Step) / Small;
        public double ExactKl => Divergence(Step) / Small;

        /// <summary>g'D over the optimum, for D along d of the length with ½ D'FD = ε.</summary>
        public double Share(Tensor d) => Gradient.dot(d).ToDouble() * Math.Sqrt(Small / Quadratic(d)) / _optimum;

        /// <summary>The same for the length at which the exact KL is ε.</summary>
        public double ExactShare(Tensor d) => Gradient.dot(d).ToDouble() * Length(d, Small) / _optimum;

        public List<(string Name, Tensor Direction)> Others()
        {
            using var kfac = new KroneckerFactored(_objective);
            using var inverse = kfac.Inverse(1e-8, DampingMethod.Eigenbasis);
            return
            [
                ("natural gradient", Step), ("K-FAC", -inverse.Apply(Gradient)), ("diagonal of F", -Gradient / _fisher.diag()),
                ("gradient", -Gradient), ("sign of the gradient", -Gradient.sign()),
            ];
        }

        /// <summary>Directions uniform on the ellipsoid D'FD = 1 (share 1), or the optimum with such a part mixed in.</summary>
        public List<Tensor> Sample(int count, double share)
        {
            var u = randn(_layout.Dimension, count, dtype: ScalarType.Float64);
            var center = _root.t().mv(Step);
            if (share < 1) u = center.div(center.norm()).unsqueeze(1) + share * u / u.norm(0, keepdim: true, p: 2);
            var d = linalg.solve(_root.t(), u);
            return [.. Enumerable.Range(0, count).Select(i => d.select(1, i))];
        }

        private double Quadratic(Tensor d) => 0.5 * d.dot(_fisher.mv(d)).ToDouble();

        private double Divergence(Tensor d)
        {
            using var scope = NewDisposeScope();
            using var off = no_grad();
            _layout.Write(_w + d);
            double kl = _likelihood.KlDivergence(_f, _model.call(_x)).mean().ToDouble();
            _layout.Write(_w);
            return kl;
        }

        /// <summary>t > 0 with KL(t d) = ε, by bisection around the quadratic's.</summary>
        private double Length(Tensor d, double epsilon)
        {
            double guess = Math.Sqrt(epsilon / Quadratic(d)), low = 0, high = 8 * guess;
            for (int i = 0; i < 32; i++)
            {
                double middle = i == 0 ? guess : 0.5 * (low + high);
                if (Divergence(middle * d) < epsilon) low = middle;
                else high = middle;
            }
            return 0.5 * (low + high);
        }

        /// <summary>The plane of the natural gradient and the gradient, in units of the natural step's length.</summary>
        public Plot Draw()
        {
            var e1 = Step / Step.norm();
            var rest = -(Gradient - e1 * e1.dot(Gradient));
            var e2 = rest / rest.norm();
            double unit = Step.norm().ToDouble() * Math.Sqrt(Shown / Small), g1 = Gradient.dot(e1).ToDouble(), g2 = Gradient.dot(e2).ToDouble();
            double[] angle = [.. Enumerable.Range(0, Angles + 1).Select(i => 2 * Math.PI * i / Angles)];
            double aspect = Math.Sqrt(Quadratic(e1) / Quadratic(e2));
            Tensor At(double a) => e1 * Math.Cos(a) + e2 * (aspect * Math.Sin(a));
            (double[] X, double[] Y) Contour(Func<Tensor, double> length)
            {
                double[] r = [.. angle.Select(a => length(At(a)) / unit)];
                return ([.. r.Zip(angle, (l, a) => l * Math.Cos(a))], [.. r.Zip(angle, (l, a) => l * aspect * Math.Sin(a))]);
            }
            var quadratic = Contour(d => Math.Sqrt(Shown / Quadratic(d)));
            var actual = Contour(d => Length(d, Shown));
            var plot = Figure.Panel(FormattableString.Invariant($"Steps with a KL divergence of {Number.Short(Shown)}"), "along the natural gradient", "across it, in the same unit");
            Figure.Line(plot, quadratic.X, quadratic.Y, "#000000", "½ D'FD = ε", 1.5f);
            Figure.Line(plot, actual.X, actual.Y, "#009E73", "KL = ε");
            double length = Math.Sqrt(Shown / Quadratic(Gradient)) / unit, gx = -g1 * length, gy = -g2 * length;
            Arrow(1, 0, Palette.Of("natural-gradient"), "natural gradient");
            Arrow(gx, gy, Palette.Of("sgd"), "gradient");
            double reach = 1.2 * Math.Max(quadratic.Y.Max(), actual.Y.Max());
            foreach (double at in new[] { 1.0, gx + g2 / g1 * gy })   // g'D constant: through the ends
                Figure.Line(plot, [at + g2 / g1 * reach, at - g2 / g1 * reach], [-reach, reach], "#999999", at == 1 ? "g'D constant" : null, 1.5f);
            double wide = 1.1 * Math.Max(quadratic.X.Max(), actual.X.Max());
            plot.Axes.SetLimits(-wide, wide * 1.3, -reach, reach);
            Figure.Legend(plot, corner: Alignment.LowerLeft);
            return plot;

            void Arrow(double x, double y, string color, string name)
            {
                var arrow = plot.Add.Arrow(0, 0, x, y);
                (arrow.ArrowFillColor, arrow.ArrowLineColor, arrow.ArrowWidth, arrow.LegendText) = (Color.FromHex(color), Color.FromHex(color), 4, "");
                Figure.Line(plot, [0, x], [0, y], color, name, 3);
            }
        }
    }
}
