namespace Amari.Workloads;

/// <summary>Lists on the command line, whose items are separated by commas.</summary>
internal static class CommaSeparated
{
    /// <summary>All items, also empty ones, without spaces around them; none for an empty text.</summary>
    public static string[] Items(string text) => string.IsNullOrWhiteSpace(text) ? [] : text.Split(',', StringSplitOptions.TrimEntries);

    /// <summary>The items as names, case-insensitive.</summary>
    /// <param name="what">What is chosen, as the subject of the message.</param>
    /// <param name="text">The list.</param>
    /// <exception cref="ArgumentException">A name is repeated.</exception>
    public static string[] Names(string what, string text)
    {
        string[] names = Items(text);
        return
            names.GroupBy(n => n, StringComparer.OrdinalIgnoreCase).FirstOrDefault(g => g.Key.Length > 0 && g.Count() > 1) is { } repeated
            ? throw new ArgumentException($"{what} is '{text}'; it must have {repeated.Key} once.")
            : names;
    }
}
