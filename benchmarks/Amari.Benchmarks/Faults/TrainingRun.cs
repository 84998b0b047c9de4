using System.Text.Json.Nodes;
using Amari.Serialization;

namespace Amari.Benchmarks.Faults;

/// <summary>The run of <c>amari train</c> that faults are injected into: a fixed number of steps, with checkpoints.</summary>
internal static class TrainingRun
{
    /// <summary>SIGKILL.</summary>
    public const int KillSignal = 9;

    /// <summary>The arguments of a run that keeps its checkpoints and results in a folder.</summary>
    public static string[] Arguments(string folder, string optimizer, int epochs, bool resumes = false, string results = "out") =>
        [
            "train",
            "digits-mlp",
            "--optimizer",
            optimizer,
            "--epochs",
            $"{epochs}",
            "--threads",
            "1",
            "--seed",
            "3",
            "--checkpoint",
            Checkpoints(folder),
            "--checkpoint-every",
            "20ms",
            "--out",
            Path.Combine(folder, results),
            "--overwrite",
            .. resumes ? ["--resume"] : Array.Empty<string>(),
        ];

    /// <summary>Where its checkpoints are.</summary>
    public static string Checkpoints(string folder) => Path.Combine(folder, "checkpoints");

    /// <summary>How many checkpoints there are.</summary>
    public static int Count(string folder) =>
        Directory.Exists(Checkpoints(folder)) ? Directory.GetFiles(Checkpoints(folder), "step-*.safetensors").Length : 0;

    /// <summary>The results it wrote; null if there are none that can be read.</summary>
    public static JsonNode? Results(string folder)
    {
        string file = Path.Combine(folder, "out", "result.json");
        return File.Exists(file) ? JsonNode.Parse(File.ReadAllText(file)) : null;
    }

    /// <summary>What differs between the ends of two runs: model, optimizer and random state, bit for bit; null for nothing.</summary>
    public static string? Difference(string expected, string actual)
    {
        using var a = Checkpoint.Open(Checkpoints(expected));
        using var b = Checkpoint.Open(Checkpoints(actual));
        if (a.Step != b.Step)
            return $"the run ends at step {b.Step}, not {a.Step}";
        if (!a.Tensors.Keys.Order().SequenceEqual(b.Tensors.Keys.Order()))
            return "the checkpoint has other tensors";
        string? bad = a.Tensors.FirstOrDefault(t => !t.Value.bytes.SequenceEqual(b.Tensors[t.Key].bytes)).Key;
        return bad is null ? null : $"{bad} differs from the uninterrupted run's";
    }
}
