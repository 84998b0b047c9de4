using Amari.Curvature;
using Amari.Native;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads.Data;
using ScottPlot;

namespace Amari.Cli.Lecture;

/// <summary>M5: the effect of L2 under Adam on weights with large gradients, the effect of the gradient scale on Lion, and the size of the
/// state.</summary>
/// <remarks><code>
/// decay   weights at 1, gradients alternating ±s, η λ t = 1:  AdamW and Lion leave e⁻¹ of each,
///        Adam with L2 leaves exp(-1/s) if s is well above λ w, and moves small weights to 0 by η per step
/// scale   the digits with every gradient times 2ᵏ: powers of two do not round, so equal means bitwise equal
/// </code></remarks>
internal sealed class M5Adaptive() : LectureItem("M5", "Adam, AdamW and Lion: decay, gradient scale, state")
{
    private const double Rate = 2e-3,
        Decay = 0.5;
    private const int DecaySteps = 1000,
        Weights = 61,
        TrainSteps = 60;
    private static readonly string[] Names = ["sgd", "adam", "adamw", "lion"];
    private static readonly string[] Trainable = ["sgd", "adamw", "lion"]; // without decay Adam is AdamW
    private static readonly int[] Powers = [-24, -18, -12, -6, -2, 0, 2, 6, 24];

    public override LectureResult Run(int seed)
    {
        double[] sizes = [.. Enumerable.Range(0, Weights).Select(i => Math.Pow(10, -3 + i / 12.0))]; // 1e-3 .. 1e2
        var left = Names.ToDictionary(n => n, n => Remaining(n, sizes));
        var trained = Trainable.ToDictionary(n => n, n => Powers.Select(k => Trained(n, seed, k)).ToList());
        int At(double s) => Array.FindIndex(sizes, v => Math.Abs(v / s - 1) < 1e-9);
        int Power(int k) => Array.IndexOf(Powers, k);

        static string Twin(string name) => name == "adam" ? "adamw" : name;

        var table = new LectureTable(["", .. Names.Select(Label)]);
        foreach (double s in (double[])[0.01, 1, 10, 100])
            table.Add([$"remaining weight, gradients {Number.Short(s)}", .. Names.Select(n => (object)left[n][At(s)])]);
        foreach (int k in (int[])[-24, 0, 24])
            table.Add([$"loss after {TrainSteps} steps, gradients x 2^{k}", .. Names.Select(n => (object)trained[Twin(n)][Power(k)].Loss)]);
        table.Add(["bytes of state per parameter", .. Names.Select(n => (object)trained[Twin(n)][0].StateBytes)]);

        var quarters = new LectureTable("digits, weights of the first layer by size of gradient", "Adam (L2)", "AdamW");
        double[] l2 = Quarters("adam", seed),
            decoupled = Quarters("adamw", seed);
        foreach (var (i, name) in ((string[])["smallest quarter", "second", "third", "largest quarter"]).Index())
            quarters.Add($"remaining norm, {name}", l2[i], decoupled[i]);

        double alike = Math.Pow(1 - Rate * Decay, DecaySteps);
        double Spread(string name) => left[name].Max(w => Math.Abs(w - alike));
        double Change(string name, int k) => (trained[name][Power(k)].Weights - trained[name][Power(0)].Weights).abs().max().ToDouble();
        Check[] checks =
        [
            Check.Near("AdamW leaves (1 - lr decay)^t of every weight (largest difference)", Spread("adamw"), 0, 2e-3),
            Check.Near("Lion leaves the same (largest difference)", Spread("lion"), 0, 2e-3),
            Check.Near("L2 under Adam leaves exp(-1/s), gradients of size s = 10", left["adam"][At(10)], Math.Exp(-0.1), 5e-3),
            Check.Near("L2 under Adam leaves exp(-1/s), gradients of size s = 100", left["adam"][At(100)], Math.Exp(-0.01), 5e-3),
            Check.AtMost(
                "L2 under Adam leaves almost nothing of a weight with gradients of size 0.01",
                Math.Abs(left["adam"][At(0.01)]),
                0.05
            ),
            .. Powers.Select(k => Check.Near($"largest change of a weight under Lion, gradients x 2^{k}", Change("lion", k), 0, 0)),
            Check.AtLeast("largest change of a weight under SGD, gradients x 2^-6", Change("sgd", -6), 1e-3),
            Check.AtLeast("largest change of a weight under AdamW, gradients x 2^-24 (epsilon has an effect)", Change("adamw", -24), 1e-3),
            Check.AtLeast(
                "digits, L2 under Adam: remaining norm of the weights with the largest gradients over that with the smallest",
                l2[^1] / l2[0],
                1.5
            ),
            Check.Near("digits, AdamW: the same", decoupled[^1] / decoupled[0], 1, 0.25),
            Check.Near("bytes of state per parameter, AdamW", trained["adamw"][0].StateBytes, 8, 0),
            Check.Near("bytes of state per parameter, Lion", trained["lion"][0].StateBytes, 4, 0),
        ];
        return new(
            [table, quarters],
            checks,
            [Draw(sizes, left, l2, decoupled, trained)],
            "L2 under Adam spares the weights with large gradients; decoupled decay shrinks all weights equally. Lion's path is bitwise "
                + "equal for any scale of the gradients, with half of Adam's state."
        );
    }

    private static string Label(string name) =>
        name switch
        {
            "sgd" => "SGD (L2)",
            "adam" => "Adam (L2)",
            "adamw" => "AdamW",
            _ => "Lion",
        };

    private static Optimizer Create(string name, ParameterGroup<Sgd.Options> p, double rate, double decay) =>
        name switch
        {
            "sgd" => new Sgd([
                new(
                    p.Parameters,
                    new()
                    {
                        LearningRate = rate,
                        Momentum = 0,
                        WeightDecay = decay,
                    }
                ),
            ]),
            "adam" => new Adam([new(p.Parameters, new() { LearningRate = rate, WeightDecay = decay })]),
            "adamw" => new AdamW([new(p.Parameters, new() { LearningRate = rate, WeightDecay = decay })]),
            _ => new Lion([new(p.Parameters, new() { LearningRate = rate, WeightDecay = decay })]),
        };

    /// <summary>The remaining part of weights of 1 with gradients that alternate between +s and -s; the mean of the last two
    /// steps.</summary>
    private static double[] Remaining(string name, double[] sizes)
    {
        using var scope = NewDisposeScope();
        using var w = new Parameter(ones(sizes.Length, dtype: ScalarType.Float64));
        using var optimizer = Create(name, ParameterGroup.Of([w], new Sgd.Options()), Rate, Decay);
        Tensor plus = tensor(sizes),
            minus = -plus,
            before = plus;
        for (int i = 0; i < DecaySteps; i++)
        {
            if (i == DecaySteps - 1)
                before = w.detach().clone();
            w.grad = i % 2 == 0 ? plus : minus;
            optimizer.step();
        }
        return ((before + w.detach()) / 2).Elements<double>();
    }

    /// <summary>The digits' loss, weights and bytes of state after a short training with gradients times 2ᵏ.</summary>
    private static (double Loss, Tensor Weights, double StateBytes) Trained(string name, int seed, int k)
    {
        manual_seed(seed);
        using var network = new DigitsNetwork(ScalarType.Float32, 1408, 64, 128, 64, 10);
        using var optimizer = Create(
            name,
            ParameterGroup.Of(network.Model, new Sgd.Options()),
            name switch
            {
                "sgd" => 0.1,
                "lion" => 1e-3,
                _ => 3e-3,
            },
            0
        );
        network.Train(optimizer, TrainSteps, 128, Math.Pow(2, k));
        return (
            network.Objective.Loss(),
            network.Objective.Parameters.Read(),
            (double)optimizer.StateBytes / network.Objective.Parameters.Dimension
        );
    }

    /// <summary>The norm of the first layer's weights with decay relative to that without, by quarters of the size of their
    /// gradients.</summary>
    private static double[] Quarters(string name, int seed)
    {
        (Tensor Weights, Tensor Size) Of(double decay)
        {
            manual_seed(seed);
            using var network = new DigitsNetwork(ScalarType.Float32, 1408, 64, 32, 10);
            using var optimizer = Create(name, ParameterGroup.Of(network.Model, new Sgd.Options()), 3e-3, decay);
            network.Train(optimizer, 200, 128);
            return (
                network.Model.parameters().First().detach().reshape(-1).clone(),
                optimizer.Snapshot().Tensors["fc1.weight.SecondMoment"].reshape(-1).clone()
            );
        }

        var (free, size) = Of(0);
        var decayed = Of(name == "adam" ? 3e-3 : 1).Weights;
        var order = size.argsort();
        return
        [
            .. Enumerable
                .Range(0, 4)
                .Select(i =>
                {
                    var quarter = order.narrow(0, i * order.shape[0] / 4, order.shape[0] / 4);
                    return (decayed.index_select(0, quarter).norm() / free.index_select(0, quarter).norm()).ToDouble();
                }),
        ];
    }

    private static Figure Draw(
        double[] sizes,
        Dictionary<string, double[]> left,
        double[] l2,
        double[] decoupled,
        Dictionary<string, List<(double Loss, Tensor, double)>> trained
    )
    {
        var decay = Figure.Panel("Weight remaining after weight decay", "size of the weight's gradients (log scale)", "remaining weight");
        foreach (string name in (string[])["adam", "adamw", "lion"])
            Figure.Line(
                decay,
                sizes.Select(Math.Log10),
                left[name],
                Palette.Of(name),
                Label(name),
                pattern: name == "lion" ? LinePattern.Dashed : null
            );
        Figure.Logarithmic(decay.Axes.Bottom, 1e-3, 1e2);
        decay.Axes.SetLimitsY(-0.05, 1.05);
        Figure.Legend(decay, corner: Alignment.UpperLeft);

        var quarters = Figure.Panel(
            "The same on the digits, first layer",
            "quarter of the weights, by size of their gradients",
            "remaining norm relative to a run without decay"
        );
        double[] rank = [1, 2, 3, 4];
        Figure.Line(quarters, rank, l2, Palette.Of("adam"), Label("adam")).MarkerSize = 10;
        Figure.Line(quarters, rank, decoupled, Palette.Of("adamw"), Label("adamw")).MarkerSize = 10;
        quarters.Axes.Bottom.TickGenerator = new ScottPlot.TickGenerators.NumericManual(rank, ["smallest", "second", "third", "largest"]);
        quarters.Axes.SetLimits(0.7, 4.3, 0, 1.05);
        Figure.Legend(quarters, corner: Alignment.LowerRight);

        var scale = Figure.Panel(
            $"Digits, {TrainSteps} steps, gradients scaled",
            "every gradient is multiplied by 2 to this power",
            "training loss"
        );
        foreach (string name in Trainable)
        {
            var points = Powers.Zip(trained[name], (k, t) => (X: (double)k, Y: t.Loss)).Where(p => p.Y < 5).ToList();
            Figure
                .Line(
                    scale,
                    points.Select(p => p.X),
                    points.Select(p => p.Y),
                    Palette.Of(name),
                    name == "sgd" ? "SGD (diverges from 2⁶ on)" : Label(name)
                )
                .MarkerSize = 8;
        }
        scale.Axes.SetLimits(-26, 26, 0, 2.6);
        Figure.Legend(scale);
        return new("M5-adaptive", decay, quarters, scale) { Size = (2100, 620) };
    }
}
