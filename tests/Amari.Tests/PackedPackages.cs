using System.Diagnostics;
using System.IO.Compression;
using System.Security;
using System.Xml.Linq;
using Amari.Tests.Architecture;
using Amari.Tests.Training;

namespace Amari.Tests;

/// <summary>The packages of this build, in a folder of their own. Their version is a new one each time, as in the README, so that none is
/// found in a cache.</summary>
public sealed class PackedPackages : IDisposable
{
    private readonly TemporaryFolder _folder = new(),
        _temporary = new();
    private readonly string _version = $"0.1.0.{DateTimeOffset.UtcNow.ToUnixTimeSeconds()}";

    /// <summary>Packs all of the solution without building it.</summary>
    public PackedPackages() =>
        Dotnet(
            SourceTests.Root,
            [
                "pack",
                "--no-build",
                "-c",
                new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name,
                "-o",
                _folder.Path,
                $"-p:PackageVersion={_version}",
                "-warnaserror",
                "-v",
                "quiet",
            ]
        );

    /// <summary>The path of a package.</summary>
    public string File(string name, string extension = "nupkg") => _folder.File($"{name}.{_version}.{extension}");

    /// <summary>A package, which the caller disposes.</summary>
    public ZipArchive Open(string name, string extension = "nupkg") => ZipFile.OpenRead(File(name, extension));

    /// <summary>The text of a file in a package.</summary>
    public static string Text(ZipArchive package, string file)
    {
        using var reader = new StreamReader(package.GetEntry(file)!.Open());
        return reader.ReadToEnd();
    }

    /// <summary>What a package says about itself, by the names of the elements.</summary>
    public IReadOnlyDictionary<string, string> Specification(ZipArchive package) =>
        Nuspec(package).Elements().ToDictionary(e => e.Name.LocalName, e => e.Value);

    /// <summary>The packages that it needs.</summary>
    public IEnumerable<string> Dependencies(ZipArchive package) =>
        Nuspec(package).Descendants().Where(e => e.Name.LocalName == "dependency").Select(e => (string)e.Attribute("id")!);

    private static XElement Nuspec(ZipArchive package) =>
        XDocument
            .Parse(Text(package, package.Entries.Single(e => e.FullName.EndsWith(".nuspec", StringComparison.Ordinal)).FullName))
            .Root!.Elements()
            .Single();

    /// <summary>Writes a configuration of NuGet that has these packages as a source, leaves nothing in the user's cache, and takes from it
    /// what is there.</summary>
    public void WriteSources(string file)
    {
        string cache = Environment.GetEnvironmentVariable("NUGET_PACKAGES") is { Length: > 0 } set
            ? set
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        System.IO.File.WriteAllText(
            file,
            $"""
            <configuration>
              <config><add key="globalPackagesFolder" value="{SecurityElement.Escape(_temporary.File("cache"))}" /></config>
              <packageSources><add key="packed" value="{SecurityElement.Escape(_folder.Path)}" /></packageSources>
              <fallbackPackageFolders><add key="cache" value="{SecurityElement.Escape(cache)}" /></fallbackPackageFolders>
            </configuration>
            """
        );
    }

    /// <summary>Runs <c>dotnet</c>, which has to succeed.</summary>
    /// <returns>What it writes to standard output.</returns>
    public string Dotnet(string folder, string[] arguments)
    {
        var (code, output, error) = Run(folder, arguments);
        Assert.True(code == 0, output + error);
        return output;
    }

    /// <summary>Runs <c>dotnet</c>.</summary>
    public (int Code, string Output, string Error) Run(string folder, string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", arguments)
        {
            WorkingDirectory = folder,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        Processes.WorkIn(_temporary.Path, start);
        using var process = Process.Start(start)!;
        string[] texts = Task.WhenAll(process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync()).Result;
        process.WaitForExit();
        return (process.ExitCode, texts[0], texts[1]);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        _folder.Dispose();
        _temporary.Dispose();
    }
}
