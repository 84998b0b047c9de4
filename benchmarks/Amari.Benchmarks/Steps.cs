using System.Diagnostics;
using System.Globalization;
using System.Runtime.Intrinsics;
using System.Text.Json;
using Amari.Cli.Commands;
using Amari.Optimizers;
using Amari.Training;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>One optimizer's medians, in milliseconds.</summary>
/// <param name="Name">In the catalog, or another setting of it.</param>
/// <param name="Step">The optimizer's own work of a step: <c>Observe</c> and <c>step</c>, refreshes shared out over the steps between
/// them.</param>
/// <param name="Total">With the forward and the backward pass; K-FAC's capture is in them.</param>
/// <param name="Peer">Whose figure <paramref name="PeerStep"/> is; null for none.</param>
/// <param name="PeerStep">Of the peer's optimizer on another machine of two cores (see <see cref="Steps.PeerProduct"/>), as
/// reported.</param>
/// <param name="PeerHere">The same in milliseconds here, by the ratio of the two machines' products: from the least to the most that was
/// reported, one number where that is open.</param>
/// <param name="Against">Ours beside it: below, within or above. K-FAC's is <paramref name="Total"/>, for its capture is in the
/// passes.</param>
internal sealed record StepCase(
    string Name,
    double Step,
    double Total,
    string? Peer,
    string? PeerStep,
    double[]? PeerHere,
    string? Against
);

/// <summary>Measures a training step of optimizers that take gradients, on the autoencoder at batch 512: in one process, in turns, medians.
/// A sample is as many steps as the longest interval of the optimizer. Products tell how fast matrix methods are on a machine; steps of
/// AdamW and Lion go by the speed of memory.</summary>
internal static class Steps
{
    private const int LeastCycle = 10; // steps of a sample where nothing has an interval

    /// <summary>A float32 product of 1,024 x 1,024 in milliseconds where the peers were measured: PyTorch 2.6, two cores of an AMD Zen
    /// 5.</summary>
    public const double PeerProduct = 14.1;

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    /// <summary>What is known of another's optimizer.</summary>
    /// <param name="Name">Whose.</param>
    /// <param name="Least">Milliseconds of its step.</param>
    /// <param name="Most">The most; null where only the least is known.</param>
    private sealed record Peer(string Name, double Least, double? Most)
    {
        public override string ToString() =>
            string.Create(CultureInfo.InvariantCulture, $"{Least}{(Most is null ? " or more" : Most == Least ? "" : $"-{Most}")}");
    }

    private static readonly Dictionary<string, Peer> Peers = new()
    {
        ["adamw"] = new("PyTorch, fused", 1.8, 1.8),
        ["lion"] = new("pytorch_optimizer", 2.0, 2.0),
        ["muon"] = new("Muon, bfloat16", 100, 210),
        ["soap"] = new("SOAP", 250, 250),
        ["shampoo"] = new("Distributed Shampoo", 320, null),
        ["kfac"] = new("SINGD", 217, 217),
    };

    private sealed record Subject(string Name, nn.Module<Tensor, Tensor> Model, Optimizer Optimizer, int Cycle)
    {
        public List<double> Step { get; } = [];
        public List<double> Total { get; } = [];
    }

    /// <summary>Measures all, prints the table, and writes the file if one is named.</summary>
    public static void Run(IReadOnlyList<OptimizerEntry> optimizers, int rounds, OutputTarget? target)
    {
        var workload = new Autoencoder();
        manual_seed(0);
        using var x = rand(workload.BatchSize, 784);
        // Processors without AVX-512 have no products of bfloat16: a step of Muon in it would take many seconds.
        List<Subject> subjects =
        [
            .. optimizers.Where(e => !e.EvaluatesLoss).Select(e => Make(e.Name, e)),
            .. optimizers
                .Where(e => e.Name == "muon" && Vector512.IsHardwareAccelerated)
                .Select(e => Make("muon, bfloat16", e, KeyValuePair.Create("Precision", "BFloat16"))),
        ];
        List<double> products = [];
        for (int round = -1; round < rounds; round++)
        {
            double product = Product(); // in every round: the machine may be slower in one than in another
            if (round >= 0)
                products.Add(product);
            foreach (var s in subjects)
            {
                var (step, total) = Sample(s, workload.Likelihood, x);
                if (round < 0)
                    continue;
                s.Step.Add(step);
                s.Total.Add(total);
            }
        }
        double here = Measurements.Median(products),
            ratio = here / PeerProduct;
        Console.WriteLine(
            string.Create(
                CultureInfo.InvariantCulture,
                $"{get_num_threads()} threads, medians of {rounds} samples, ms; a product of 1,024 x 1,024 takes {here:F1} here, "
                    + $"{PeerProduct} where the peers were measured"
            )
        );
        Console.WriteLine($"{"optimizer", -20} {"step", 8} {"total", 8}  a peer's step there, scaled to here, and ours");
        List<StepCase> cases = [];
        foreach (var s in subjects)
        {
            var c = Case(s.Name, Measurements.Median(s.Step), Measurements.Median(s.Total), ratio);
            cases.Add(c);
            string beside = c.PeerHere is { } p
                ? $"{c.PeerStep} ({c.Peer}), {string.Join('-', p.Select(v => v.ToString("F1", CultureInfo.InvariantCulture)))}: {c.Against}"
                : "";
            Console.WriteLine(FormattableString.Invariant($"{c.Name, -20} {c.Step, 8:F2} {c.Total, 8:F1}  {beside}"));
            s.Optimizer.Dispose();
            s.Model.Dispose();
        }
        target?.Write(
            JsonSerializer.Serialize(
                new
                {
                    threads = get_num_threads(),
                    product = here,
                    peerProduct = PeerProduct,
                    cases,
                },
                Json
            )
        );

        Subject Make(string name, OptimizerEntry entry, params KeyValuePair<string, string>[] settings)
        {
            var model = workload.CreateModel();
            var options = Settings.Apply(
                entry.OptionsType,
                [.. entry.Preset ?? [], .. settings, KeyValuePair.Create("LearningRate", "1e-6")]
            );
            return new(
                name,
                model,
                entry.Create(model, options, workload.Likelihood),
                Planner.Intervals(options).Select(i => i.Steps).DefaultIfEmpty(LeastCycle).Max()
            );
        }
    }

    private static StepCase Case(string name, double step, double total, double ratio)
    {
        if (!Peers.TryGetValue(name, out var peer))
            return new(name, step, total, null, null, null, null);
        double own = name == "kfac" ? total : step,
            least = ratio * peer.Least;
        double? most = ratio * peer.Most;
        return new(
            name,
            step,
            total,
            peer.Name,
            peer.ToString(),
            most is { } m && m > least ? [least, m] : [least],
            own < least ? "below"
                : most is null || own <= most ? "within"
                : "above"
        );
    }

    private static (double Step, double Total) Sample(Subject s, Likelihood likelihood, Tensor x)
    {
        double step = 0;
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < s.Cycle; i++)
        {
            using var scope = NewDisposeScope();
            step += Milliseconds(() => s.Optimizer.UpdateCurvature(x, x));
            s.Optimizer.zero_grad();
            likelihood.Loss(s.Model.call(x), x).backward();
            step += Milliseconds(() => s.Optimizer.step());
        }
        return (step / s.Cycle, Stopwatch.GetElapsedTime(start).TotalMilliseconds / s.Cycle);
    }

    private static double Product()
    {
        using var scope = NewDisposeScope();
        var a = randn(1024, 1024);
        List<double> times = [.. Enumerable.Range(0, 21).Select(_ => Milliseconds(() => a.mm(a).Dispose()))];
        return Measurements.Median(times);
    }

    private static double Milliseconds(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }
}
