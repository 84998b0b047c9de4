using System.Globalization;

namespace Amari.Workloads.Data;

/// <summary>Reads a <see cref="NistProblem"/>.</summary>
/// <param name="source">The name of the file, for messages.</param>
/// <param name="stream">Owned.</param>
internal sealed class NistReader(string source, Stream stream) : IDisposable
{
    private const int MaxLines = 1_000_000,
        MaxWidth = 10_000; // of a line
    private static readonly string[] Keys =
    [
        "name",
        "level",
        "response",
        "model",
        "start1",
        "start2",
        "certified",
        "deviation",
        "rss",
        "data",
    ];

    private readonly StreamReader _reader = new(stream);
    private readonly Dictionary<string, (string Value, int Line)> _items = [];
    private int _line;

    /// <summary>The problem.</summary>
    /// <exception cref="ArgumentException">The file is damaged; the message has its name and the line.</exception>
    public NistProblem Read()
    {
        while (!_items.ContainsKey("data"))
            ReadItem();
        var certified = Numbers("certified");
        int p = certified.Length;
        var (rows, predictors) = ReadData();
        string[] parameters = [.. Enumerable.Range(1, p).Select(i => $"b{i}")],
            names = [.. Enumerable.Range(1, predictors).Select(i => $"x{i}")];
        return new(
            _items["name"].Value,
            _items["level"].Value,
            _items["model"].Value,
            [Numbers("start1", p), Numbers("start2", p)],
            certified,
            Numbers("deviation", p),
            Numbers("rss", 1)[0],
            [.. rows.Select(r => r[1..])],
            Responses(rows)
        )
        {
            Function = Function(parameters, names),
        };
    }

    private void ReadItem()
    {
        string[] parts = Next("the data are missing").Trim().Split((char[]?)null, 2, StringSplitOptions.RemoveEmptyEntries);
        if (parts.Length == 0)
            return;
        string expected = Keys.First(k => !_items.ContainsKey(k));
        if (parts[0] != expected)
            throw Error($"'{parts[0]}' is not expected here, but '{expected}'");
        _items[expected] = parts.Length == 2 ? (parts[1].Trim(), _line) : throw Error($"'{expected}' has no value");
    }

    private (List<double[]> Rows, int Predictors) ReadData()
    {
        string[] head = _items["data"].Value.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (
            head.Length < 3
            || !int.TryParse(head[0], NumberStyles.None, CultureInfo.InvariantCulture, out int count)
            || count is < 1 or > MaxLines
            || head[1] != "y"
            || !head[2..].Select((name, i) => name == $"x{i + 1}").All(found => found)
        )
            throw Error("'data' must be followed by the number of lines and the columns, as in 'data 14 y x1'");
        var rows = new List<double[]>();
        while (rows.Count < count)
        {
            string text = Next($"there are {rows.Count} of {count} lines of data");
            if (!string.IsNullOrWhiteSpace(text))
                rows.Add(Numbers(text, head.Length - 1, _line));
        }
        while (_reader.ReadLine() is { } rest)
        {
            _line++;
            if (!string.IsNullOrWhiteSpace(rest))
                throw Error($"there are more than {count} lines of data");
        }
        return (rows, head.Length - 2);
    }

    private Func<Tensor, Tensor, Tensor> Function(string[] parameters, string[] names)
    {
        var formula = Parsed("model", [.. parameters, .. names]);
        return (b, x) =>
        {
            var values = new Dictionary<string, Tensor>();
            for (int i = 0; i < parameters.Length; i++)
                values[parameters[i]] = b[i];
            for (int i = 0; i < names.Length; i++)
                values[names[i]] = x.dim() == 1 ? x : x.select(1, i);
            return formula(values);
        };
    }

    /// <summary>The values that are fitted, such as the logarithms of y.</summary>
    private double[] Responses(List<double[]> rows)
    {
        var formula = Parsed("response", ["y"]);
        using var scope = NewDisposeScope();
        var y = tensor(rows.Select(r => r[0]).ToArray(), dtype: ScalarType.Float64);
        double[] responses = Native.TensorElements.Elements<double>(formula(new Dictionary<string, Tensor> { ["y"] = y }));
        return responses.Length == rows.Count && responses.All(double.IsFinite)
            ? responses
            : throw Error($"'{_items["response"].Value}' is not a finite number for each y", _items["response"].Line);
    }

    private Func<IReadOnlyDictionary<string, Tensor>, Tensor> Parsed(string key, string[] variables)
    {
        var (text, line) = _items[key];
        try
        {
            return Formula.Parse(text, variables);
        }
        catch (FormatException e)
        {
            throw Error($"the {key} is no formula: {e.Message}", line);
        }
    }

    private double[] Numbers(string key, int? count = null) => Numbers(_items[key].Value, count, _items[key].Line);

    private double[] Numbers(string text, int? count, int line)
    {
        string[] words = text.Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        if (words.Length != (count ?? words.Length))
            throw Error($"there are {words.Length} numbers; there must be {count}", line);
        return
        [
            .. words.Select(w =>
                double.TryParse(w, NumberStyles.Float, CultureInfo.InvariantCulture, out double value) && double.IsFinite(value)
                    ? value
                    : throw Error($"'{w}' is no number", line)
            ),
        ];
    }

    /// <inheritdoc/>
    public void Dispose() => _reader.Dispose();

    private string Next(string otherwise)
    {
        string line = _reader.ReadLine() ?? throw Error($"the file ends, but {otherwise}");
        _line++;
        return line.Length <= MaxWidth ? line : throw Error("the line is too long");
    }

    private ArgumentException Error(string why, int? line = null) => new($"{source}, line {Math.Max(1, line ?? _line)}: {why}.");
}
