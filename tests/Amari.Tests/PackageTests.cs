using System.Diagnostics;
using System.IO.Compression;
using System.Xml.Linq;
using Amari.Tests.Training;

namespace Amari.Tests;

/// <summary>What <c>dotnet pack</c> makes of the library.</summary>
[Collection(nameof(Processes))]
public sealed class PackageTests
{
    private const long LargestLibrary = 3L << 19; // 1.5 MiB: code alone, no data

    [Fact]
    public void The_library_depends_on_TorchSharp_alone_and_is_complete()
    {
        string configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name,
            project = Path.Combine(Folder(), "..", "..", "src", "Amari");
        using var folder = new TemporaryFolder();
        var start = new ProcessStartInfo("dotnet", ["pack", project, "--no-build", "-c", configuration, "-o", folder.Path, "-v", "quiet"])
        {
            RedirectStandardOutput = true,
        };
        Processes.WorkIn(folder.Path, start);
        using var pack = Process.Start(start)!;
        string said = pack.StandardOutput.ReadToEnd();
        pack.WaitForExit();
        Assert.True(pack.ExitCode == 0, said);

        using var package = ZipFile.OpenRead(Assert.Single(Directory.GetFiles(folder.Path, "Amari.*.nupkg")));
        foreach (
            string file in (string[])
                [
                    "lib/net10.0/Amari.dll",
                    "lib/net10.0/Amari.xml",
                    "README.md",
                    "buildTransitive/Amari.targets",
                    "buildTransitive/AmariStart.cs",
                ]
        )
            Assert.Contains(package.Entries, e => e.FullName == file && e.Length > 0);
        Assert.InRange(package.Entries.Single(e => e.FullName == "lib/net10.0/Amari.dll").Length, 1, LargestLibrary);
        using var specification = Assert.Single(package.Entries, e => e.FullName == "Amari.nuspec").Open();
        var all = XDocument.Load(specification).Descendants().ToList();
        Assert.Equal(["TorchSharp"], all.Where(e => e.Name.LocalName == "dependency").Select(e => (string?)e.Attribute("id")));
        Assert.Equal(("MIT", "README.md"), (Text("license"), Text("readme")));
        using var symbols = ZipFile.OpenRead(Assert.Single(Directory.GetFiles(folder.Path, "Amari.*.snupkg")));
        Assert.Contains(symbols.Entries, e => e.FullName == "lib/net10.0/Amari.pdb" && e.Length > 0);

        string Text(string name) => Assert.Single(all, e => e.Name.LocalName == name).Value;
    }

    private static string Folder([System.Runtime.CompilerServices.CallerFilePath] string path = "") => Path.GetDirectoryName(path)!;
}
