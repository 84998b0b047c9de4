using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Amari.Tests.Architecture;

/// <summary>What holds of every source file.</summary>
public sealed partial class SourceTests
{
    private const int Width = 140,
        MaxWords = 12;

    public static string Root => Path.GetFullPath(Path.Combine(Path.GetDirectoryName(Here())!, "..", "..", ".."));

    private static string Here([CallerFilePath] string path = "") => path;

    private static IEnumerable<(string Name, string[] Lines)> Files(params string[] folders) =>
        from folder in folders
        from file in Directory.EnumerateFiles(Path.Combine(Root, folder), "*.cs", SearchOption.AllDirectories)
        let name = Path.GetRelativePath(Root, file).Replace('\\', '/')
        where !name.Contains("/obj/", StringComparison.Ordinal) && !name.Contains("/bin/", StringComparison.Ordinal)
        select (name, File.ReadAllLines(file));

    [Fact]
    public void No_line_is_wider_than_140_columns() =>
        Assert.Empty(
            from file in Files("src", "tests", "benchmarks", "samples")
            from line in file.Lines.Index()
            where line.Item.Length > Width
            select $"{file.Name}:{line.Index + 1} has {line.Item.Length}"
        );

    [Fact]
    public void A_file_has_one_public_type_called_as_the_file() =>
        Assert.Empty(
            from file in Files("src")
            let types = file.Lines.Select(l => PublicType().Match(l)).Where(m => m.Success).Select(m => m.Groups["name"].Value).ToList()
            where types.Distinct().Count() > 1 || types.Exists(t => t != Path.GetFileNameWithoutExtension(file.Name).Split('.')[0])
            select $"{file.Name}: {string.Join(", ", types)}"
        );

    [Fact]
    public void A_tests_name_has_twelve_words_at_most() =>
        Assert.Empty(
            from type in typeof(SourceTests).Assembly.GetTypes()
            from method in type.GetMethods()
            where method.IsDefined(typeof(FactAttribute), inherit: true) && method.Name.Split('_').Length > MaxWords
            select method.Name
        );

    [GeneratedRegex(@"^public [^(=]*?\b(class|record struct|record|struct|interface|enum) (?<name>\w+)")]
    private static partial Regex PublicType();
}
