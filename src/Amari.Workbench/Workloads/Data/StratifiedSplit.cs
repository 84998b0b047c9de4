namespace Amari.Workloads.Data;

/// <summary>Divides examples into training, validation and test parts of 70, 15 and 15 %, each class alike.</summary>
internal static class StratifiedSplit
{
    private const int HeldOut = 15; // % of each of the two other parts

    /// <summary>The part of each example. Each class has an example to train on; the parts are of the size that the shares say, up to that
    /// and to rounding.</summary>
    /// <param name="classes">The class of each example; the same for all if there are none.</param>
    /// <param name="seed">Seed of the draw.</param>
    public static CsvPart[] Of(IReadOnlyList<int> classes, int seed)
    {
        var random = new Random(seed);
        var parts = new CsvPart[classes.Count];
        int before = 0;
        foreach (var group in Enumerable.Range(0, classes.Count).GroupBy(i => classes[i]).OrderBy(g => g.Key))
        {
            int[] rows = [.. group];
            random.Shuffle(rows);
            int share = Share(before += rows.Length) - Share(before - rows.Length),
                test = Math.Min(share, rows.Length - 1),
                validation = Math.Min(share, rows.Length - 1 - test);
            foreach (var (place, row) in rows.Index())
                parts[row] =
                    place < test ? CsvPart.Test
                    : place < test + validation ? CsvPart.Validation
                    : CsvPart.Training;
        }
        return parts;
    }

    /// <summary>How many of the first examples are in one of the two other parts: rounded over all classes together, so that small classes
    /// have their share.</summary>
    private static int Share(int examples) => (int)((long)HeldOut * examples / 100);
}
