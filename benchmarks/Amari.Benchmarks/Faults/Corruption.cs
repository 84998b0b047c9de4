using Amari.Serialization;
using Amari.Training;
using Amari.Verification;

namespace Amari.Benchmarks.Faults;

/// <summary>Checkpoints with other bytes than were written.</summary>
internal sealed class Corruption : IFaultKind
{
    private const int Epochs = 20,
        TriesOfOne = 100; // of each way, in one repeat: they are cheap

    private static readonly (string Name, Func<byte[], Random, byte[]> Damage)[] Ways =
    [
        ("one bit flipped", (b, r) => Changed(b, r.Next(b.Length), 1, x => (byte)(x ^ 1 << r.Next(8)))),
        ("cut short", (b, r) => b[..r.Next(b.Length)]),
        ("bytes at the end", (b, r) => [.. b, .. new byte[1 + r.Next(100)]]),
        ("a block of zeros", (b, r) => Changed(b, r.Next(b.Length), 4096, x => 0)),
        ("noise", (b, r) => Changed(b, r.Next(b.Length), 64, x => (byte)r.Next(256))),
        ("noise in the header", (b, r) => Changed(b, r.Next(2000), 4, x => (byte)r.Next(256))),
        ("another length of the header", (b, r) => Changed(b, 0, 8, x => (byte)r.Next(256))),
        ("a text instead", (b, r) => "no checkpoint"u8.ToArray()),
    ];

    /// <inheritdoc/>
    public string Name => "corruption";

    /// <inheritdoc/>
    public string Promise =>
        "a damaged checkpoint is refused with a reason, and the previous one is used; if all are damaged, the run ends with an error";

    /// <inheritdoc/>
    public string? Missing => null;

    /// <inheritdoc/>
    public IEnumerable<Fault> Inject(string folder, Random random, int repeats)
    {
        Tool.Run(TrainingRun.Arguments(folder, "kfac", Epochs));
        string checkpoints = TrainingRun.Checkpoints(folder);
        string[] files = [.. Directory.GetFiles(checkpoints, "step-*.safetensors").OrderDescending()];
        byte[] newest = File.ReadAllBytes(files[0]);
        using var whole = Checkpoint.Load(files[0]);
        using var earlier = Checkpoint.Load(files[1]);
        foreach (var (name, damage) in Ways)
            for (int i = 0; i < repeats * TriesOfOne; i++)
            {
                byte[] damaged = damage([.. newest], random);
                File.WriteAllBytes(files[0], damaged);
                bool same = damaged.AsSpan().SequenceEqual(newest);
                yield return new($"{name}, {i}", Check(checkpoints, same ? whole : earlier, same));
            }
        foreach (string file in files)
            File.WriteAllBytes(file, newest[..(newest.Length / 2)]);
        var (code, _, error) = Tool.Run(TrainingRun.Arguments(folder, "kfac", Epochs, resumes: true));
        yield return new(
            "every checkpoint cut short",
            code is 1 or 2 && error.Contains("damaged", StringComparison.Ordinal) ? null : $"code {code}: {error}"
        );
    }

    private static string? Check(string folder, Checkpoint expected, bool undamaged)
    {
        try
        {
            using var found = new CheckpointDirectory(folder).Load(out var refused);
            return found is null ? "nothing was loaded"
                : found.Step != expected.Step ? $"the checkpoint of step {found.Step} was loaded"
                : refused.Count == 0 && !undamaged ? "it was not reported"
                : expected.Tensors.All(t => t.Value.bytes.SequenceEqual(found.Tensors[t.Key].bytes)) ? null
                : "other numbers were loaded";
        }
        catch (Exception e)
        {
            return $"{e.GetType().Name}: {e.Message}";
        }
    }

    private static byte[] Changed(byte[] bytes, int from, int length, Func<byte, byte> change)
    {
        for (int i = from; i < Math.Min(bytes.Length, from + length); i++)
            bytes[i] = change(bytes[i]);
        return bytes;
    }
}
