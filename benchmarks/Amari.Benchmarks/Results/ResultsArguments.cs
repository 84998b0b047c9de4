using System.Globalization;

namespace Amari.Benchmarks.Results;

/// <summary>The arguments of <c>results</c>.</summary>
internal sealed record ResultsArguments
{
    /// <summary>The options, in one line.</summary>
    public const string Usage = "results [--only ID[,ID]] [--out DIR] [--jobs N] [--scale SHARE] [--list] [--write-only] [--again]";

    private ResultsArguments() { }

    /// <summary>The requested recipes; null for all.</summary>
    public IReadOnlyList<string>? Only { get; private init; }

    /// <summary>The folder of the JSON; null for that of the results page.</summary>
    public string? Out { get; private init; }

    /// <summary>Parts at a time.</summary>
    public int Jobs { get; private init; } = Environment.ProcessorCount;

    /// <summary>What budgets and counts are multiplied by, in (0, 1].</summary>
    public double Scale { get; private init; } = 1;

    /// <summary>Whether recipes are only listed.</summary>
    public bool List { get; private init; }

    /// <summary>Whether only tables are written.</summary>
    public bool WriteOnly { get; private init; }

    /// <summary>Whether complete recipes run again.</summary>
    public bool Again { get; private init; }

    /// <summary>Reads them.</summary>
    /// <exception cref="ArgumentException">One is invalid; the message has its value and the allowed ones.</exception>
    public static ResultsArguments Of(IReadOnlyList<string> args)
    {
        var read = new ResultsArguments();
        for (int i = 0; i < args.Count; i++)
            read = args[i] switch
            {
                "--list" => read with { List = true },
                "--write-only" => read with { WriteOnly = true },
                "--again" => read with { Again = true },
                "--only" => read with { Only = Names(Value(ref i)) },
                "--out" => read with { Out = Value(ref i) },
                "--jobs" => read with { Jobs = JobsOf(Value(ref i)) },
                "--scale" => read with { Scale = ScaleOf(Value(ref i)) },
                var other => throw new ArgumentException($"There is no option {other}; usage: {Usage}"),
            };
        return read is { Scale: < 1, Out: null }
            ? throw new ArgumentException("A scale below 1 makes a trial, which is not a result: --out must name another folder for it.")
            : read;

        string Value(ref int i) =>
            ++i < args.Count && args[i].Length > 0 ? args[i] : throw new ArgumentException($"{args[i - 1]} has no value; usage: {Usage}");
    }

    private static string[] Names(string value) =>
        value.Split(',', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries) is { Length: > 0 } names
            ? names
            : throw new ArgumentException("--only is empty; it must name at least one recipe.");

    private static int JobsOf(string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out int n) && n is >= 1 and <= 256
            ? n
            : throw new ArgumentException($"--jobs is '{value}'; it must be an integer from 1 to 256.");

    private static double ScaleOf(string value) =>
        double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out double s) && s is > 0 and <= 1
            ? s
            : throw new ArgumentException($"--scale is '{value}'; it must be above 0 and at most 1.");
}
