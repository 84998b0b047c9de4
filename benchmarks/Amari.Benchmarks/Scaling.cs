using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Amari.Cli.Lecture;
using Amari.Distributed;
using Amari.Training;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Benchmarks;

/// <summary>The time of an all-reduce, the least of the rounds: what else the machine does only adds to it.</summary>
internal sealed record Message(long Bytes, double Milliseconds);

/// <summary>Training steps: the least of the rounds.</summary>
/// <param name="Model">A small perceptron 784-128-784, or the autoencoder.</param>
/// <param name="Optimizer">Its name.</param>
/// <param name="BatchOfRank">Examples of a rank's part.</param>
/// <param name="Milliseconds">Of a step.</param>
/// <param name="ExamplesPerSecond">Of all ranks.</param>
/// <param name="CommunicationShare">Of the step, this rank's packing, sending and waiting for gradients.</param>
/// <param name="GradientBytes">Sent a step.</param>
internal sealed record Throughput(
    string Model,
    string Optimizer,
    long BatchOfRank,
    double Milliseconds,
    double ExamplesPerSecond,
    double CommunicationShare,
    long GradientBytes
);

/// <summary>T = α + β bytes, fitted to messages by least squares of relative errors.</summary>
internal sealed record AlphaBeta(double AlphaMilliseconds, double BetaMillisecondsPerMegabyte)
{
    public static AlphaBeta Fit(IEnumerable<Message> messages)
    {
        double a11 = 0,
            a12 = 0,
            a22 = 0,
            b1 = 0,
            b2 = 0;
        foreach (var (bytes, t) in messages)
        {
            double u = 1 / t,
                v = bytes / 1e6 / t; // u α + v β = 1
            (a11, a12, a22, b1, b2) = (a11 + u * u, a12 + u * v, a22 + v * v, b1 + u, b2 + v);
        }
        double det = a11 * a22 - a12 * a12;
        return new((b1 * a22 - b2 * a12) / det, (a11 * b2 - a12 * b1) / det);
    }

    /// <summary>An all-reduce on N ranks by halving and doubling, log₂ N α + 2 (N-1)/N β bytes: at 2 ranks what was fitted.</summary>
    public double Of(double bytes, int ranks = 2) =>
        Math.Log2(ranks) * AlphaMilliseconds + 2.0 * (ranks - 1) / ranks * BetaMillisecondsPerMegabyte * bytes / 1e6;
}

/// <summary>Messages and training steps on the ranks that an MPI launcher started, or on one process; run it with 1 and 2 ranks.</summary>
internal static class Scaling
{
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    public static void Run(int rounds, OutputTarget? target)
    {
        set_num_threads(1); // a rank has a core, alone or not
        using var world = Communicator.FromLauncher();
        List<Message> messages = [];
        if (world.Size > 1)
            for (long bytes = 64; bytes <= 16 << 20; bytes *= 4)
                messages.Add(new(bytes, AllReduce(world, bytes, rounds)));
        var fit = messages.Count > 0 ? AlphaBeta.Fit(messages) : null;
        List<Throughput> steps = [];
        List<(Throughput Alone, Throughput Together)> checks = [];
        foreach (
            var (model, optimizer, global, times) in ((string, string, int, int)[])
                [("mlp", "adamw", 128, 40 * rounds), ("autoencoder", "adamw", 512, rounds), ("autoencoder", "kfac", 512, rounds)]
        )
        {
            foreach (int batch in world.Size > 1 ? (int[])[global] : [global, global / 2])
                steps.Add(Steps(world, model, optimizer, batch, times));
            // all ranks at once, each by itself: the arithmetic of a step with the other cores as busy
            if (world.Size > 1 && optimizer == "adamw")
                checks.Add((Steps(SingleProcess.Instance, model, optimizer, global / world.Size, times), steps[^1]));
        }
        if (world.Rank > 0)
            return;
        Console.WriteLine($"{world.Description}, one thread a rank, least of {rounds} rounds");
        foreach (var m in messages)
            Console.WriteLine(
                FormattableString.Invariant($"all-reduce {m.Bytes, 10:N0} bytes {m.Milliseconds, 9:F3} ms   fit {fit!.Of(m.Bytes), 9:F3}")
            );
        if (fit is not null)
            Console.WriteLine(
                FormattableString.Invariant($"alpha {fit.AlphaMilliseconds:F4} ms, beta {fit.BetaMillisecondsPerMegabyte:F4} ms/MB")
            );
        foreach (var s in steps)
            Console.WriteLine(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"{s.Model, -11} {s.Optimizer, -6} part {s.BatchOfRank, 4}: {s.Milliseconds, 8:F2} ms a step, "
                        + $"{s.ExamplesPerSecond, 8:F0} examples/s, communication {s.CommunicationShare:P0}, {s.GradientBytes / 1e6:F2} MB"
                )
            );
        if (fit is not null)
            foreach (var (alone, together) in checks)
            {
                double messageTime = fit.Of(together.GradientBytes);
                Console.WriteLine(
                    string.Create(
                        CultureInfo.InvariantCulture,
                        $"{together.Model}: {alone.Milliseconds:F2} ms by itself + {messageTime:F2} ms for "
                            + $"{together.GradientBytes / 1e6:F2} MB = {alone.Milliseconds + messageTime:F2} ms predicted, "
                            + $"{together.Milliseconds:F2} measured"
                    )
                );
                foreach (int n in (int[])[4, 16, 64, 256])
                    Console.WriteLine(
                        string.Create(
                            CultureInfo.InvariantCulture,
                            $"  model, {n, 3} ranks, {together.BatchOfRank} examples each: all-reduce "
                                + $"{fit.Of(together.GradientBytes, n), 6:F2} ms, efficiency "
                                + $"{alone.Milliseconds / (alone.Milliseconds + fit.Of(together.GradientBytes, n)):P0}"
                        )
                    );
            }
        target?.Write(
            JsonSerializer.Serialize(
                new
                {
                    ranks = world.Size,
                    messages,
                    fit,
                    steps,
                    checks = checks.Select(c => new
                    {
                        c.Together.Model,
                        alone = c.Alone.Milliseconds,
                        predicted = c.Alone.Milliseconds + fit!.Of(c.Together.GradientBytes),
                        measured = c.Together.Milliseconds,
                    }),
                },
                Json
            )
        );
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
            if (i >= 0)
                times.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        return times.Min();
    }

    private static Throughput Steps(Communicator world, string of, string name, int batch, int rounds)
    {
        using var scope = NewDisposeScope();
        manual_seed(0);
        var workload = new Autoencoder();
        using var model = of == "mlp" ? nn.Sequential(nn.Linear(784, 128), nn.Tanh(), nn.Linear(128, 784)) : workload.CreateModel();
        using Optimizer optimizer =
            name == "kfac"
                ? new Kfac(
                    model,
                    new()
                    {
                        Curvature = new()
                        {
                            Refresh = new() { FactorInterval = 5, InverseInterval = 10 },
                        },
                    },
                    workload.Likelihood
                )
                : new AdamW(model);
        optimizer.Distribute(world);
        using var parallel = new DataParallel(model, world);
        var rows = new ShardedBatches(batch, batch, 0, world.Rank, world.Size).Rows(0).Length;
        var x = rand(rows, 784);
        List<double> times = [],
            shares = [];
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
            if (i < 0)
                continue;
            times.Add(1e3 * seconds);
            shares.Add((parallel.Seconds - sent) / seconds);
        }
        return new(
            of,
            name,
            rows,
            times.Min(),
            1e3 * batch / times.Min(),
            Measurements.Median(shares),
            world.Size > 1 ? model.parameters().Sum(p => p.numel()) * sizeof(float) : 0
        );
    }
}
