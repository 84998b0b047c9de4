using System.Diagnostics;
using System.Text.Json;
using Amari.Training;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>One optimizer's medians, in milliseconds.</summary>
/// <param name="Name">In the catalog, or another setting of it.</param>
/// <param name="Step">The optimizer's own work of a step: <c>Observe</c> and <c>step</c>, refreshes shared out over the steps between them.</param>
/// <param name="Total">With the forward and the backward pass; K-FAC's capture is in them.</param>
/// <param name="Peer">Whose figure <paramref name="PeerStep"/> is; null for none.</param>
/// <param name="PeerStep">Of the peer's optimizer on another machine of two cores (see <see cref="Steps.PeerProduct"/>), as it was told.</param>
internal sealed record StepCase(string Name, double Step, double Total, string? Peer, string? PeerStep);

/// <summary>Measures a training step of every optimizer of the catalog that takes gradients, on the autoencoder at batch 512: in one process, in turns, medians.</summary>
internal static class Steps
{
    private const int Cycle = 10;                               // steps of a sample: every default interval of a refresh
    /// <summary>A float32 product of 1,024 x 1,024 in milliseconds where the peers were measured: PyTorch 2.6, two cores of an AMD Zen 5.</summary>
    public const double PeerProduct = 14.1;

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    private static readonly Dictionary<string, (string Name, string Step)> Peers = new()
    {
        ["adamw"] = ("PyTorch, fused", "1.8"),
        ["lion"] = ("pytorch_optimizer", "2.0"),
        ["muon"] = ("Muon, bfloat16", "100-210"),
        ["soap"] = ("SOAP", "250"),
        ["shampoo"] = ("Distributed Shampoo", "320 or more"),
        ["kfac"] = ("SINGD", "217"),
    };

    private sealed record Subject(string Name, nn.Module<Tensor, Tensor> Model, Optimizer Optimizer)
    {
        public List<double> Step { get; } = [];
        public List<double> Total { get; } = [];
    }

    /// <summary>Measures all, prints the table, and writes the file if one is named.</summary>
    public static void Run(int rounds, string? file)
    {
        var workload = new Autoencoder();
        manual_seed(0);
        using var x = rand(workload.BatchSize, 784);
        List<Subject> subjects = [.. OptimizerCatalog.All.Where(e => !e.EvaluatesLoss).Select(e => Make(e.Name, e)),
            Make("muon, bfloat16", OptimizerCatalog.Find("muon"), KeyValuePair.Create("Precision", "BFloat16"))];
        double product = Product();
        Console.WriteLine(FormattableString.Invariant($"{get_num_threads()} threads, medians of {rounds} samples of {Cycle} steps, ms; a product of 1,024 x 1,024 takes {product:F1} here, {PeerProduct} where the peers were measured"));
        for (int round = -1; round < rounds; round++)
            foreach (var s in subjects)
            {
                var (step, total) = Sample(s, workload.Likelihood, x);
                if (round < 0) continue;
                s.Step.Add(step);
                s.Total.Add(total);
            }
        Console.WriteLine($"{"optimizer",-20} {"step",8} {"total",8}  peer's step");
        List<StepCase> cases = [];
        foreach (var s in subjects)
        {
            (string Name, string Step)? peer = Peers.TryGetValue(s.Name, out var p) ? p : null;
            var c = new StepCase(s.Name, Median(s.Step), Median(s.Total), peer?.Name, peer?.Step);
            cases.Add(c);
            Console.WriteLine(FormattableString.Invariant($"{c.Name,-20} {c.Step,8:F2} {c.Total,8:F1}  {(peer is null ? "" : $"{c.PeerStep} ({c.Peer})")}"));
            s.Optimizer.Dispose();
            s.Model.Dispose();
        }
        if (file is not null) File.WriteAllText(file, JsonSerializer.Serialize(new { threads = get_num_threads(), product, peerProduct = PeerProduct, cases }, Json));

        Subject Make(string name, OptimizerEntry entry, params KeyValuePair<string, string>[] settings)
        {
            var model = workload.CreateModel();
            return new(name, model, entry.Create(model, Settings.Apply(entry.OptionsType, [.. entry.Preset ?? [], .. settings, KeyValuePair.Create("LearningRate", "1e-6")]), workload.Likelihood));
        }
    }

    private static (double Step, double Total) Sample(Subject s, Likelihood likelihood, Tensor x)
    {
        double step = 0;
        long start = Stopwatch.GetTimestamp();
        for (int i = 0; i < Cycle; i++)
        {
            using var scope = NewDisposeScope();
            step += Milliseconds(() => s.Optimizer.Observe(x, x));
            s.Optimizer.zero_grad();
            likelihood.Loss(s.Model.call(x), x).backward();
            step += Milliseconds(() => s.Optimizer.step());
        }
        return (step / Cycle, Stopwatch.GetElapsedTime(start).TotalMilliseconds / Cycle);
    }

    private static double Product()
    {
        using var scope = NewDisposeScope();
        var a = randn(1024, 1024);
        List<double> times = [.. Enumerable.Range(0, 21).Select(_ => Milliseconds(() => a.mm(a).Dispose()))];
        return Median(times);
    }

    private static double Milliseconds(Action action)
    {
        long start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }
}
