using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Amari.Tests.Architecture;

/// <summary>What holds of every source file.</summary>
public sealed partial class SourceTests
{
    private const int Width = 140,
        MaxWords = 12,
        MaxTestLines = 400;

    /// <summary>Folders of tests of the whole: all that the command line does, what holds for all of a kind, and the sources
    /// themselves.</summary>
    private static readonly string[] OfTheWhole = ["Architecture", "Cli", "Contracts"];

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

    [Fact]
    public void A_test_file_has_400_lines_at_most() =>
        Assert.Empty(from file in Files("tests") where file.Lines.Length > MaxTestLines select $"{file.Name} has {file.Lines.Length}");

    [Fact]
    public void A_test_class_has_a_file_of_its_name() =>
        Assert.Empty(
            from type in typeof(SourceTests).Assembly.GetTypes()
            where !type.IsAbstract && type.GetMethods().Any(m => m.IsDefined(typeof(FactAttribute), inherit: true))
            select $"{type.Name}.cs" into name
            where !Files("tests/Amari.Tests").Any(f => Path.GetFileName(f.Name) == name)
            select name
        );

    [Fact]
    public void A_test_class_is_named_after_a_class_of_its_folder()
    {
        var sources = Files("src", "benchmarks")
            .Select(f => f.Name.Split('/'))
            .Where(f => f.Length > 3)
            .ToLookup(f => f[2], f => f[^1].Split('.')[0]);
        Assert.Empty(
            from file in Files("tests/Amari.Tests")
            let parts = file.Name.Split('/')
            where parts.Length > 3 && parts[^1].EndsWith("Tests.cs", StringComparison.Ordinal) && !OfTheWhole.Contains(parts[2])
            where !sources[parts[2]].Any(source => IsNamedAfter(parts[^1][..^"Tests.cs".Length], source))
            select file.Name
        );
    }

    /// <summary>Whether a name is that of a class, or that and a topic.</summary>
    private static bool IsNamedAfter(string name, string source) =>
        name.StartsWith(source, StringComparison.Ordinal) && (name.Length == source.Length || char.IsUpper(name[source.Length]));

    [GeneratedRegex(@"^public [^(=]*?\b(class|record struct|record|struct|interface|enum) (?<name>\w+)")]
    private static partial Regex PublicType();
}
