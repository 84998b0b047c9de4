using Amari.Curvature;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>D1: gradient descent and natural gradient on a saturated sigmoid, as in the lecture; then more methods, a loss that is flat
/// there, and a landscape of two weights.</summary>
/// <remarks><code>
/// p = σ(w), y = 0, w₀ = 10, 100 steps:   w ← w - 0.5 (p - y),   w ← w - 0.1 (p - y) / (p (1 - p) + 10⁻⁵)
/// </code>
/// The first natural step divides by 5.5e-5 and ends at -1795, where every gradient is 0. A step of a given KL divergence is limited by the
/// change of the distribution instead, but neither shrinks where the neuron is right, nor has that divergence where p (1 - p) is tiny.
/// </remarks>
internal sealed class D1Plateau() : LectureItem("D1", "Natural gradient and gradient descent on a plateau")
{
    private const double Start = 10,
        Target = 0,
        GradientRate = 0.5,
        NaturalRate = 0.1,
        Epsilon = 1e-5,
        Kl = 1e-3,
        Unsaturated = 2.2; // |w| where p is between 0.1 and 0.9
    private const int Steps = 100;
    private static readonly Likelihood Likelihood = new Bernoulli();

    public override LectureResult Run(int seed)
    {
        double[] gradient = Follow(n => GradientRate * n.Gradient()),
            natural = Follow(n => NaturalRate * n.Gradient() / (n.Fisher() + Epsilon));
        var divergences = new List<(double Weight, double Kl)> { (Start, 0) };
        var plateau = Plateau(gradient, natural, (w, report) => divergences.Add((w, report.AchievedKl ?? double.NaN)));
        double first = divergences[1].Kl,
            achieved = divergences.Where(d => Math.Abs(d.Weight) < Unsaturated).Max(d => Math.Abs(d.Kl / Kl - 1));
        var flat = Flat();
        var landscape = new D1Landscape();

        var table = new LectureTable("-log p, one weight", "steps to p < 1/2", "to loss < 0.1", "w at the end", "loss at the end");
        foreach (var t in plateau)
            table.Add(t.Name, First(t, w => w < 0), First(t, w => Loss(w) < 0.1), t.Path[^1][0], Loss(t.Path[^1][0]));
        var squared = new LectureTable("(p - y)², one weight", "steps to p < 1/2", "w at the end");
        foreach (var t in flat)
            squared.Add(t.Name, First(t, w => w < 0), t.Path[^1][0]);
        var two = new LectureTable("two weights", "w1", "w2", "excess loss");
        foreach (var t in landscape.Traces)
            two.Add(t.Name, t.Path[^1][0], t.Path[^1][1], landscape.Excess(t));

        Trace Of(string name) => landscape.Traces.First(t => t.Name == name);
        double End(List<Trace> traces, string name) => traces.First(t => t.Name == name).Path[^1][0];
        Check[] checks =
        [
            Check.Near("gradient descent after 20 steps, w", gradient[20], 0.4944686278659374),
            Check.Near("gradient descent after 100 steps, w", gradient[100], -3.6190515200446685),
            Check.Near("the lecture's natural gradient after 1 step, w", natural[1], -1795.1088033564777),
            Check.Near("the lecture's natural gradient after 100 steps, w", natural[100], -1795.1088033564777),
            Check.AtMost("KL trust region: largest |achieved / target - 1| between p = 0.9 and 0.1", achieved, 0.05),
            Check.Near("KL trust region: achieved KL of the first step", first, Divergence(Start, divergences[1].Weight), 1e-9),
            Check.AtLeast("KL trust region: achieved / target KL of the first step (it is out of range)", first / Kl, 2),
            Check.AtMost("KL trust region: w after 100 steps (it runs away)", End(plateau, D1Landscape.TrustRegion), -14),
            Check.AtLeast("(p - y)²: Newton's w after 100 steps (it climbs)", End(flat, "Newton"), Start),
            Check.AtLeast("(p - y)²: gradient descent's w after 100 steps (it stalls)", End(flat, "gradient descent"), 9.9),
            Check.AtMost("(p - y)²: natural gradient's w after 100 steps", End(flat, "natural gradient"), 0),
            Check.AtMost("two weights, KL trust region: excess loss over the minimum", landscape.Excess(Of(D1Landscape.TrustRegion)), 1e-3),
            Check.AtMost("two weights, Newton: distance from the saddle", D1Landscape.FromSaddle(Of("Newton")), 1e-6),
        ];
        return new(
            [table, squared, two],
            checks,
            [DrawLecture(gradient, natural), DrawPlateau(plateau, flat), landscape.Draw()],
            "The lecture's natural gradient leaves the plateau in one huge step. Steps of a given KL divergence take it back into range, "
                + "but run away where the neuron is certain and right, unless the rate falls. "
                + "Where the loss is flat, gradient descent stalls, Newton's method climbs or ends in a saddle, and the natural gradient "
                + "continues."
        );
    }

    /// <summary>The lecture's iteration: w after 0, 1, .. steps.</summary>
    private static double[] Follow(Func<Neuron, double> step)
    {
        using var neuron = new Neuron(Start, Target);
        var path = new List<double> { Start };
        for (int i = 0; i < Steps; i++)
            path.Add(neuron.Weight -= step(neuron));
        return [.. path];
    }

    /// <summary>Every method on -log p. The weights and reports of the trust region are passed on.</summary>
    private static List<Trace> Plateau(double[] gradient, double[] natural, Action<double, StepReport> after)
    {
        Tensor x = zeros(1, 1, dtype: ScalarType.Float64),
            y = full(1, 1, Target, dtype: ScalarType.Float64);
        Trace First(string name, string color, Func<nn.Module, Optimizer> create)
        {
            using var model = One();
            using var optimizer = create(model);
            return new(name, Palette.Of(color), model.Descend(optimizer, Likelihood, x, y, Steps));
        }

        Trace Second(string name, string color, Func<Coordinates, SecondOrderOptimizer> create, Action<double, StepReport>? passOn = null)
        {
            using var model = One();
            using var optimizer = create(model);
            return new(name, Palette.Of(color), model.Descend(optimizer, x, y, Steps, (w, report) => passOn?.Invoke(w[0], report)));
        }

        return
        [
            new("gradient descent", Palette.Of("sgd"), [.. gradient.Select(w => new[] { w })]),
            new("natural gradient", Palette.Of("natural-gradient"), [.. natural.Select(w => new[] { w })]),
            Second(
                D1Landscape.TrustRegion,
                "kfac",
                m => new NaturalGradient(m, Likelihood, new() { KlRadius = Kl, Damping = 1e-9 }),
                after
            ),
            Second("Newton", "newton", m => new Newton(m, Likelihood, new() { Damping = Epsilon })),
            First("Adam", "adam", m => new Adam(m, new() { LearningRate = 0.2 })),
            First("AdamW", "adamw", m => new AdamW(m, new() { LearningRate = 0.2, WeightDecay = 0.1 })),
            First("Lion", "lion", m => new Lion(m, new() { LearningRate = 0.15 })),
        ];
    }

    /// <summary>The squared loss of the probability, whose gradient vanishes with p (1 - p).</summary>
    private static List<Trace> Flat()
    {
        Trace Of(string name, string color, Func<Parameter, Optimizer> create, bool own = false)
        {
            using var w = new Parameter(full(1, Start, dtype: ScalarType.Float64));
            using var optimizer = create(w);
            var path = new List<double[]> { new[] { Start } };
            for (int i = 0; i < Steps; i++)
            {
                using var scope = NewDisposeScope();
                optimizer.zero_grad();
                if (!own)
                    Squared(w).backward();
                optimizer.step(own ? () => Squared(w) : null);
                path.Add([w.item<double>()]);
            }
            return new(name, Palette.Of(color), path);
        }

        var natural = Follow(n =>
        {
            double p = Neuron.Sigmoid(n.Weight);
            return NaturalRate * 2 * (p - Target) * p * (1 - p) / (n.Fisher() + Epsilon);
        });
        return
        [
            Of(
                "gradient descent",
                "sgd",
                w => new Sgd([ParameterGroup.Of([w], new Sgd.Options { LearningRate = GradientRate, Momentum = 0 })])
            ),
            new("natural gradient", Palette.Of("natural-gradient"), [.. natural.Select(w => new[] { w })]),
            Of("Newton", "newton", w => new Newton([w], new() { Damping = 0 }), own: true),
            Of("Adam", "adam", w => new Adam([ParameterGroup.Of([w], new Adam.Options { LearningRate = 0.2 })])),
            Of("Lion", "lion", w => new Lion([ParameterGroup.Of([w], new Lion.Options { LearningRate = 0.15 })])),
        ];

        static Tensor Squared(Tensor w) => (w.sigmoid() - Target).square().sum();
    }

    private static Coordinates One() => new(tensor(new[] { Start }), w => w + 0, (w, x) => w.unsqueeze(0));

    /// <summary>KL( p(w) ‖ p(v) ) of the neuron, exact in both tails: -log p(1) is the loss at -w, -log p(0) that at w.</summary>
    private static double Divergence(double w, double v) =>
        Neuron.Sigmoid(w) * (Loss(-v) - Loss(-w)) + Neuron.Sigmoid(-w) * (Loss(v) - Loss(w));

    private static double Loss(double w) => Math.Max(w, 0) + Math.Log(1 + Math.Exp(-Math.Abs(w)));

    private static object First(Trace trace, Func<double, bool> reached) =>
        trace.Path.FindIndex(w => reached(w[0])) is >= 0 and int i ? i : "never";

    private static Figure DrawLecture(double[] gradient, double[] natural)
    {
        var plot = Figure.Panel("GD vs NGD on a Saturated Sigmoid (The Plateau Problem)", "Iteration", "Weight w");
        double[] steps = [.. Enumerable.Range(0, Steps + 1).Select(i => (double)i)];
        Figure.Line(plot, steps, gradient, "#FF0000", "Gradient Descent");
        Figure.Line(plot, steps, natural, "#0000FF", "Natural Gradient");
        var zero = plot.Add.HorizontalLine(0, 1.5f, Colors.Black, LinePattern.Dashed);
        zero.ExcludeFromLegend = true;
        Figure.Legend(plot, corner: Alignment.MiddleRight);
        return new("figures/01-4-demo1", plot);
    }

    private static Figure DrawPlateau(List<Trace> plateau, List<Trace> flat)
    {
        Plot Of(string title, List<Trace> traces)
        {
            var plot = Figure.Panel(title, "step", "weight w");
            foreach (var t in traces)
                Figure.Line(
                    plot,
                    t.Path.Index().Select(p => (double)p.Index),
                    t.Path.Select(w => Math.Clamp(w[0], -60, 60)),
                    t.Color,
                    t.Path[1][0] < -14 ? $"{t.Name}: to {Number.Short(t.Path[1][0], 5)} at once" : t.Name
                );
            plot.Add.HorizontalLine(0, 1.5f, Colors.Black, LinePattern.Dashed).ExcludeFromLegend = true;
            plot.Axes.SetLimits(0, Steps, -14, 20);
            Figure.Legend(plot);
            return plot;
        }
        return new("D1-plateau", Of("-log p: a slope of 1 on the plateau", plateau), Of("(p - y)²: no slope on the plateau", flat));
    }
}
