using System.Collections.Frozen;
using System.IO.Compression;
using Amari.Native;

namespace Amari.Workloads.Data;

/// <summary>The text of Jane Austen's "Pride and Prejudice" (1813, public domain), inside the Amari assembly, as characters to
/// predict.</summary>
public static class PrideAndPrejudice
{
    private const double TestShare = 0.1; // the end of the novel

    /// <summary>Windows of the text: inputs int64 [n, length] of character codes, targets int64 [n, length] the characters that follow.
    /// Windows do not overlap; the last tenth of them is to test with. The caller disposes it.</summary>
    /// <param name="length">Characters in a window, ≥ 1.</param>
    /// <param name="measured">How many windows, spread evenly, stand for the training set when its loss is measured.</param>
    /// <param name="tested">How many, spread evenly, of those to test with.</param>
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

    /// <summary>The characters in the order of their codes.</summary>
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
