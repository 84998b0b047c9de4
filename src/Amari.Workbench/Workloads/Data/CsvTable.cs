using System.Globalization;
using System.Runtime.InteropServices;

namespace Amari.Workloads.Data;

/// <summary>The examples of a CSV file: features and target as numbers, and the part of each row.</summary>
internal sealed class CsvTable
{
    private const int MaxCategories = 64, // of a text column
        MaxWholeClasses = 10, // of a numeric target
        MinRows = 20;
    private readonly float[] _inputs; // [rows, features]
    private readonly float[] _numbers; // the standardised target; empty for classes
    private readonly int[] _codes;

    /// <param name="path">The file.</param>
    /// <param name="target">The column to predict.</param>
    /// <param name="options">How it is read.</param>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="ArgumentException">The file has no such column, or cannot be used. The message has the file, row and
    /// column.</exception>
    public CsvTable(string path, string target, CsvOptions options)
    {
        (Path, Options) = (path, options);
        var rows = CsvText.Read(path);
        var header = rows[0].Fields;
        RequireNames(header);
        rows = [.. rows.Skip(1)];
        RequireOneHeader(header, rows);
        if (rows.Count < MinRows)
            throw new ArgumentException(
                $"'{path}' has {rows.Count} row{(rows.Count == 1 ? "" : "s")} below its header; training, validation and "
                    + $"test need at least {MinRows}."
            );
        int at = PlaceOf(target, header);
        HashSet<int> ignored = [.. options.Ignore.Select(name => PlaceOf(name, header))];
        if (ignored.Contains(at))
            throw new ArgumentException(
                $"The column '{header[at]}' is the target, so --set ignore={string.Join(',', options.Ignore)} cannot name it."
            );
        var y = CsvColumn.Read(path, header[at], rows, at, leaveOut: null);
        if (y.Remark is { } remark)
            Remarks.Add(remark);
        (Target, IsClasses, _codes) = (y.Name, IsClassTarget(y), y.Codes);
        Parts = StratifiedSplit.Of(IsClasses ? y.Codes : new int[rows.Count], options.SplitSeed);
        (Classes, _numbers, Scale) = (y.Categories, [], 1);
        if (!IsClasses)
            (Classes, (_numbers, Scale)) = ([], Standardised(y.Numbers!));

        var columns = Enumerable
            .Range(0, header.Length)
            .Where(i => i != at && !ignored.Contains(i))
            .Select(i => CsvColumn.Read(path, header[i], rows, i, LeaveOut(header[i])))
            .Where(IsFeature)
            .ToList();
        if (columns.Count == 0)
            throw new ArgumentException($"'{path}' has no column from which '{Target}' can be predicted{Because}.");
        Features = [.. columns.SelectMany(c => c.Numbers is null ? c.Categories.Select(category => $"{c.Name}={category}") : [c.Name])];
        _inputs = new float[rows.Count * Features.Count];
        int feature = 0;
        foreach (var column in columns)
            feature += Fill(column, feature);
    }

    public string Path { get; }
    public CsvOptions Options { get; }

    /// <summary>The column to predict, spelled as in the file.</summary>
    public string Target { get; }

    /// <summary>Whether the target is a class and no number.</summary>
    public bool IsClasses { get; }

    /// <summary>The classes in the order of their labels; empty for a number.</summary>
    public IReadOnlyList<string> Classes { get; }

    /// <summary>The standard deviation of the target over the training rows, in its units; 1 for classes.</summary>
    public double Scale { get; }

    /// <summary>The names of the features; <c>column=category</c> for one of a text column.</summary>
    public IReadOnlyList<string> Features { get; }

    /// <summary>The part of each row.</summary>
    public IReadOnlyList<CsvPart> Parts { get; }

    /// <summary>The columns that are left out because no model can learn from them, with the reason.</summary>
    public List<string> LeftOut { get; } = [];

    /// <summary>What is odd about columns of text, as parts of a sentence.</summary>
    public List<string> Remarks { get; } = [];

    private string Because => LeftOut.Count == 0 ? "" : ": " + string.Join("; ", LeftOut);

    /// <summary>Number of rows of a part; of all rows if it is null.</summary>
    public int Count(CsvPart? part) => part is null ? Parts.Count : Parts.Count(p => p == part);

    /// <summary>Number of test rows that equal a training row in all features and the target.</summary>
    public int CountRepeated()
    {
        var rows = Enumerable.Range(0, Parts.Count).ToLookup(i => Parts[i]);
        var training = rows[CsvPart.Training].ToHashSet(EqualityComparer<int>.Create(Same, Hash));
        return rows[CsvPart.Test].Count(training.Contains);

        bool Same(int a, int b) => Row(a).SequenceEqual(Row(b)) && (IsClasses ? _codes[a] == _codes[b] : _numbers[a].Equals(_numbers[b]));

        int Hash(int row)
        {
            var hash = new HashCode();
            hash.AddBytes(MemoryMarshal.AsBytes(Row(row)));
            return hash.ToHashCode();
        }
    }

    private ReadOnlySpan<float> Row(int row) => _inputs.AsSpan(row * Features.Count, Features.Count);

    /// <summary>The examples of a part, or all, in the order of the file: inputs float32 [n, features]; targets float32 [n, 1], or labels
    /// int64 [n]. The caller disposes it.</summary>
    public Dataset Examples(CsvPart? part)
    {
        int[] rows = [.. Enumerable.Range(0, Parts.Count).Where(i => part is null || Parts[i] == part)];
        int width = Features.Count;
        var inputs = new float[rows.Length * width];
        foreach (var (place, row) in rows.Index())
            Row(row).CopyTo(inputs.AsSpan(place * width));
        return new(
            tensor(inputs, [rows.Length, width]),
            IsClasses
                ? tensor(rows.Select(r => (long)_codes[r]).ToArray())
                : tensor(rows.Select(r => _numbers[r]).ToArray(), [rows.Length, 1])
        );
    }

    private void RequireNames(string[] header)
    {
        if (header.All(name => CsvNumber.Parse(name) is not null))
            throw new ArgumentException($"'{Path}', row 1 has only numbers; it must be a header with the names of the columns.");
        foreach (var (i, name) in header.Index())
            if (name.Length == 0)
                throw new ArgumentException($"'{Path}', row 1, column {i + 1}: the name is missing.");
            else if (Array.IndexOf(header, name) is var first && first < i)
                throw new ArgumentException($"'{Path}', row 1: the columns {first + 1} and {i + 1} are both named '{name}'.");
    }

    /// <summary>Refuses a file that was put together from several: the columns below a second header may be in another order.</summary>
    private void RequireOneHeader(string[] header, IReadOnlyList<CsvRow> rows)
    {
        string[] sorted = [.. header.Order(StringComparer.Ordinal)];
        foreach (var row in rows)
            if (Array.IndexOf(header, row.Fields[0]) >= 0 && row.Fields.Order(StringComparer.Ordinal).SequenceEqual(sorted))
                throw new ArgumentException(
                    $"'{Path}', row {row.Number} is a header again"
                        + (
                            row.Fields.SequenceEqual(header)
                                ? ": delete it."
                                : ", in another order than row 1: sort the columns of the rows below it as in row 1, and delete it."
                        )
                );
    }

    /// <summary>How the command line leaves out a column in addition to those that it leaves out already.</summary>
    private string LeaveOut(string column)
    {
        string option = "ignore=" + string.Join(',', Options.Ignore.Append(column));
        return "--set " + (option.Any(char.IsWhiteSpace) ? $"\"{option}\"" : option);
    }

    private int PlaceOf(string name, string[] header)
    {
        if (Array.IndexOf(header, name) is >= 0 and var exact)
            return exact;
        int[] same = [.. Enumerable.Range(0, header.Length).Where(i => header[i].Equals(name, StringComparison.OrdinalIgnoreCase))];
        if (same is [var only])
            return only;
        var near = NearNames.Of(name, header).ToList();
        string names = string.Join(", ", near.Select(n => $"'{n}'"));
        throw new ArgumentException(
            near.Count == header.Length
                ? $"'{Path}' has no column '{name}'; it has {names}."
                : $"'{Path}' has no column '{name}'; the nearest of its {header.Length} names are {names}."
        );
    }

    private bool IsClassTarget(CsvColumn target)
    {
        int different = target.Categories.Count;
        string where = $"'{Path}', column '{target.Name}'";
        if (different == 1)
            throw new ArgumentException($"{where}: all rows have the value '{target.Categories[0]}'; a target needs two different values.");
        if (target.Numbers is null && Options.Task == CsvTask.Regression)
            throw new ArgumentException($"{where} is text; a regression needs numbers.");
        bool isClass =
            Options.Task == CsvTask.Classification
            || target.Numbers is null
            || (Options.Task == CsvTask.Auto && target.IsWhole && different <= MaxWholeClasses);
        return isClass && different > MaxCategories
            ? throw new ArgumentException(
                $"{where} has {different} different values; a target of classes can have at most {MaxCategories}."
            )
            : isClass;
    }

    private bool IsFeature(CsvColumn column)
    {
        int different = column.Categories.Count;
        string? why =
            different == 1 ? $"'{column.Name}' has the same value in all rows"
            : column.Numbers is null && 2 * different > Parts.Count
                ? $"'{column.Name}' is text with {different} different values in {Parts.Count} rows"
            : null;
        if (why is not null)
            LeftOut.Add(why);
        else if (column.Numbers is null && different > MaxCategories)
            throw new ArgumentException(
                $"'{Path}', column '{column.Name}' is text with {different} different values; at most {MaxCategories} can be features. "
                    + $"Leave it out with {LeaveOut(column.Name)}."
            );
        else if (column.Remark is { } remark)
            Remarks.Add(remark);
        return why is null;
    }

    /// <summary>Writes the features of a column from a place on.</summary>
    /// <returns>How many they are.</returns>
    private int Fill(CsvColumn column, int at)
    {
        var numbers = column.Numbers is null ? null : Standardised(column.Numbers).Values;
        for (int row = 0; row < Parts.Count; row++)
            _inputs[row * Features.Count + at + (numbers is null ? column.Codes[row] : 0)] = numbers?[row] ?? 1;
        return numbers is null ? column.Categories.Count : 1;
    }

    /// <summary>Numbers with mean 0 and variance 1 over the training rows, and their standard deviation there. If that is 0, only the mean
    /// is subtracted.</summary>
    private (float[] Values, double Scale) Standardised(double[] numbers)
    {
        double[] training = [.. numbers.Where((_, i) => Parts[i] == CsvPart.Training)];
        double mean = training.Average(),
            deviation = Math.Sqrt(training.Average(x => (x - mean) * (x - mean)));
        if (deviation == 0)
            deviation = 1;
        return ([.. numbers.Select(x => (float)((x - mean) / deviation))], deviation);
    }
}
