namespace Amari.Cli.Lecture;

/// <summary>The items, in the order of the lecture.</summary>
internal static class LectureCatalog
{
    private const string Every = "all";

    public static IReadOnlyList<LectureItem> All { get; } =
    [
        new M1Spectrum(),
        new M2Newton(),
        new M2aCost(),
        new M2bSaddle(),
        new M2cNoise(),
        new M3aKl(),
        new M3bTheorem(),
        new M3cInvariance(),
        new M4Kfac(),
        new M5Adaptive(),
        new E1Bernoulli(),
        new E2Kronecker(),
        new E3Scaling(),
        new D1Plateau(),
        new D2KfacStep(),
        new B1Equation(),
    ];

    /// <summary>The items with these ids (<c>all</c> for all items), case-insensitive, in the order of the lecture.</summary>
    /// <exception cref="ArgumentException">An item does not exist, or is repeated.</exception>
    public static IReadOnlyList<LectureItem> Find(IReadOnlyList<string> ids)
    {
        foreach (string id in ids)
            if (!Is(id, Every) && !All.Any(item => Is(id, item.Id)))
                throw new ArgumentException(
                    $"The lecture item is '{id}'; it must be one of {string.Join(", ", All.Select(i => i.Id))}, list or all."
                );
        if (ids.Distinct(StringComparer.OrdinalIgnoreCase).Count() < ids.Count)
            throw new ArgumentException($"The lecture items are '{string.Join(' ', ids)}'; they must have each item once.");
        return [.. All.Where(item => ids.Any(id => Is(id, Every) || Is(id, item.Id)))];

        static bool Is(string a, string b) => a.Equals(b, StringComparison.OrdinalIgnoreCase);
    }
}
