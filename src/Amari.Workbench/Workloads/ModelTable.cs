namespace Amari.Workloads;

/// <summary>A table about a trained model, such as its parameters next to the known ones.</summary>
/// <param name="Title">What it shows.</param>
/// <param name="Heads">The heading of each column.</param>
/// <param name="Rows">A cell for each column.</param>
public sealed record ModelTable(string Title, IReadOnlyList<string> Heads, IReadOnlyList<IReadOnlyList<string>> Rows);
