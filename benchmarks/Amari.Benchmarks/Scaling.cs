using System.Diagnostics;
using System.Text.Json;
using Amari.Distributed;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>The median time of an all-reduce.</summary>
internal sealed record Message(long Bytes, double Milliseconds);

/// <summary>Training steps: medians.</summary>
/// <param name="Optimizer">Its name.</param>
/// <param name="BatchOfRank">Examples of a rank's part.</param>
/// <param name="Milliseconds">Of a step.</param>
/// <param name="ExamplesPerSecond">Of all ranks.</param>
/// <param name="CommunicationShare">Of the step, this rank's packing, sending and waiting for gradients.</param>
/// <param name="GradientBytes">Sent a step.</param>
internal sealed record Throughput(string Optimizer, long BatchOfRank, double Milliseconds, double ExamplesPerSecond, double CommunicationShare, long GradientBytes);

/// <summary>T = α + β bytes, fitted to messages by least squares of relative errors.</summary>
internal sealed record AlphaBeta(double AlphaMilliseconds, double BetaMillisecondsPerMegabyte)
{
    public static AlphaBeta Fit(IEnumerable<Message> messages)
    {
        double a11 = 0, a12 = 0, a22 = 0, b1 = 0, b2 = 0;
        foreach (var (bytes, t) in messages)
        {
            double u = 1 / t, v = bytes / 1e6 / t;               // u α + v β = 1
            (a11, a12, a22, b1, b2) = (a11 + u * u, a12 + u * v, a22 + v * v, b1 + u, b2 + v);
        }
        double det = a11 * a22 - a12 * a12;
        return new((b1 * a22 - b2 * a12) / det, (a11 * b2 - a12 * b1) / det);
    }

    public double Of(double bytes) => AlphaMilliseconds + BetaMillisecondsPerMegabyte * bytes / 1e6;
}

/// <summary>Messages and training steps on the ranks that an MPI launcher started, or on one process; run it with 1 and 2 ranks.</summary>
internal static class Scaling
{
    private const int GlobalBatch = 512;
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    public static void Run(int rounds, string? file)
    {
        set_num_threads(1);                                      // a rank has a core, alone or not
        using var world = Communicator.FromLauncher();
        List<Message> messages = [];
        if (world.Size > 1)
            for (long bytes = 64; bytes <= 16 << 20; bytes *= 4) messages.Add(new(bytes, AllReduce(world, bytes, rounds)));
        var fit = messages.Count > 0 ? AlphaBeta.Fit(messages) : null;
        List<Throughput> steps = [];
        foreach (string optimizer in (string[])["adamw", "kfac"])
            foreach (int batch in world.Size > 1 ? (int[])[GlobalBatch] : [GlobalBatch, GlobalBatch / 2, GlobalBatch / 4])
                steps.Add(Steps(world, optimizer, batch, rounds));
        if (world.Rank > 0) return;
        Console.WriteLine($"{world.Description}, one thread a rank, medians of {rounds}");
        foreach (var m in messages) Console.WriteLine(FormattableString.Invariant($"all-reduce {m.Bytes,10:N0} bytes {m.Milliseconds,9:F3} ms   fit {fit!.Of(m.Bytes),9:F3}"));
        if (fit is not null) Console.WriteLine(FormattableString.Invariant($"alpha {fit.AlphaMilliseconds:F4} ms, beta {fit.BetaMillisecondsPerMegabyte:F4} ms/MB"));
        foreach (var s in steps)
            Console.WriteLine(FormattableString.Invariant($"autoencoder {s.Optimizer,-6} part {s.BatchOfRank,4}: {s.Milliseconds,8:F1} ms a step, {s.ExamplesPerSecond,8:F0} examples/s, communication {s.CommunicationShare:P0}, {s.GradientBytes / 1e6:F1} MB"));
        if (file is not null) File.WriteAllText(file, JsonSerializer.Serialize(new { ranks = world.Size, messages, fit, steps }, Json));
    }

    private static double AllReduce(Communicator world, long bytes, int rounds)
    {
        using var t = zeros(bytes / sizeof(float));
        var times = new List<double>();
        for (int i = -3; i < rounds; i++)
        {
            world.Barrier();
            long start = Stopwatch.GetTimestamp();
            world.AllReduce(t);
            if (i >= 0) times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        return Median(times);
    }

    private static Throughput Steps(Communicator world, string name, int batch, int rounds)
    {
        using var scope = NewDisposeScope();
        manual_seed(0);
        var workload = new Autoencoder();
        using var model = workload.CreateModel();
        using Optimizer optimizer = name == "kfac" ? new Kfac(model, new() { FactorInterval = 5, InverseInterval = 10 }, workload.Likelihood) : new AdamW(model);
        optimizer.Distribute(world);
        using var parallel = new DataParallel(model, world);
        var rows = new ShardedBatches(batch, batch, 0, world.Rank, world.Size).Rows(0).Length;
        var x = rand(rows, 784);
        List<double> times = [], shares = [];
        for (int i = -3; i < rounds; i++)
        {
            using var inner = NewDisposeScope();
            world.Barrier();
            long start = Stopwatch.GetTimestamp();
            double sent = parallel.Seconds;
            optimizer.zero_grad();
            workload.Likelihood.Loss(model.call(x), x).backward();
            parallel.AverageGradients(rows);
            optimizer.step();
            double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            if (i < 0) continue;
            times.Add(1e3 * seconds);
            shares.Add((parallel.Seconds - sent) / seconds);
        }
        return new(name, rows, Median(times), 1e3 * batch / Median(times), Median(shares), world.Size > 1 ? model.parameters().Sum(p => p.numel()) * sizeof(float) : 0);
    }

    private static double Median(List<double> values)
    {
        values.Sort();
        return values[values.Count / 2];
    }
}
