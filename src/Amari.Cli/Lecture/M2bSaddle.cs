using Amari.Curvature;
using Amari.Reporting;
using Amari.Training;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>M2b: saddles attract Newton's method and repel the others.</summary>
/// <remarks><code>
/// two weights:       f(u, v) = ½ (u v - 1)² + ½ c (u² + v²),   a saddle at 0, minima at u = v = ±√(1 - c)
/// linear network:    y = M x learned as B A x, A and B 3 x 3:   w = 0 is a saddle of index 9
/// noise:             g + σ ξ with normal ξ in place of g
/// the ridge:         u = -v, from which the gradient leads to the saddle
/// </code></remarks>
internal sealed class M2bSaddle() : LectureItem("M2b", "Newton's method and saddles")
{
    private const int Width = 3,
        Examples = 60,
        Starts = 10,
        Grid = 81,
        Long = 120,
        Short = 10,
        Medium = 40;
    private const double Decay = 0.1,
        Near = 0.1,
        Sigma = 0.05,
        Rate = 0.1,
        Damping = 0.1;
    private static readonly double[] NextToRidge = [0.9, -0.8],
        Ridge = [0.9, -0.9];
    private static readonly double[] Map = [2, 1.5, 1];
    private static readonly (double Low, double High) Range = (-1.4, 1.4);

    private enum Kind
    {
        Newton,
        SaddleFree,
        Descent,
        NoisyDescent,
    }

    private static readonly (Kind Kind, string Name, string Color, int Steps, double[] Begin)[] Methods =
    [
        (Kind.Newton, "Newton", Palette.Of("newton"), Short, NextToRidge),
        (Kind.SaddleFree, "saddle-free Newton", Palette.Of("saddle-free-newton"), Medium, NextToRidge),
        (Kind.Descent, "gradient descent", Palette.Of("sgd"), Long, Ridge),
        (Kind.NoisyDescent, "gradient descent with noise", Palette.Of("kfac"), Long, Ridge),
    ];

    public override LectureResult Run(int seed)
    {
        var table = new LectureTable("two weights", "start", "end", "loss", "smallest eigenvalue of H", "steps until it leaves");
        var traces = Methods.Select(m => (Method: m, Path: Walk(m.Kind, m.Steps, m.Begin))).ToList();
        foreach (var (m, path) in traces)
        {
            var end = path[^1];
            int left = Left(path);
            table.Add(
                m.Name,
                $"{(ReferenceEquals(m.Begin, Ridge) ? "on" : "next to")} the ridge",
                $"({Rounded(end[0])}, {Rounded(end[1])})",
                Value(end),
                Smallest(end),
                left >= 0 ? left : "never"
            );
        }
        var network = new LectureTable("linear network", "starts", "of them ended at the saddle", "at a minimum", "steps");
        var runs = Methods
            .Select(m => (Method: m, Losses: Enumerable.Range(0, Starts).Select(i => Descend(m.Kind, m.Steps, seed + i)).ToList()))
            .ToList();
        int Count(Kind kind, Func<double, bool> end) => runs.Single(r => r.Method.Kind == kind).Losses.Count(l => end(l[^1]));
        static bool AtSaddle(double excess) => Math.Abs(excess - 1) < 1e-6;
        static bool AtMinimum(double excess) => excess < 0.01;
        foreach (var (m, _) in runs)
            network.Add(m.Name, Starts, Count(m.Kind, AtSaddle), Count(m.Kind, AtMinimum), m.Steps);

        double[] End(Kind kind) => traces.Single(t => t.Method.Kind == kind).Path[^1];
        double ToMinimum(Kind kind) => Math.Abs(Math.Abs(End(kind)[0] + End(kind)[1]) / 2 - Math.Sqrt(1 - Decay));
        Check[] checks =
        [
            Check.Near("Newton ends at the saddle: distance", Math.Sqrt(End(Kind.Newton).Sum(w => w * w)), 0, 1e-9),
            Check.Near("where H has a negative eigenvalue", Smallest(End(Kind.Newton)), Decay - 1, 1e-9),
            Check.Near("saddle-free Newton ends at a minimum: distance", ToMinimum(Kind.SaddleFree), 0, 1e-4),
            Check.Near("gradient descent with noise ends near a minimum: distance", ToMinimum(Kind.NoisyDescent), 0, 0.1),
            Check.Near(
                "gradient descent without noise, from the ridge, ends at the saddle: distance",
                Math.Sqrt(End(Kind.Descent).Sum(w => w * w)),
                0,
                1e-4
            ),
            .. Methods.Select(m =>
                Check.Near(
                    $"linear network, {Starts} starts: at the saddle with {m.Name}",
                    Count(m.Kind, AtSaddle),
                    m.Kind == Kind.Newton ? Starts : 0,
                    0
                )
            ),
            .. Methods
                .Where(m => m.Kind != Kind.Newton)
                .Select(m =>
                    Check.Near($"linear network, {Starts} starts: at a minimum with {m.Name}", Count(m.Kind, AtMinimum), Starts, 0)
                ),
        ];
        return new(
            [table, network],
            checks,
            [
                Draw(
                    traces.Select(t => (t.Method.Name, t.Method.Color, t.Path)),
                    runs.Select(r => (r.Method.Name, r.Method.Color, r.Losses))
                ),
            ],
            "Newton's method solves for a stationary point and converges to the saddle. With the eigenvalues' absolute values, or with "
                + "noise, the saddle is left."
        );
    }

    /// <summary>The first step after which a path stays nearer to a minimum than to the saddle; -1 if there is none.</summary>
    private static int Left(List<double[]> path)
    {
        int last = path.FindLastIndex(w => Math.Abs(w[0] + w[1]) / 2 < 0.5 * Math.Sqrt(1 - Decay));
        return last + 1 < path.Count ? last + 1 : -1;
    }

    private static string Rounded(double w) => Number.Short(Math.Round(w, 3));

    private static Tensor Function(Tensor w) => 0.5 * (w[0] * w[1] - 1).square() + 0.5 * Decay * w.square().sum();

    private static double Value(double[] w) => Function(tensor(w)).ToDouble();

    private static double Smallest(double[] w)
    {
        using var p = new Parameter(tensor(w));
        return linalg.eigvalsh(new Hessian(new Objective(() => Function(p), new ParameterLayout([("w", p)]))).ToDense())[0].ToDouble();
    }

    private static List<double[]> Walk(Kind kind, int steps, double[] begin)
    {
        using var model = new Coordinates(tensor(begin), w => w + 0, (w, _) => Function(w));
        var path = new List<double[]> { model.Weights() };
        using var one = ones(1, dtype: ScalarType.Float64);
        Step(model, kind, () => model.call(one), steps, () => path.Add(model.Weights()));
        return path;
    }

    /// <summary>The excess loss of the linear network during a run from near 0, relative to the saddle's.</summary>
    private static List<double> Descend(Kind kind, int steps, int seed)
    {
        using var scope = NewDisposeScope();
        manual_seed(seed);
        using var model = nn.Sequential(
                ("first", nn.Linear(Width, Width, hasBias: false)),
                ("second", nn.Linear(Width, Width, hasBias: false))
            )
            .to(ScalarType.Float64);
        var layout = ParameterLayout.Of(model);
        layout.Write(Near * randn(layout.Dimension, dtype: layout.Type));
        Tensor x = randn(Examples, Width, dtype: ScalarType.Float64),
            y = x * tensor(Map);
        Tensor Loss() => 0.5 * (model.call(x) - y).square().sum() / Examples;
        double saddle = 0.5 * y.square().sum().ToDouble() / Examples;
        var excess = new List<double>();
        void Log()
        {
            using var off = no_grad();
            excess.Add(Loss().ToDouble() / saddle);
        }
        Log();
        Step(model, kind, Loss, steps, Log);
        return excess;
    }

    private static void Step(nn.Module model, Kind kind, Func<Tensor> loss, int steps, Action report)
    {
        using Optimizer optimizer = kind switch
        {
            Kind.Newton => new Newton(model.parameters(), new() { Damping = 0 }),
            Kind.SaddleFree => new SaddleFreeNewton(model.parameters(), new() { Damping = Damping }),
            _ => new Sgd(model, new() { LearningRate = Rate, Momentum = 0 }),
        };
        for (int i = 0; i < steps; i++)
        {
            using var scope = NewDisposeScope();
            if (optimizer is SecondOrderOptimizer)
                optimizer.step(loss);
            else
            {
                optimizer.zero_grad();
                loss().backward();
                if (kind == Kind.NoisyDescent)
                    foreach (var p in model.parameters())
                        p.grad!.add_(randn_like(p.grad), alpha: Sigma);
                optimizer.step();
            }
            report();
        }
    }

    private static Figure Draw(
        IEnumerable<(string Name, string Color, List<double[]> Path)> traces,
        IEnumerable<(string Name, string Color, List<List<double>> Losses)> runs
    )
    {
        var plane = Figure.Panel("½ (uv - 1)² + 0.05 (u² + v²)", "u", "v");
        Tensor u = linspace(Range.Low, Range.High, Grid, dtype: ScalarType.Float64).view(1, Grid),
            v = u.view(Grid, 1);
        Figure.Surface(
            plane,
            Figure.Array((0.5 * (u * v - 1).square() + 0.5 * Decay * (u.square() + v.square())).log10()),
            Range,
            Range,
            "loss"
        );
        foreach (var (name, color, path) in traces)
            Figure.Line(plane, path.Select(w => w[0]), path.Select(w => w[1]), color, name).MarkerSize = 6;
        double minimum = Math.Sqrt(1 - Decay);
        Figure.Marks(plane, [NextToRidge[0], Ridge[0]], [NextToRidge[1], Ridge[1]], "#000000", "starts", 13);
        Figure.Marks(plane, [0], [0], "#D50000", "saddle", 13);
        Figure.OutlinedMarks(plane, [minimum, -minimum], [minimum, -minimum], "minima");
        plane.Axes.SetLimits(Range.Low, Range.High, Range.Low, Range.High);
        Figure.Legend(plane, corner: Alignment.UpperLeft);

        var losses = Figure.Panel(
            "Linear network with 18 weights, started near its saddle",
            "step + 1 (log scale)",
            "loss above the minimum, saddle = 1: median of 10 starts"
        );
        foreach (var (name, color, all) in runs)
        {
            double[] median = [.. Enumerable.Range(0, all[0].Count).Select(i => all.Select(run => run[i]).Order().ElementAt(Starts / 2))];
            Figure.Line(losses, Enumerable.Range(1, median.Length).Select(i => Math.Log10(i)), median, color, name).MarkerSize = 6;
        }
        Figure.Logarithmic(losses.Axes.Bottom, 1, Long + 1);
        losses.Axes.SetLimitsY(-0.05, 1.3);
        Figure.Legend(losses);
        return new("M2b-saddle", plane, losses) { Size = (1800, 640) };
    }
}
