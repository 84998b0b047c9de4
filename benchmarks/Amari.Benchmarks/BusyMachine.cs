using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Amari.Benchmarks.Faults;
using Amari.Native;
using Amari.Optimizers;
using Amari.Training;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>A training step alone and beside busy processes.</summary>
/// <param name="Workload">What is trained.</param>
/// <param name="Optimizer">Its name.</param>
/// <param name="Alone">Milliseconds of a step, the mean of a sample; the median of the rounds.</param>
/// <param name="Busy">The same beside the busy processes.</param>
/// <param name="Slowdown">The quotient of two samples that follow each other; the median of the rounds.</param>
/// <param name="LeastSlowdown">The lowest of these quotients.</param>
/// <param name="MostSlowdown">The highest.</param>
/// <param name="Share">Beside the busy processes, the share of the time in which threads ran of that in which they were ready to.</param>
/// <param name="LongestStep">Milliseconds of the longest step beside the busy processes, in all rounds.</param>
internal sealed record BusyCase(
    string Workload,
    string Optimizer,
    double Alone,
    double Busy,
    double Slowdown,
    double LeastSlowdown,
    double MostSlowdown,
    double Share,
    double LongestStep
);

/// <summary>What a step loses where other processes want the processors: as many processes as there are threads compute all the time, or
/// are stopped, in turns.</summary>
/// <remarks>The samples contain the time until waiting threads learn to sleep.</remarks>
internal static class BusyMachine
{
    /// <summary>The argument that makes this program a busy process; the process that it ends with follows.</summary>
    public const string Neighbour = "busy-neighbour";

    private const int Stop = 19, // signals of Linux
        Continue = 18,
        WarmUp = 30;
    private const double Seconds = 2; // of a sample, at least
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    /// <summary>Measures all, prints the table, and writes the file if one is named.</summary>
    public static void Run(int rounds, OutputTarget? target)
    {
        int threads = get_num_threads();
        string[] line = [typeof(BusyMachine).Assembly.Location, Neighbour, Environment.ProcessId.ToString(CultureInfo.InvariantCulture)];
        Tool[] neighbours = [.. Enumerable.Range(0, threads).Select(_ => Tool.StartProgram("dotnet", line))];
        try
        {
            Thread.Sleep(TimeSpan.FromSeconds(1)); // they start
            Signal(Stop);
            List<BusyCase> cases = [];
            Console.WriteLine(
                $"{threads} threads beside {neighbours.Length} busy processes; ms of a step, means of {Seconds:F0} s, {rounds} rounds"
            );
            foreach (
                var (workload, optimizer) in ((string, string)[])
                    [
                        ("digits-mlp", "adamw"),
                        ("digits-mlp", "kfac"),
                        ("fashion-conv", "adamw"),
                        ("autoencoder", "adamw"),
                        ("autoencoder", "kfac"),
                    ]
            )
            {
                var c = Measure(WorkloadCatalog.Find(workload, null), optimizer, rounds, Signal);
                cases.Add(c);
                Console.WriteLine(
                    FormattableString.Invariant($"{c.Workload, -12} {c.Optimizer, -6} alone {c.Alone, 8:F2}, busy {c.Busy, 8:F2}: ")
                        + FormattableString.Invariant($"{c.Slowdown:F2} times ({c.LeastSlowdown:F2}..{c.MostSlowdown:F2}) ")
                        + FormattableString.Invariant(
                            $"running {c.Share:P0} of the time that it was ready; longest step {c.LongestStep:F0}"
                        )
                );
            }
            target?.Write(
                JsonSerializer.Serialize(
                    new
                    {
                        threads,
                        neighbours = neighbours.Length,
                        cases,
                    },
                    Json
                )
            );
        }
        finally
        {
            Signal(Continue); // a stopped process does not end
            foreach (var n in neighbours)
                n.Dispose();
        }

        void Signal(int number)
        {
            foreach (var n in neighbours)
                Tool.Signal(n.Id, number);
        }
    }

    /// <summary>Is busy until a process has ended.</summary>
    public static int BeNeighbour(int process)
    {
        using var other = Process.GetProcessById(process);
        for (var watch = Stopwatch.StartNew(); !other.HasExited; watch.Restart())
            while (watch.ElapsedMilliseconds < 100)
                Thread.SpinWait(1000);
        return 0;
    }

    private static BusyCase Measure(Workload workload, string name, int rounds, Action<int> signal)
    {
        using var trainer = new Trainer(workload, null);
        using var model = workload.CreateModel();
        using Optimizer optimizer =
            name == "kfac"
                ? new Kfac(model, new() { LearningRate = 1e-6 }, workload.Likelihood)
                : new AdamW(model, new() { LearningRate = 1e-6 });
        using var scope = NewDisposeScope();
        var rows = randint(trainer.Data.Train.Count, [workload.BatchSize], dtype: ScalarType.Int64);
        var (x, y) = (trainer.Data.Train.Inputs.index_select(0, rows), trainer.Data.Train.Targets.index_select(0, rows));
        for (int i = 0; i < WarmUp; i++)
            Step();
        List<(double Alone, double Busy, double Share)> samples = [];
        double longest = 0;
        for (int round = 0; round < rounds; round++)
        {
            var alone = Sample();
            signal(Continue);
            var busy = Sample();
            signal(Stop);
            Thread.Sleep(TimeSpan.FromSeconds(1)); // threads learn that the processors are free again
            samples.Add((alone.Mean, busy.Mean, busy.Share));
            longest = Math.Max(longest, busy.Longest);
        }
        return new(
            workload.Name,
            name,
            Measurements.Median(samples.Select(s => s.Alone)),
            Measurements.Median(samples.Select(s => s.Busy)),
            Measurements.Median(samples.Select(s => s.Busy / s.Alone)),
            samples.Min(s => s.Busy / s.Alone),
            samples.Max(s => s.Busy / s.Alone),
            Measurements.Median(samples.Select(s => s.Share)),
            longest
        );

        (double Mean, double Longest, double Share) Sample()
        {
            var (steps, most) = (0, 0.0);
            var before = CpuTime.Sum();
            var watch = Stopwatch.StartNew();
            for (double last = 0; last < Seconds; steps++)
            {
                Step();
                double now = watch.Elapsed.TotalSeconds;
                (most, last) = (Math.Max(most, now - last), now);
            }
            var after = CpuTime.Sum();
            double ran = after?.Ran - before?.Ran ?? double.NaN,
                waited = after?.Waited - before?.Waited ?? double.NaN;
            return (1e3 * watch.Elapsed.TotalSeconds / steps, 1e3 * most, ran / (ran + waited));
        }

        void Step()
        {
            using var inner = NewDisposeScope();
            optimizer.zero_grad();
            workload.Likelihood.Loss(model.call(x), y).backward();
            optimizer.step();
        }
    }
}
