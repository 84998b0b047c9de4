using System.Text.Json.Nodes;
using Amari.Native;
using Amari.Reporting;
using Amari.Training;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>E3: the update of AdamW and Lion for a weight with gradient g, momentum m and second moment v.</summary>
/// <remarks>The library's optimizers make the steps, from states whose moments after the update are the lecture's: g = 0.01, m = 0.5, √v =
/// 0.1, β₁ = 0.9, η = 0.1, and a negligible bias correction.</remarks>
internal sealed class E3Scaling() : LectureItem("E3", "Update size: AdamW against Lion")
{
    private const double Gradient = 0.01,
        Momentum = 0.5,
        RootV = 0.1,
        Rate = 0.1;
    private const long LongPast = 1_000_000;

    public override LectureResult Run(int seed)
    {
        double adamW = AdamWStep([Momentum], RootV)[0],
            lion = LionStep([Momentum])[0];
        double[] scales = [1e-6, 1e-3, 1, 1e3, 1e6];
        double[] m = [Momentum];
        double[] scaledLion = [.. scales.Select(c => LionStep(m, c)[0])];
        var table = new LectureTable("optimizer", "g, m times", "sqrt(v)", "step");
        table.Add("AdamW", 1, RootV, adamW);
        foreach (double v in (double[])[0.05, 0.2, 0.5])
            table.Add("AdamW", 1, v, AdamWStep(m, v)[0]);
        foreach (var (c, step) in scales.Zip(scaledLion))
            table.Add("Lion", c, "-", step);
        Check[] checks =
        [
            Check.Near("AdamW moves 0.1 x 0.5 / 0.1", adamW, 0.5),
            Check.Near("Lion moves its learning rate", lion, 0.1),
            Check.Near("Lion's c = sign(0.9 m + 0.1 g), argument", 0.9 * Momentum + 0.1 * Gradient, 0.451),
            Check.Near("Lion's step when g and m are scaled by 1e-6 .. 1e6 (spread)", scaledLion.Max() - scaledLion.Min(), 0),
            Check.Near("the largest change of a Lion path of 50 steps when every gradient is scaled", PathChange(seed), 0),
        ];
        return new(
            [table],
            checks,
            [Draw()],
            "AdamW's step is the ratio of momentum to root second moment times the learning rate. Lion's step is the learning rate, "
                + "for any size of the gradients."
        );
    }

    /// <summary>The step of AdamW when its moments become m and v.</summary>
    private static double[] AdamWStep(double[] m, double rootV)
    {
        var options = new AdamW.Options { LearningRate = Rate, WeightDecay = 0 };
        double v = rootV * rootV;
        return Step(
            w => new AdamW([ParameterGroup.Of([w], options)]),
            new()
            {
                ["0.FirstMoment"] = tensor(m, dtype: ScalarType.Float64).sub(Gradient * (1 - options.Beta1)).div(options.Beta1),
                ["0.SecondMoment"] = full(
                    m.Length,
                    (v - (1 - options.Beta2) * Gradient * Gradient) / options.Beta2,
                    dtype: ScalarType.Float64
                ),
            },
            Gradient,
            m.Length
        );
    }

    /// <summary>The step of Lion from the momentum m, with everything scaled by c.</summary>
    private static double[] LionStep(double[] m, double c = 1) =>
        Step(
            w => new Lion([ParameterGroup.Of([w], new Lion.Options { LearningRate = Rate })]),
            new() { ["0.Momentum"] = tensor(m, dtype: ScalarType.Float64) * c },
            Gradient * c,
            m.Length
        );

    private static double[] Step(Func<Parameter, Optimizer> create, Dictionary<string, Tensor> state, double gradient, int count)
    {
        using var w = new Parameter(zeros(count, dtype: ScalarType.Float64));
        using var optimizer = create(w);
        var values = optimizer.Snapshot().Values;
        values["steps"] = new JsonObject { ["0"] = LongPast };
        optimizer.Restore(new(state, values));
        w.grad = full(count, gradient, dtype: ScalarType.Float64);
        optimizer.step();
        return (-w).Elements<double>();
    }

    private static double PathChange(int seed)
    {
        double[][] ends =
        [
            .. ((double[])[1, 1e-5, 1e5]).Select(scale =>
            {
                using var generator = new Generator((ulong)seed, CPU);
                using var w = new Parameter(zeros(100, dtype: ScalarType.Float64));
                using var lion = new Lion([ParameterGroup.Of([w], new Lion.Options { LearningRate = Rate, WeightDecay = 0.1 })]);
                for (int i = 0; i < 50; i++)
                {
                    w.grad = randn(100, dtype: ScalarType.Float64, generator: generator) * scale;
                    lion.step();
                }
                return w.Elements<double>();
            }),
        ];
        return ends.Max(e => e.Zip(ends[0], (a, b) => Math.Abs(a - b)).Max());
    }

    private static Figure Draw()
    {
        double[] m = [.. Enumerable.Range(0, 401).Select(i => -1 + i / 200.0)];
        var plot = Figure.Panel("Step of one weight: learning rate 0.1, gradient 0.01", "momentum m", "step");
        foreach (var (rootV, pattern) in new[] { (0.05, LinePattern.Dotted), (0.1, LinePattern.Solid), (0.2, LinePattern.Dashed) })
            Figure.Line(
                plot,
                m,
                AdamWStep(m, rootV),
                Palette.Of("adamw"),
                FormattableString.Invariant($"AdamW, √v = {rootV}"),
                pattern: pattern
            );
        Figure.Line(plot, m, LionStep(m), Palette.Of("lion"), "Lion");
        Figure.Marks(plot, [0.5], [0.5], Palette.Of("adamw"), "the lecture: m = 0.5, AdamW 0.5", 13);
        Figure.Marks(plot, [0.5], [0.1], Palette.Of("lion"), "the lecture: m = 0.5, Lion 0.1", 13);
        plot.Axes.SetLimits(-1, 1, -1.05, 1.05);
        Figure.Legend(plot, corner: Alignment.UpperLeft);
        return new("E3-update-size", plot);
    }
}
