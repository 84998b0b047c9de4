using Amari.Reporting;
using Amari.Training;

namespace Amari.Cli.Lecture;

/// <summary>One experiment, worked example or demo of the lecture.</summary>
/// <param name="id">As in the machine-readable result: M1, M2a, .., E1, .., D2.</param>
/// <param name="title">What it is about, in a few words.</param>
internal abstract class LectureItem(string id, string title)
{
    public string Id => id;

    public string Title => title;

    /// <summary>Computes everything; writes nothing. torch's generator is seeded by the caller.</summary>
    /// <param name="seed">Of everything random.</param>
    public abstract LectureResult Run(int seed);
}

/// <summary>What an item found.</summary>
/// <param name="Tables">Its numbers.</param>
/// <param name="Checks">What must hold.</param>
/// <param name="Figures">Owned by whoever receives the result.</param>
/// <param name="Sentence">What one sees.</param>
internal sealed record LectureResult(
    IReadOnlyList<LectureTable> Tables,
    IReadOnlyList<Check> Checks,
    IReadOnlyList<Figure> Figures,
    string Sentence
)
{
    public bool Passed => Checks.Count > 0 && Checks.All(c => c.Passed);
}

/// <summary>Named columns; a cell is a double, an integer or a text.</summary>
internal sealed record LectureTable(params IReadOnlyList<string> Heads)
{
    public List<object[]> Rows { get; } = [];

    public void Add(params object[] cells)
    {
        if (cells.Length != Heads.Count)
            throw new ArgumentException($"A row has {cells.Length} cells, the table {Heads.Count} columns.", nameof(cells));
        Rows.Add(cells);
    }
}
