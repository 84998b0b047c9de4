namespace Amari.Workloads.Data;

/// <summary>Finds the names that a mistyped one may mean.</summary>
internal static class NearNames
{
    private const int Most = 5;

    /// <summary>The nearest names by the number of letters to change, at most five.</summary>
    public static IEnumerable<string> Of(string name, IEnumerable<string> names) => names.OrderBy(n => Distance(name, n)).Take(Most);

    /// <summary>Insertions, deletions and replacements that make one text the other, in any case (Levenshtein 1966).</summary>
    internal static int Distance(string one, string other)
    {
        (one, other) = (one.ToUpperInvariant(), other.ToUpperInvariant());
        int[] row = [.. Enumerable.Range(0, other.Length + 1)];
        for (int i = 0; i < one.Length; i++)
        {
            int diagonal = row[0];
            row[0] = i + 1;
            for (int j = 0; j < other.Length; j++)
                (diagonal, row[j + 1]) = (row[j + 1], Math.Min(Math.Min(row[j], row[j + 1]) + 1, diagonal + (one[i] == other[j] ? 0 : 1)));
        }
        return row[^1];
    }
}
