using System.Collections.Frozen;
using System.IO.Compression;
using Amari.Native;

namespace Amari.Workloads.Data;

/// <summary>The text of Jane Austen's "Pride and Prejudice" (1813, public domain), embedded in the assembly, for predicting the next
/// character.</summary>
public static class PrideAndPrejudice
{
    private const double TestShare = 0.1; // the end of the novel

    /// <summary>Windows of the text: inputs int64 [n, length] of character codes, targets int64 [n, length] of the next characters. Windows
    /// do not overlap; the last tenth is the test set. The caller disposes it.</summary>
    /// <param name="length">Characters per window, ≥ 1.</param>
    /// <param name="measured">Number of evenly spaced training windows in the measured loss.</param>
    /// <param name="tested">Number of evenly spaced test windows.</param>
    public static WorkloadData Load(int length, int measured, int tested)
    {
        var codes = Characters.Select((c, i) => (c, i)).ToFrozenDictionary(e => e.c, e => (long)e.i);
        using var text = tensor(Text.Select(c => codes[c]).ToArray());
        long count = (text.shape[0] - 1) / length,
            test = (long)(count * TestShare);
        using var scope = NewDisposeScope();
        Tensor x = text.narrow(0, 0, count * length).view(count, length),
            y = text.narrow(0, 1, count * length).view(count, length);
        return new(
            Part(0, count - test, 1),
            Part(count - test, test, Stride(test, tested)),
            Part(0, count - test, Stride(count - test, measured))
        );

        static long Stride(long all, int some) => Math.Max(1, all / Require.AtLeast(1, some));

        Dataset Part(long start, long n, long stride)
        {
            return new(Rows(x), Rows(y));

            Tensor Rows(Tensor all) => all.slice(0, start, start + n, stride).clone().MoveToOuterDisposeScope();
        }
    }

    /// <summary>The characters, ordered by code.</summary>
    public static string Characters { get; } = string.Concat(Text.Distinct().Order());

    private static string Text
    {
        get
        {
            using var resource = typeof(PrideAndPrejudice).Assembly.GetManifestResourceStream("pride-and-prejudice.txt.gz")!;
            using var reader = new StreamReader(new GZipStream(resource, CompressionMode.Decompress));
            return reader.ReadToEnd();
        }
    }
}
