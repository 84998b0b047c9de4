using System.Globalization;
using Amari.Native;

namespace Amari.Serialization;

/// <summary>The newest checkpoints of one run, a file each: <c>step-000001200.safetensors</c>.</summary>
/// <remarks>One process saves at a time: the first save takes the folder by a lock that its process holds until the object is disposed
/// or the process ends, however it ends. Any number may load meanwhile. A run killed at any moment leaves every checkpoint that was
/// complete before.</remarks>
/// <param name="path">The directory; the first save creates it.</param>
/// <param name="keep">How many complete checkpoints stay, ≥ 1. With two, damage to the newest costs one interval.</param>
public sealed class CheckpointDirectory(string path, int keep = 2) : IDisposable
{
    private const string Prefix = "step-";
    private const string Suffix = ".safetensors";

    /// <summary>What the files of all checkpoints match.</summary>
    internal const string Pattern = Prefix + "*" + Suffix;

    private readonly int keep = Require.AtLeast(1, keep, nameof(keep));
    private readonly HashSet<string> complete = [];
    private FolderLock.Holder? hold;

    /// <summary>Writes a checkpoint, then deletes those beyond the newest kept ones, and what killed runs left half-written.</summary>
    /// <param name="step">Steps done, ≥ 0. A checkpoint of the same step is replaced.</param>
    /// <param name="tensors">By name, such as <c>model.0.weight</c>, <c>optimizer.0.weight.momentum</c>, <c>rng.cpu</c>; see
    /// <see cref="Safetensors.Save"/>.</param>
    /// <param name="metadata">Any strings; the keys <c>step</c> and <c>sha256</c> are reserved.</param>
    /// <returns>The file.</returns>
    /// <exception cref="ArgumentException">A reserved name or a dtype that the format lacks.</exception>
    /// <exception cref="IOException">The disk refused, or another process saves there; earlier checkpoints are unharmed.</exception>
    public string Save(long step, IReadOnlyDictionary<string, Tensor> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(step);
        Own();
        foreach (var stray in Directory.GetFiles(path, AtomicFile.TemporaryPattern(Pattern)))
            File.Delete(stray);

        var saved = Path.Combine(path, $"{Prefix}{step:D9}{Suffix}");
        Checkpoint.Save(saved, step, tensors, metadata);
        complete.Add(saved);

        // A damaged file fills no place, and stays for its owner to look at until enough newer ones are complete.
        var kept = 0;
        foreach (var file in NewestFirst())
            if (kept == keep && file != saved)
                File.Delete(file);
            else if (kept < keep && IsComplete(file))
                kept++;
        return saved;
    }

    /// <summary>Reads the newest valid checkpoint; the caller disposes it.</summary>
    /// <param name="refused">One sentence for every newer file that was passed over, naming it and the reason; tell the user.</param>
    /// <returns>Null when there is none: a new run if nothing was refused.</returns>
    public Checkpoint? Load(out IReadOnlyList<string> refused) => Load(_ => { }, out refused);

    /// <summary>The same, of those that can be used.</summary>
    /// <param name="use">Throws <see cref="InvalidDataException"/> at a checkpoint that cannot: then the one before it is tried.</param>
    /// <param name="refused">One sentence for every newer file that was passed over, naming it and the reason; tell the user.</param>
    internal Checkpoint? Load(Action<Checkpoint> use, out IReadOnlyList<string> refused)
    {
        var reasons = new Dictionary<string, string>();
        refused = [];
        // Listed anew each time: a run that saves meanwhile may delete the file we were about to open.
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
                // Deleted meanwhile, so a newer one is in place.
            }
            catch (Exception e) when (e is InvalidDataException or IOException or UnauthorizedAccessException)
            {
                reasons.Add(file, e.Message);
                refused = [.. reasons.Values];
            }
        return null;
    }

    /// <summary>Whether there is a checkpoint, be it damaged.</summary>
    internal bool HoldsAny => NewestFirst().Count > 0;

    /// <summary>Makes the folder, if need be, and takes it for this process.</summary>
    /// <exception cref="FolderInUseException">Another process has it.</exception>
    internal void Own()
    {
        Directory.CreateDirectory(path);
        if (hold is null)
            hold = FolderLock.Take(path);
        else
            hold.Renew();
    }

    /// <summary>Gives the folder up: other processes may save there.</summary>
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
