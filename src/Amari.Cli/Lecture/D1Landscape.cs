using Amari.Distributed;
using Amari.Reporting;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>The path of a method, with one or several weights.</summary>
internal sealed record Trace(string Name, string Color, List<double[]> Path);

/// <summary>p(y = 1 | x) = σ(w₂ tanh(w₁ x)): two minima, a saddle between them, and plateaus where tanh saturates.</summary>
internal sealed class D1Landscape
{
    /// <summary>The name of the natural gradient with steps of a fixed KL divergence.</summary>
    public const string TrustRegion = "natural gradient, KL";

    private const int Steps = 100,
        Examples = 300,
        Grid = 81;
    private const double Offset = 1e-3; // the logarithm is finite at the minima
    private static readonly Likelihood Likelihood = new Bernoulli();
    private static readonly (double Low, double High) X = (-3, 5),
        Y = (-4.5, 4.5);
    private static readonly double[] Best = [1.2, 2.5],
        Begin = [3, -1.5];
    private readonly Tensor _x = linspace(-2.5, 2.5, Examples, dtype: ScalarType.Float64).unsqueeze(1);
    private readonly Tensor _y;
    private readonly double _minimum;

    public D1Landscape()
    {
        _y = Output(tensor(Best), _x).sigmoid(); // soft targets: the minimum is known
        _minimum = Loss(tensor(Best));
        Traces =
        [
            First("gradient descent", "sgd", m => new Sgd(m, new() { LearningRate = 0.5, Momentum = 0 })),
            Second("Newton", "newton", m => new Newton(m, Likelihood, new() { Damping = 1e-6 })),
            Second(TrustRegion, "kfac", m => new NaturalGradient(m, Likelihood, new() { KlRadius = 4e-3, Damping = 1e-2 })),
            First("Adam", "adam", m => new Adam(m, new() { LearningRate = 0.1 })),
            First("AdamW", "adamw", m => new AdamW(m, new() { LearningRate = 0.1, WeightDecay = 0.1 })),
            First("Lion", "lion", m => new Lion(m, new() { LearningRate = 0.05 })),
        ];
    }

    public List<Trace> Traces { get; }

    /// <summary>The distance of a path's end from the saddle at 0.</summary>
    public static double FromSaddle(Trace trace) => Math.Max(Math.Abs(trace.Path[^1][0]), Math.Abs(trace.Path[^1][1]));

    public double Excess(Trace trace) => Loss(tensor(trace.Path[^1])) - _minimum;

    private static Tensor Output(Tensor w, Tensor x) => w[1] * (w[0] * x).tanh();

    private double Loss(Tensor w) => Likelihood.Loss(Output(w, _x), _y).ToDouble();

    private static Coordinates Two() => new(tensor(Begin), w => w + 0, Output);

    private Trace First(string name, string color, Func<nn.Module, Optimizer> create)
    {
        using var model = Two();
        using var optimizer = create(model);
        return new(name, Palette.Of(color), model.Descend(optimizer, Likelihood, _x, _y, Steps));
    }

    private Trace Second(string name, string color, Func<Coordinates, SecondOrderOptimizer> create)
    {
        using var model = Two();
        using var optimizer = create(model);
        var group = optimizer.ParamGroups.Single();
        double rate = group.LearningRate;
        int step = 0;
        return new(
            name,
            Palette.Of(color),
            model.Descend(
                optimizer,
                _x,
                _y,
                Steps,
                (_, _) =>
                {
                    if (name == TrustRegion)
                        group.LearningRate = rate * (1 - (double)++step / Steps); // a constant rate would circle the minimum
                }
            )
        );
    }

    public Figure Draw()
    {
        Tensor w1 = linspace(X.Low, X.High, Grid, dtype: ScalarType.Float64).view(1, Grid, 1),
            w2 = linspace(Y.Low, Y.High, Grid, dtype: ScalarType.Float64).view(Grid, 1, 1);
        Tensor x = _x.view(1, 1, Examples),
            y = _y.view(1, 1, Examples);
        var loss = nn
            .functional.binary_cross_entropy_with_logits(w2 * (w1 * x).tanh(), y.expand(Grid, Grid, Examples), reduction: nn.Reduction.None)
            .mean([2]);
        var plot = Figure.Panel("100 steps on the landscape of σ(w₂ tanh(w₁ x))", "w₁", "w₂");
        Figure.Surface(plot, Figure.Array((loss - _minimum + Offset).log10()), X, Y, $"loss above the minimum + {Offset}");
        foreach (var t in Traces)
        {
            var line = Figure.Line(plot, t.Path.Select(w => w[0]), t.Path.Select(w => w[1]), t.Color, t.Name);
            line.MarkerSize = 5;
        }
        Figure.Marks(plot, [Begin[0]], [Begin[1]], "#000000", "start", 14);
        Figure.Marks(plot, [0], [0], "#D50000", "saddle", 13);
        Figure.OutlinedMarks(plot, [Best[0], -Best[0]], [Best[1], -Best[1]], "minima");
        Figure.Legend(plot, Edge.Right);
        plot.Axes.SetLimits(X.Low, X.High, Y.Low, Y.High);
        return new("D1-landscape", plot);
    }
}
