using System.Diagnostics;
using System.Runtime.Intrinsics;
using System.Text.Json;
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
/// <param name="LeastStep">The least of the samples.</param>
/// <param name="MostStep">The most.</param>
/// <param name="Total">With the forward and the backward pass; K-FAC's capture is in them.</param>
internal sealed record StepCase(string Name, double Step, double LeastStep, double MostStep, double Total);

/// <summary>Measures a training step of optimizers that take gradients, on the autoencoder at batch 512: in one process, in turns, medians.
/// A sample is as many steps as the longest interval of the optimizer. Products say how fast matrix methods are on a machine; steps of
/// AdamW and Lion go by the speed of memory.</summary>
internal static class Steps
{
    private const int LeastCycle = 10; // steps of a sample where nothing has an interval

    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

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
            double time = Product(); // in every round: the machine may be slower in one than in another
            if (round >= 0)
                products.Add(time);
            foreach (var s in subjects)
            {
                var (step, total) = Sample(s, workload.Likelihood, x);
                if (round < 0)
                    continue;
                s.Step.Add(step);
                s.Total.Add(total);
            }
        }
        double product = Measurements.Median(products);
        Console.WriteLine(
            FormattableString.Invariant(
                $"{get_num_threads()} threads, medians of {rounds} samples, ms; a product of 1,024 x 1,024 takes {product:F1}"
            )
        );
        Console.WriteLine($"{"optimizer", -20} {"step", 8} {"least", 8} {"most", 8} {"total", 8}");
        List<StepCase> cases = [];
        foreach (var s in subjects)
        {
            var c = new StepCase(s.Name, Measurements.Median(s.Step), s.Step.Min(), s.Step.Max(), Measurements.Median(s.Total));
            cases.Add(c);
            Console.WriteLine(
                FormattableString.Invariant($"{c.Name, -20} {c.Step, 8:F2} {c.LeastStep, 8:F2} {c.MostStep, 8:F2} {c.Total, 8:F1}")
            );
            s.Optimizer.Dispose();
            s.Model.Dispose();
        }
        target?.Write(
            JsonSerializer.Serialize(
                new
                {
                    threads = get_num_threads(),
                    product,
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
