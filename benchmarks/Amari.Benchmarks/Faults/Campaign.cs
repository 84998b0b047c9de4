using System.Globalization;
using System.Text.Json;
using Amari.Serialization;
using Amari.Training;

namespace Amari.Benchmarks.Faults;

/// <summary>Injects faults of every kind and counts what was lost. docs/reliability.md has its table.</summary>
internal static class Campaign
{
    private static readonly JsonSerializerOptions Json = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase, WriteIndented = true };

    private static IReadOnlyList<IFaultKind> All =>
        [
            new Kills(),
            new Comparisons(),
            new Signals(),
            new Corruption(),
            new FullDisk(),
            new Folders(),
            new BadBatches(),
            new RankFaults(),
            new BadInput(),
        ];

    /// <summary>The options of <c>faults</c>; 2 and a line for a bad one, 1 if anything was lost.</summary>
    public static int Run(string[] args, Func<string, int> fail)
    {
        var (kinds, repeats, seed, file) = (All, 3, 0, (string?)null);
        if (args.Length % 2 != 0)
            return fail($"{args[^1]} has no value.");
        foreach (var pair in args.Chunk(2))
        {
            bool isWhole = int.TryParse(pair[1], NumberStyles.None, CultureInfo.InvariantCulture, out int n);
            switch (pair[0])
            {
                case "--json":
                    file = pair[1];
                    break;
                case "--seed" when isWhole:
                    seed = n;
                    break;
                case "--repeats" when n >= 1:
                    repeats = n;
                    break;
                case "--kinds":
                    string[] names = pair[1].Split(',');
                    if (names.FirstOrDefault(name => All.All(k => k.Name != name)) is { } unknown)
                        return fail($"There is no kind '{unknown}'; there are {string.Join(", ", All.Select(k => k.Name))}.");
                    kinds = [.. All.Where(k => names.Contains(k.Name))];
                    break;
                case "--seed" or "--repeats":
                    return fail($"{pair[0]} is '{pair[1]}'; it must be an integer >= {(pair[0] == "--seed" ? 0 : 1)}.");
                default:
                    return fail($"There is no option {pair[0]}; faults has --kinds, --repeats, --seed, --json.");
            }
        }
        return Inject(kinds, repeats, seed, file);
    }

    private static int Inject(IReadOnlyList<IFaultKind> kinds, int repeats, int seed, string? file)
    {
        var results = new List<(IFaultKind Kind, List<Fault> Faults)>();
        string folder = Directory.CreateTempSubdirectory("amari-faults-").FullName;
        try
        {
            foreach (var kind in kinds)
            {
                var faults = new List<Fault>();
                results.Add((kind, faults));
                if (kind.Missing is { } why)
                {
                    Console.WriteLine($"{kind.Name}: not tried, {why}");
                    continue;
                }
                foreach (
                    var fault in kind.Inject(Directory.CreateDirectory(Path.Combine(folder, kind.Name)).FullName, new Random(seed), repeats)
                )
                {
                    faults.Add(fault);
                    if (fault.Loss is { } loss)
                        Console.WriteLine($"LOST {kind.Name}: {fault.What}: {Line(loss)}");
                }
                Console.WriteLine($"{kind.Name}: {faults.Count} faults, {faults.Count(f => f.Loss is not null)} losses");
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
        Print(results);
        if (file is not null)
            Serialization.AtomicFile.Write(
                file,
                stream =>
                    JsonSerializer.Serialize(
                        stream,
                        new
                        {
                            seed,
                            repeats,
                            kinds = results.Select(r => new
                            {
                                r.Kind.Name,
                                r.Kind.Promise,
                                r.Kind.Missing,
                                r.Faults,
                            }),
                        },
                        Json
                    )
            );
        return results.Any(r => r.Faults.Any(f => f.Loss is not null)) ? 1 : 0;
    }

    private static string Line(string text)
    {
        const int Longest = 400;
        string line = string.Join(' ', text.Split('\n').Select(l => l.Trim()).Where(l => l.Trim('-').Length > 0));
        return line.Length > Longest ? line[..Longest] + " .." : line;
    }

    private static void Print(List<(IFaultKind Kind, List<Fault> Faults)> results)
    {
        Console.WriteLine();
        Console.WriteLine("| kind | promise | faults | losses |");
        Console.WriteLine("|---|---|---|---|");
        foreach (var (kind, faults) in results)
            Console.WriteLine(
                $"| {kind.Name} | {kind.Promise} | {(kind.Missing is { } why ? $"not tried: {why}" : $"{faults.Count}")} | "
                    + $"{faults.Count(f => f.Loss is not null)} |"
            );
    }
}
