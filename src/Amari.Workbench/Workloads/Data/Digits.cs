using System.Globalization;
using System.IO.Compression;

namespace Amari.Workloads.Data;

/// <summary>1,797 handwritten digits of 8x8 pixels, inside the Amari assembly.</summary>
/// <remarks>E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI 1998, CC BY 4.0.</remarks>
public static class Digits
{
    private const int Pixels = 64,
        TrainCount = 1437;

    /// <summary>Inputs float32 [n, 1, 8, 8] in [0, 1], targets int64 [n] from 0 to 9. The caller disposes it.</summary>
    /// <remarks>The first 1,437 examples are the training set, the last 360 the test set, in the order of the file: the same split on every
    /// machine. Both are balanced (141 to 146 and 33 to 37 of each digit).</remarks>
    public static WorkloadData Load()
    {
        var pixels = new List<float>();
        var labels = new List<long>();
        using var resource = typeof(Digits).Assembly.GetManifestResourceStream("digits.csv.gz")!;
        using var reader = new StreamReader(new GZipStream(resource, CompressionMode.Decompress));
        while (reader.ReadLine() is { } line)
        {
            var values = Array.ConvertAll(line.Split(','), v => int.Parse(v, CultureInfo.InvariantCulture));
            pixels.AddRange(values.Take(Pixels).Select(v => v / 16f)); // grey levels 0..16
            labels.Add(values[Pixels]);
        }
        return new(Part(..TrainCount), Part(TrainCount..));

        Dataset Part(Range range)
        {
            var y = labels[range].ToArray();
            var (start, count) = range.GetOffsetAndLength(labels.Count);
            return new(tensor(pixels.Slice(start * Pixels, count * Pixels).ToArray(), [count, 1, 8, 8]), tensor(y));
        }
    }
}
