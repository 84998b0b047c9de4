using System.Globalization;
using Amari.Distributed;
using Amari.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Amari.Ranks;

/// <summary>A job that steps for a long time, and what may end it.</summary>
internal static class Failure
{
    private const int FailingStep = 20;

    /// <summary>A rank that computes for long while the others wait is no reason to end.</summary>
    public static void Slow(Communicator world, double seconds)
    {
        if (world.Rank == world.Size - 1)
            for (
                long start = System.Diagnostics.Stopwatch.GetTimestamp();
                System.Diagnostics.Stopwatch.GetElapsedTime(start).TotalSeconds < seconds;

            )
                using (var a = randn(200, 200))
                    a.mm(a).Dispose();
        world.Barrier();
    }

    /// <param name="world">The ranks.</param>
    /// <param name="how"><c>throw</c> or <c>hang</c>: what rank 1 does in the middle of a step; <c>wait</c>: nothing, another kills it or
    /// cuts its link.</param>
    public static void Run(Communicator world, string how)
    {
        using var model = nn.Linear(100, 100);
        using var optimizer = new AdamW(model);
        using var parallel = new DataParallel(model, world);
        Console.WriteLine($"rank {world.Rank} is process {Environment.ProcessId.ToString(CultureInfo.InvariantCulture)}");
        Console.Out.Flush();
        for (int step = 0; step < 10_000; step++)
        {
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            var loss = model.call(ones(4, 100)).square().sum();
            if (step == FailingStep && world.Rank == 1)
            {
                if (how == "throw")
                    throw new InvalidDataException("the data ended in the middle of a step");
                if (how == "hang")
                    Thread.Sleep(Timeout.Infinite);
            }
            loss.backward();
            parallel.AverageGradients();
            optimizer.step();
            Thread.Sleep(10);
        }
    }
}
