using System.Globalization;

namespace Amari.Tests.Workloads;

/// <summary>Writes CSV files of made-up houses.</summary>
internal static class CsvFile
{
    /// <summary>The text of rows with a size, a town, a number of rooms, and a price that depends on them.</summary>
    public static string Houses(int rows = 60, int seed = 0)
    {
        var random = new Random(seed);
        string[] towns = ["Lyon", "Nice", "Paris"];
        var lines = Enumerable
            .Range(0, rows)
            .Select(i =>
            {
                double size = 30 + 100 * random.NextDouble();
                int town = random.Next(3),
                    rooms = random.Next(1, 5);
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"{size:F2},{towns[town]},{rooms},{1000 * (size * (town + 1) + 9 * rooms):F0}"
                );
            });
        return string.Join('\n', lines.Prepend("size,town,rooms,price"));
    }

    /// <summary>A file with this text, in a folder.</summary>
    public static string Write(string folder, string text, string name = "houses.csv")
    {
        string path = Path.Combine(folder, name);
        File.WriteAllText(path, text);
        return path;
    }
}
