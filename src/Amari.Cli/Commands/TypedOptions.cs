using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary>Options by the type of their values: names of files and folders, integers, shares and times.</summary>
internal static class TypedOptions
{
    /// <summary>Refuses an empty name, which an unset shell variable gives.</summary>
    public static Option<string?> Named(Option<string?> option)
    {
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && string.IsNullOrWhiteSpace(result.Tokens[0].Value))
                result.AddError($"{option.Name} is ''; it must name a {(option.HelpName == "DIR" ? "folder" : "file")}.");
        });
        return option;
    }

    /// <summary>The option of a folder of results.</summary>
    public static Option<DirectoryInfo?> ResultsFolder(string name, string description) =>
        new(name)
        {
            Description = description,
            HelpName = "DIR",
            CustomParser = result =>
            {
                if (!string.IsNullOrWhiteSpace(result.Tokens[0].Value))
                    return new(result.Tokens[0].Value);
                result.AddError($"{name} is ''; it must name a folder.");
                return null;
            },
        };

    /// <summary>The option of a folder that exists.</summary>
    public static Option<string?> Folder(string name, string description)
    {
        var option = new Option<string?>(name) { Description = description, HelpName = "DIR" };
        option.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && !Directory.Exists(result.Tokens[0].Value))
                result.AddError($"{name} is '{result.Tokens[0].Value}'; this folder does not exist.");
        });
        return option;
    }

    /// <summary>An integer option with a range.</summary>
    public static Option<int> Integer(string name, string description, int min, int preset, int max = int.MaxValue) =>
        new(name)
        {
            Description = description,
            HelpName = "N",
            DefaultValueFactory = _ => preset,
            CustomParser = result => ReadInteger(name, result, min, max) ?? preset,
        };

    /// <summary>An integer option with a range; null if it is not set.</summary>
    public static Option<int?> OptionalInteger(string name, string description, int min, int max = int.MaxValue) =>
        new(name)
        {
            Description = description,
            HelpName = "N",
            CustomParser = result => ReadInteger(name, result, min, max),
        };

    private static int? ReadInteger(string name, ArgumentResult result, int min, int max)
    {
        string text = result.Tokens[0].Value;
        bool isInteger = int.TryParse(text, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out int n);
        if (isInteger && n >= min && n <= max)
            return n;
        string value = isInteger ? text : $"'{text}'";
        result.AddError($"{name} is {value}; it must be an integer >= {min} and <= {max}.");
        return null;
    }

    /// <summary>The option of a share, as a percentage or a number.</summary>
    /// <param name="name">Of the option.</param>
    /// <param name="description">Of the option.</param>
    /// <param name="preset">Its default.</param>
    /// <param name="isAllowed">Whether a share is in the range.</param>
    /// <param name="range">The range, in words.</param>
    public static Option<double> Share(string name, string description, double preset, Func<double, bool> isAllowed, string range) =>
        new(name)
        {
            Description = $"{description}: 5% or 0.05",
            DefaultValueFactory = _ => preset,
            HelpName = "SHARE",
            CustomParser = result =>
            {
                string text = result.Tokens[0].Value;
                bool percent = text.EndsWith('%');
                if (
                    double.TryParse(percent ? text[..^1] : text, NumberStyles.Float, CultureInfo.InvariantCulture, out double value)
                    && isAllowed(value = percent ? value / 100 : value)
                )
                    return value;
                result.AddError($"{name} is '{text}'; it must be a share such as 5% or 0.05, {range}.");
                return preset;
            },
        };

    /// <summary>A time option; null if it is not set.</summary>
    public static Option<Budget?> Time(string name, string description) =>
        new(name)
        {
            Description = description,
            HelpName = "TIME",
            CustomParser = result => ReadTime(name, result),
        };

    private static Budget? ReadTime(string name, ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (Seconds(text) is { } seconds)
            return Budget.OfSeconds(seconds);
        result.AddError($"{name} is '{text}'; it must be a time > 0, such as 60s, 2m or 500ms.");
        return null;
    }

    /// <summary>Converts a time such as 60s, 2m or 500ms to seconds; null if it is not a time.</summary>
    public static double? Seconds(string text)
    {
        foreach (var (unit, seconds) in new[] { ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0) })
            if (
                text.EndsWith(unit, StringComparison.Ordinal)
                && double.TryParse(text[..^unit.Length], NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out double value)
                && value > 0
            )
                return value * seconds;
        return null;
    }
}
