using Amari.Reporting;
using Amari.Training;

namespace Amari.Cli.Lecture;

/// <summary>One experiment, worked example or demo of the lecture.</summary>
/// <param name="id">The id in the machine-readable result: M1, M2a, .., E1, .., D2.</param>
/// <param name="title">The topic, in a few words.</param>
internal abstract class LectureItem(string id, string title)
{
    public string Id => id;

    public string Title => title;

    /// <summary>Computes the result without writing files. The caller seeds torch's generator.</summary>
    /// <param name="seed">Seed of all random numbers.</param>
    public abstract LectureResult Run(int seed);
}

/// <summary>The result of an item.</summary>
/// <param name="Tables">Its numbers.</param>
/// <param name="Checks">Its checks.</param>
/// <param name="Figures">Its figures, owned by the receiver of the result.</param>
/// <param name="Sentence">The conclusion, in a sentence.</param>
internal sealed record LectureResult(
    IReadOnlyList<LectureTable> Tables,
    IReadOnlyList<Check> Checks,
    IReadOnlyList<Figure> Figures,
    string Sentence
)
{
    public bool Passed => Checks.Count > 0 && Checks.All(c => c.Passed);
}

/// <summary>Named columns. A cell is a double, an integer or text.</summary>
internal sealed record LectureTable(params IReadOnlyList<string> Heads)
{
    public List<object[]> Rows { get; } = [];

    public void Add(params object[] cells)
    {
        if (cells.Length != Heads.Count)
            throw new ArgumentException($"The row has {cells.Length} cells; it must have {Heads.Count}.", nameof(cells));
        Rows.Add(cells);
    }
}
