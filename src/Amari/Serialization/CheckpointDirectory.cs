using System.Globalization;
using Amari.Native;

namespace Amari.Serialization;

/// <summary>The newest checkpoints of one run, one file each: <c>step-000001200.safetensors</c>.</summary>
/// <remarks>One process saves at a time. The first save locks the folder until the object is disposed or the process ends. Any number of
/// processes may load at the same time. If a run is killed, every checkpoint that was complete before stays.</remarks>
/// <param name="path">The directory; the first save creates it.</param>
/// <param name="keep">How many complete checkpoints are kept, ≥ 1. With two, damage to the newest costs one interval.</param>
public sealed class CheckpointDirectory(string path, int keep = 2) : IDisposable
{
    private const string Prefix = "step-";
    private const string Suffix = ".safetensors";

    /// <summary>What the files of all checkpoints match.</summary>
    internal const string Pattern = Prefix + "*" + Suffix;

    private readonly int keep = Require.AtLeast(1, keep, nameof(keep));
    private readonly HashSet<string> complete = [];
    private FolderLock.Holder? hold;

    /// <summary>Writes a checkpoint, then deletes checkpoints beyond the newest <c>keep</c> and incomplete files of killed runs.</summary>
    /// <param name="step">Completed steps, ≥ 0. A checkpoint of the same step is replaced.</param>
    /// <param name="tensors">Tensors by name, such as <c>model.0.weight</c>, <c>optimizer.0.weight.momentum</c>, <c>rng.cpu</c>; see
    /// <see cref="Safetensors.Save"/>.</param>
    /// <param name="metadata">Any strings; the keys <c>step</c> and <c>sha256</c> are reserved.</param>
    /// <returns>The path of the file.</returns>
    /// <exception cref="ArgumentException">A name is reserved, or the format does not support a dtype.</exception>
    /// <exception cref="IOException">The file system refused to write, or another process saves to the folder. Earlier checkpoints
    /// stay.</exception>
    public string Save(long step, IReadOnlyDictionary<string, Tensor> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        Own();
        foreach (var stray in Directory.GetFiles(path, AtomicFile.TemporaryPattern(Pattern)))
            File.Delete(stray);

        var saved = Path.Combine(path, $"{Prefix}{step:D9}{Suffix}");
        Checkpoint.Save(saved, step, tensors, metadata);
        complete.Add(saved);

        // A damaged file does not count as kept. It stays for inspection until enough newer ones are complete.
        var kept = 0;
        foreach (var file in NewestFirst())
            if (kept == keep && file != saved)
                File.Delete(file);
            else if (kept < keep && IsComplete(file))
                kept++;
        return saved;
    }

    /// <summary>Reads the newest valid checkpoint. The caller disposes it.</summary>
    /// <param name="refused">One sentence for every newer file that was skipped, with its name and the reason. Report them to the
    /// user.</param>
    /// <returns>Null if there is none; if nothing was refused either, the run is new.</returns>
    public Checkpoint? Load(out IReadOnlyList<string> refused) => Load(_ => { }, out refused);

    /// <summary>Reads the newest checkpoint that can be used.</summary>
    /// <param name="use">Throws <see cref="InvalidDataException"/> for a checkpoint that cannot be used; the previous one is then
    /// tried.</param>
    /// <param name="refused">One sentence for every newer file that was skipped, with its name and the reason. Report them to the
    /// user.</param>
    internal Checkpoint? Load(Action<Checkpoint> use, out IReadOnlyList<string> refused)
    {
        var reasons = new Dictionary<string, string>();
        refused = [];
        // Listed again each time: a run that saves concurrently may delete the file we are about to open.
        while (NewestFirst().Find(f => !reasons.ContainsKey(f)) is { } file)
            try
            {
                var checkpoint = Checkpoint.Load(file);
                complete.Add(file);
                try
                {
                    use(checkpoint);
                    return checkpoint;
                }
                catch (Exception e)
                {
                    checkpoint.Dispose();
                    if (e is not InvalidDataException)
                        throw;
                    reasons.Add(file, $"{file} cannot be used: {e.Message}");
                    refused = [.. reasons.Values];
                }
            }
            catch (FileNotFoundException) when (!NewestFirst().Contains(file))
            {
                // It was deleted in the meantime, so a newer one exists.
            }
            catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
            {
                reasons.Add(file, e.Message);
                refused = [.. reasons.Values];
            }
        return null;
    }

    /// <summary>Whether there is a checkpoint, valid or damaged.</summary>
    internal bool HoldsAny => NewestFirst().Count > 0;

    /// <summary>Creates the folder if necessary and locks it for this process.</summary>
    /// <exception cref="FolderInUseException">Another process has locked it.</exception>
    internal void Own()
    {
        Directory.CreateDirectory(path);
        if (hold is null)
            hold = FolderLock.Take(path);
        else
            hold.Renew();
    }

    /// <summary>Releases the folder: other processes may then save to it.</summary>
    public void Dispose()
    {
        hold?.Dispose();
        hold = null;
    }

    private bool IsComplete(string file)
    {
        try
        {
            return complete.Contains(file) || (Safetensors.Verify(file) && complete.Add(file));
        }
        catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
        {
            return false;
        }
    }

    private List<string> NewestFirst() =>
        !Directory.Exists(path)
            ? []
            :
            [
                .. from file in Directory.GetFiles(path, Pattern)
                let digits = Path.GetFileName(file)[Prefix.Length..^Suffix.Length]
                let step = long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : -1
                where step >= 0
                orderby step descending
                select file,
            ];
}
