using Amari.Native;
using Amari.Reporting;
using Amari.Training;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>M3c: the natural gradient's path of distributions is the same in any coordinates; gradient descent's is not.</summary>
/// <remarks><code>
/// w = w(θ):  F_θ = J' F_w J,  g_θ = J' g_w,  so  J F_θ⁻¹ g_θ = F_w⁻¹ g_w: equal steps up to the curvature of w(θ), O(η²)
/// plane    Gaussian with its mean in Cartesian or polar coordinates
/// coin     Bernoulli parametrised by its logit or its probability
/// layers   a network 2-2-1 whose layers are scaled by 4 and 1/4: w(θ) is linear, the steps are equal for any η, up to damping
/// </code></remarks>
internal sealed class M3cInvariance() : LectureItem("M3c", "Invariance of the natural gradient under a change of coordinates")
{
    private const double NoDamping = 1e-12;
    private const int Inputs = 2,
        Hidden = 2,
        HiddenWeights = Hidden * (Inputs + 1),
        NetworkWeights = HiddenWeights + Hidden + 1;
    private static readonly double[] Rates = [0.1, 0.05, 0.025, 0.0125];

    /// <summary>One model in two coordinate systems, with the data.</summary>
    private sealed record Pair(
        string Name,
        Likelihood Likelihood,
        Tensor X,
        Tensor Y,
        Func<Coordinates> First,
        Func<Coordinates> Second,
        double Rate,
        double GradientRate,
        int Steps
    )
    {
        /// <summary>The quantities that distinguish two distributions: the weights, or the outputs of a network.</summary>
        public Func<double[], double[]> Distribution { get; init; } = w => w;
    }

    private sealed record Paths(
        List<double[]> GradientFirst,
        List<double[]> GradientSecond,
        List<double[]> NaturalFirst,
        List<double[]> NaturalSecond
    );

    public override LectureResult Run(int seed)
    {
        Pair plane = Plane(),
            coin = Coin(),
            layers = Layers();
        var all = new[] { plane, coin, layers }.ToDictionary(p => p.Name, p => (Pair: p, Paths: Follow(p)));
        double Order(Pair p) =>
            Fit.Exponent(Rates, [.. Rates.Select(r => Distance(p, Natural(p, p.First, r, 1), Natural(p, p.Second, r, 1)))]);
        double Gap(Pair p, bool natural)
        {
            var paths = all[p.Name].Paths;
            return natural ? Distance(p, paths.NaturalFirst, paths.NaturalSecond) : Distance(p, paths.GradientFirst, paths.GradientSecond);
        }

        double planeOrder = Order(plane),
            coinOrder = Order(coin);
        double damped = Distance(
            layers,
            Natural(layers, layers.First, layers.Rate, layers.Steps, 0.01),
            Natural(layers, layers.Second, layers.Rate, layers.Steps, 0.01)
        );

        var table = new LectureTable(
            "model",
            "coordinates",
            "gradient descent: distance of paths",
            "natural gradient: distance of paths",
            "distance after one step, order in lr"
        );
        table.Add(plane.Name, "Cartesian, polar", Gap(plane, false), Gap(plane, true), planeOrder);
        table.Add(coin.Name, "logit, probability", Gap(coin, false), Gap(coin, true), coinOrder);
        table.Add(layers.Name, "layers scaled by 4, 1/4", Gap(layers, false), Gap(layers, true), "equal");
        table.Add(layers.Name, "layers scaled, damping 0.01", "-", damped, "-");

        Check[] checks =
        [
            Check.Near("plane: one natural step in two coordinate systems differs by O(lr^2), order", planeOrder, 2, 0.15),
            Check.Near("coin: one natural step in two coordinate systems differs by O(lr^2), order", coinOrder, 2, 0.15),
            Check.AtMost("plane: distance of natural paths over that of gradient paths", Gap(plane, true) / Gap(plane, false), 0.1),
            Check.AtMost("coin: distance of natural paths over that of gradient paths", Gap(coin, true) / Gap(coin, false), 0.05),
            Check.Near("layers: distance of natural paths, any lr", Gap(layers, true), 0, 1e-6),
            Check.AtLeast("layers: distance of gradient paths", Gap(layers, false), 0.1),
            Check.AtLeast("layers: distance of natural paths with damping", damped, 1e-3),
        ];
        return new(
            [table],
            checks,
            [Draw(all[plane.Name].Paths, all[coin.Name].Paths, all[layers.Name].Paths, layers)],
            "Gradient descent takes a different path in every coordinate system. The natural gradient takes the same path, up to "
                + "O(lr^2) per step, and exactly if the change of coordinates is linear. Damping by a multiple of I breaks this slightly."
        );
    }

    private static Tensor Vector(params double[] values) => tensor(values, dtype: ScalarType.Float64);

    private static Pair Plane()
    {
        var start = (X: -1.5, Y: 1.0);
        Coordinates Of(Tensor theta, Func<Tensor, Tensor> weights) => new(theta, weights, (w, x) => w.unsqueeze(0));
        return new(
            "plane",
            new Gaussian(),
            zeros(1, 1, dtype: ScalarType.Float64),
            Vector(2, 0.5).unsqueeze(0),
            () => Of(Vector(start.X, start.Y), w => w + 0),
            () =>
                Of(
                    Vector(Math.Sqrt(start.X * start.X + start.Y * start.Y), Math.Atan2(start.Y, start.X)),
                    t => stack([t[0] * t[1].cos(), t[0] * t[1].sin()])
                ),
            0.01,
            0.01,
            300
        );
    }

    private static Pair Coin()
    {
        const double start = 0.1,
            target = 0.7;
        Coordinates Of(double theta, Func<Tensor, Tensor> probability) =>
            new(Vector(theta), probability, (p, x) => (p / (1 - p)).log().unsqueeze(0));
        return new(
            "coin",
            new Bernoulli(),
            zeros(1, 1, dtype: ScalarType.Float64),
            full(1, 1, target, dtype: ScalarType.Float64),
            () => Of(Math.Log(start / (1 - start)), w => w.sigmoid()),
            () => Of(start, p => p + 0),
            0.03,
            0.03,
            130
        );
    }

    private static Pair Layers()
    {
        Tensor x = randn(200, Inputs, dtype: ScalarType.Float64),
            w = Vector(1, -0.3, 0.3, 0.4, 0.9, -0.4, 0.6, 0.5, 0.3);
        var y = Network(Vector(1.5, 0.5, -0.4, -0.5, 1.2, 0.2, 1.2, 1.1, -0.5), x) + 0.3 * randn(200, 1, dtype: ScalarType.Float64);
        var scale = cat([full(HiddenWeights, 4.0, dtype: ScalarType.Float64), full(Hidden + 1, 0.25, dtype: ScalarType.Float64)]);
        return new(
            "layers",
            new Gaussian(),
            x,
            y,
            () => new(w, t => t + 0, Network),
            () => new(w / scale, t => t * scale, Network),
            0.1,
            0.05,
            60
        )
        {
            Distribution = w => (Network(Vector(w), x) / Math.Sqrt(x.shape[0])).Elements<double>(),
        };
    }

    /// <summary>A tanh network 2-2-1 from its flat weights.</summary>
    private static Tensor Network(Tensor w, Tensor x)
    {
        var hidden = w.narrow(0, 0, HiddenWeights).view(Hidden, Inputs + 1);
        var outer = w.narrow(0, HiddenWeights, Hidden + 1);
        var a = (x.mm(hidden.narrow(1, 0, Inputs).t()) + hidden.select(1, Inputs)).tanh();
        return a.mm(outer.narrow(0, 0, Hidden).unsqueeze(1)) + outer[Hidden];
    }

    private static Paths Follow(Pair p) =>
        new(Gradient(p, p.First), Gradient(p, p.Second), Natural(p, p.First, p.Rate, p.Steps), Natural(p, p.Second, p.Rate, p.Steps));

    private static List<double[]> Gradient(Pair p, Func<Coordinates> create)
    {
        using var model = create();
        using var optimizer = new Sgd(model, new() { LearningRate = p.GradientRate, Momentum = 0 });
        return model.Descend(optimizer, p.Likelihood, p.X, p.Y, p.Steps);
    }

    private static List<double[]> Natural(Pair p, Func<Coordinates> create, double rate, int steps, double damping = NoDamping)
    {
        using var model = create();
        using var optimizer = new NaturalGradient(
            model,
            p.Likelihood,
            new()
            {
                LearningRate = rate,
                Damping = damping,
                Solver = new LinearSolver.Normal(),
            }
        );
        return model.Descend(optimizer, p.X, p.Y, steps);
    }

    /// <summary>The maximum distance of two paths at the same step.</summary>
    private static double Distance(Pair pair, List<double[]> a, List<double[]> b) =>
        a.Zip(b, (u, v) => Math.Sqrt(pair.Distribution(u).Zip(pair.Distribution(v), (s, t) => (s - t) * (s - t)).Sum())).Max();

    private static Figure Draw(Paths plane, Paths coin, Paths layers, Pair network)
    {
        void Four(
            Plot plot,
            Paths paths,
            Func<List<double[]>, IEnumerable<double>> x,
            Func<List<double[]>, IEnumerable<double>> y,
            string first,
            string second,
            bool same = false
        )
        {
            string gradient = Palette.Of("sgd"),
                natural = Palette.Of("natural-gradient");
            Figure.Line(plot, x(paths.GradientFirst), y(paths.GradientFirst), gradient, $"gradient, {first}", same ? 9 : 2.8f);
            Figure.Line(
                plot,
                x(paths.GradientSecond),
                y(paths.GradientSecond),
                gradient,
                $"gradient, {second}",
                pattern: LinePattern.Dashed
            );
            Figure.Line(plot, x(paths.NaturalFirst), y(paths.NaturalFirst), natural, $"natural, {first}", 5);
            Figure.Line(plot, x(paths.NaturalSecond), y(paths.NaturalSecond), "#000000", $"natural, {second}", 2, LinePattern.Dashed);
        }

        static IEnumerable<double> Steps(List<double[]> path) => path.Index().Select(p => (double)p.Index);
        var one = Figure.Panel("Mean of a Gaussian in the plane", "x", "y");
        // In Cartesian coordinates F = I.
        Four(one, plane, p => p.Select(w => w[0]), p => p.Select(w => w[1]), "Cartesian", "polar", same: true);
        one.Axes.SetLimits(-2, 2.5, 0, 2.2);
        Figure.Legend(one);
        var two = Figure.Panel("A coin: from p = 0.1 to 0.7", "step", "p");
        Four(two, coin, Steps, p => p.Select(w => w[0]), "logit", "probability");
        two.Axes.SetLimits(0, 130, 0, 1);
        Figure.Legend(two);
        var three = Figure.Panel("A network, its layers scaled by 4 and 1/4", "step", "loss");
        Four(three, layers, Steps, p => p.Select(Loss), "as it is", "scaled");
        three.Axes.SetLimitsX(0, network.Steps);
        Figure.Legend(three);
        return new("M3c-invariance", one, two, three) { Size = (2100, 620) };

        double Loss(double[] w) => (Network(Vector(w), network.X) - network.Y).square().mean().ToDouble() / 2;
    }
}
