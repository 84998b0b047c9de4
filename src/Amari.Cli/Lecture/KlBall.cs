using Amari.Curvature;
using Amari.Reporting;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>The steps of a given KL divergence for a small network with a positive definite Fisher, and the decrease of L + g'D for
/// each.</summary>
internal sealed class KlBall
{
    /// <summary>ε of <see cref="Step"/>.</summary>
    public const double Small = 1e-8;

    /// <summary>ε of the figure.</summary>
    public const double Shown = 1e-5;

    private const double Spread = 2.5;
    private const int Angles = 120,
        Probes = 24; // angles
    private readonly Likelihood _likelihood = new Bernoulli();
    private readonly Sequential _model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).to(ScalarType.Float64);
    private readonly ParameterLayout _layout;
    private readonly Tensor _x = randn(200, 3, dtype: ScalarType.Float64),
        _w,
        _f,
        _fisher,
        _root;
    private readonly Objective _objective;
    private readonly double _optimum;

    public KlBall()
    {
        _layout = ParameterLayout.Of(_model);
        _layout.Write(Spread * _layout.Read()); // otherwise its Fisher is nearly singular
        _w = _layout.Read();
        _f = _model.call(_x).detach();
        var y = (_x.narrow(1, 0, 2) + 0.5 * randn(200, 2, dtype: ScalarType.Float64)).gt(0).to(ScalarType.Float64);
        _objective = new(_model, _likelihood, [(_x, y)]);
        Gradient = _objective.Gradient().Gradient;
        _fisher = new Fisher(_objective).ToDense();
        _root = linalg.cholesky(_fisher);
        var natural = linalg.solve(_fisher, Gradient);
        double dual = Gradient.dot(natural).ToDouble(),
            inverse = Math.Sqrt(2 * Small / dual);
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

    /// <summary>g'D relative to the optimum, for D along d with ½ D'FD = ε.</summary>
    public double Share(Tensor d) => Gradient.dot(d).ToDouble() * Math.Sqrt(Small / Quadratic(d)) / _optimum;

    /// <summary>g'D relative to the optimum, for D along d with an exact KL of ε.</summary>
    public double ExactShare(Tensor d) => Gradient.dot(d).ToDouble() * Length(d, Small) / _optimum;

    public List<(string Name, Tensor Direction)> Others()
    {
        using var kfac = new KroneckerFactored(_objective);
        using var inverse = kfac.Inverse(1e-8, DampingMethod.Eigenbasis);
        return
        [
            ("natural gradient", Step),
            ("K-FAC", -inverse.Apply(Gradient)),
            ("diagonal of F", -Gradient / _fisher.diag()),
            ("gradient", -Gradient),
            ("sign of the gradient", -Gradient.sign()),
        ];
    }

    /// <summary>Directions uniform on the ellipsoid D'FD = 1 (share 1), or the optimum mixed with such a part.</summary>
    public List<Tensor> Sample(int count, double share)
    {
        var u = randn(_layout.Dimension, count, dtype: ScalarType.Float64);
        var center = _root.t().mv(Step);
        if (share < 1)
            u = center.div(center.norm()).unsqueeze(1) + share * u / u.norm(0, keepdim: true, p: 2);
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

    /// <summary>t > 0 with KL(t d) = ε, by bisection from the quadratic approximation.</summary>
    private double Length(Tensor d, double epsilon)
    {
        double guess = Math.Sqrt(epsilon / Quadratic(d)),
            low = 0,
            high = 8 * guess;
        for (int i = 0; i < 32; i++)
        {
            double middle = i == 0 ? guess : 0.5 * (low + high);
            if (Divergence(middle * d) < epsilon)
                low = middle;
            else
                high = middle;
        }
        return 0.5 * (low + high);
    }

    /// <summary>The longest over the shortest diameter of the ellipse ½ D'FD = ε in the plane of the natural gradient and the
    /// gradient.</summary>
    public double Elongation
    {
        get
        {
            var (e1, e2) = Plane();
            double a = Quadratic(e1),
                c = Quadratic(e2),
                b = Quadratic(e1 + e2) - a - c, // e1'F e2
                middle = (a + c) / 2,
                radius = Math.Sqrt(Math.Pow((a - c) / 2, 2) + b * b / 4);
            return Math.Sqrt((middle + radius) / (middle - radius));
        }
    }

    /// <summary>The largest |r / r₀ - 1| over directions in that plane, where a step of length r has an exact KL of ε, and one of length r₀
    /// has ½ D'FD = ε.</summary>
    public double Deviation(double epsilon)
    {
        var (e1, e2) = Plane();
        double aspect = Math.Sqrt(Quadratic(e1) / Quadratic(e2));
        return Enumerable
            .Range(0, Probes)
            .Select(i => 2 * Math.PI * i / Probes)
            .Select(angle => e1 * Math.Cos(angle) + e2 * (aspect * Math.Sin(angle)))
            .Max(d => Math.Abs(Length(d, epsilon) / Math.Sqrt(epsilon / Quadratic(d)) - 1));
    }

    /// <summary>Orthonormal: along the natural gradient, and across it towards the negative gradient.</summary>
    private (Tensor Along, Tensor Across) Plane()
    {
        var along = Step / Step.norm();
        var rest = -(Gradient - along * along.dot(Gradient));
        return (along, rest / rest.norm());
    }

    /// <summary>The plane of the natural gradient and the gradient, in units of the length of the natural step.</summary>
    public Plot Draw()
    {
        var (e1, e2) = Plane();
        double unit = Step.norm().ToDouble() * Math.Sqrt(Shown / Small),
            g1 = Gradient.dot(e1).ToDouble(),
            g2 = Gradient.dot(e2).ToDouble();
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
        var plot = Figure.Panel(
            FormattableString.Invariant($"Steps with a KL divergence of {Number.Short(Shown)}"),
            "along the natural gradient",
            "across it, in the same unit"
        );
        Figure.Line(plot, quadratic.X, quadratic.Y, "#000000", "½ D'FD = ε", 1.5f);
        Figure.Line(plot, actual.X, actual.Y, "#009E73", "KL = ε");
        double length = Math.Sqrt(Shown / Quadratic(Gradient)) / unit,
            gx = -g1 * length,
            gy = -g2 * length;
        Arrow(1, 0, Palette.Of("natural-gradient"), "natural gradient");
        Arrow(gx, gy, Palette.Of("sgd"), "gradient");
        double reach = 1.2 * Math.Max(quadratic.Y.Max(), actual.Y.Max());
        foreach (double at in new[] { 1.0, gx + g2 / g1 * gy }) // g'D constant: through the ends
        {
            double slope = g2 / g1 * reach;
            Figure.Line(plot, [at + slope, at - slope], [-reach, reach], "#999999", at == 1 ? "g'D constant" : null, 1.5f);
        }
        double wide = 1.1 * Math.Max(quadratic.X.Max(), actual.X.Max());
        plot.Axes.SetLimits(-wide, wide * 1.3, -reach, reach);
        Figure.Legend(plot, corner: Alignment.LowerLeft);
        return plot;

        void Arrow(double x, double y, string color, string name)
        {
            var arrow = plot.Add.Arrow(0, 0, x, y);
            (arrow.ArrowFillColor, arrow.ArrowLineColor, arrow.ArrowWidth, arrow.LegendText) = (
                Color.FromHex(color),
                Color.FromHex(color),
                4,
                ""
            );
            Figure.Line(plot, [0, x], [0, y], color, name, 3);
        }
    }
}
