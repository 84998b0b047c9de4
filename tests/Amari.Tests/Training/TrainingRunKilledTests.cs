using System.Diagnostics;
using Amari.Ranks;
using Amari.Serialization;
using Amari.Training;

namespace Amari.Tests.Training;

/// <summary>A process that trains is killed (<c>kill -9</c>) at a random moment after the first checkpoint of its last run, while its
/// earlier ones wait at an evaluation; the runs that continue end bit for bit where uninterrupted ones do.</summary>
[Collection(nameof(Processes))]
public sealed class TrainingRunKilledTests
{
    private const int AtOnce = 2,
        Killed = 3, // runs of a process, for most of its time is that of its start
        LongestWait = 300; // seconds, on a busy machine
    private const string None = "none";

    /// <summary>Every optimizer of the catalog, in two chains of processes at once.</summary>
    [Fact]
    public Task Every_optimizer_continues_to_the_same_end() =>
        Task.WhenAll(
            Enumerable
                .Range(0, AtOnce)
                .Select(i =>
                    Task.Run(() => Continue([.. OptimizerCatalog.All.Select(o => o.Name).Where((_, k) => k % AtOnce == i)], seed: i))
                )
        );

    private static void Continue(string[] names, int seed)
    {
        using var folder = new TemporaryFolder();
        string whole = folder.File("whole"),
            parts = folder.File("parts");
        var random = new Random(seed);
        using var uninterrupted = Start(whole, None, names);
        var killed = new Dictionary<string, long>();
        var said = new List<string>();
        string[] before = [];
        foreach (string[] batch in names.Chunk(Killed)) // each process ends the runs that were killed before, and begins the next
        {
            using var run = Start(parts, held: string.Join(',', batch), [.. before, .. batch]);
            WaitForCheckpoint(run, Path.Combine(parts, batch[^1]));
            Thread.Sleep(random.Next(40));
            Assert.False(run.Process.HasExited, batch[^1]);
            run.Process.Kill();
            said.AddRange(End(run, killed: true));
            foreach (string name in batch)
            {
                using var left = new CheckpointDirectory(Path.Combine(parts, name)).Load(out var refused)!;
                Assert.Empty(refused);
                killed[name] = left.Step;
            }
            before = batch;
        }
        using var last = Start(parts, None, before);
        said.AddRange(End(last));
        string[] straight = End(uninterrupted);
        foreach (var (i, name) in names.Index())
        {
            var (a, b) = (Of(Path.Combine(whole, name)), Of(Path.Combine(parts, name)));
            Assert.InRange(killed[name], 1, a.Step - 1);
            Assert.Matches($"^{name}: 0 to {a.Step}, (Completed|CameApart)$", straight[i]); // a few steps at a default rate need not help
            Assert.Equal($"{name}: {killed[name]} to {a.Step}, {straight[i].Split(", ")[1]}", said[i]);
            Assert.Equal(a.Step, b.Step);
            Assert.Equal(a.Tensors.Keys.Order(), b.Tensors.Keys.Order());
            Assert.All(a.Tensors, t => Assert.True(t.Value.AsSpan().SequenceEqual(b.Tensors[t.Key]), $"{name}: {t.Key} differs"));
            (a, b) = (Of(Path.Combine(whole, name, "best.safetensors")), Of(Path.Combine(parts, name, "best.safetensors")));
            Assert.Equal(a.Step, b.Step);
            Assert.All(
                a.Tensors,
                t => Assert.True(t.Value.AsSpan().SequenceEqual(b.Tensors[t.Key]), $"{name}: {t.Key} of the best weights differs")
            );
        }
    }

    private static RunningProcess Start(string folder, string held, params string[] optimizers)
    {
        var start = new ProcessStartInfo(
            "dotnet",
            [Path.Combine(AppContext.BaseDirectory, "Amari.Ranks.dll"), "saved", folder, held, .. optimizers]
        )
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_TieredPGO"] = "0";
        Processes.LeaveNothing(start);
        return new(Process.Start(start)!);
    }

    private static void WaitForCheckpoint(RunningProcess run, string folder)
    {
        for (
            long start = Stopwatch.GetTimestamp();
            !Directory.Exists(folder) || Directory.GetFiles(folder, "step-*.safetensors").Length == 0;
            Thread.Sleep(1)
        )
        {
            if (run.Process.HasExited)
                Assert.Fail(run.Process.StandardError.ReadToEnd());
            Assert.True(Stopwatch.GetElapsedTime(start).TotalSeconds < LongestWait, $"no checkpoint came in {folder}");
        }
    }

    /// <summary>The lines that the process printed of runs that ended.</summary>
    private static string[] End(RunningProcess run, bool killed = false)
    {
        var error = run.Process.StandardError.ReadToEndAsync();
        string[] lines = [.. run.Process.StandardOutput.ReadToEnd().Split('\n').Where(l => l.Contains(" to ", StringComparison.Ordinal))];
        run.Process.WaitForExit();
        // the model has a normalisation, of which least-squares methods have no captured layer
        Assert.DoesNotContain(
            Cli.ToolProcess.WithoutStarvation(error.Result).Split('\n'),
            l => l.Length > 0 && !l.StartsWith("Amari: rows of a Jacobian are computed one example at a time", StringComparison.Ordinal)
        );
        Assert.Equal(killed, run.Process.ExitCode != 0);
        return lines;
    }

    /// <summary>A process that does not outlive the test, even if it fails.</summary>
    private sealed record RunningProcess(Process Process) : IDisposable
    {
        public void Dispose()
        {
            if (!Process.HasExited)
                Process.Kill();
            Process.Dispose();
        }
    }

    private static (long Step, Dictionary<string, byte[]> Tensors) Of(string path)
    {
        using var checkpoint = Checkpoint.Open(path);
        return (checkpoint.Step, checkpoint.Tensors.ToDictionary(t => t.Key, t => t.Value.bytes.ToArray()));
    }
}
