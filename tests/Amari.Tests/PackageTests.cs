using System.IO.Compression;
using System.IO.Enumeration;
using System.Text.Json;
using System.Text.RegularExpressions;
using System.Xml.Linq;
using Amari.Tests.Architecture;
using Amari.Tests.Cli;
using Amari.Tests.Training;

namespace Amari.Tests;

/// <summary>What <c>dotnet pack</c> makes.</summary>
[Collection(nameof(Processes))]
public sealed partial class PackageTests(PackedPackages packages) : IClassFixture<PackedPackages>
{
    private const long LargestLibrary = 3L << 19; // 1.5 MiB: code alone, no data
    private static readonly string[] Systems = ["linux-x64", "osx-arm64", "win-x64", "win-arm64"];

    [GeneratedRegex(@"\]\((?!https://)[^)]*\)")]
    private static partial Regex RelativeLink();

    [GeneratedRegex("`([^`]+)`")]
    private static partial Regex Quoted();

    public static TheoryData<string> Names => ["Amari", "Amari.Workbench", "Amari.Tool", "Amari.Templates"];

    [Theory, MemberData(nameof(Names))]
    public void Each_package_presents_itself(string name)
    {
        using var package = packages.Open(name);
        var about = packages.Specification(package);
        Assert.Equal(("MIT", "README.md", "icon.png"), (about["license"], about["readme"], about["icon"]));
        Assert.StartsWith("https://", about["projectUrl"], StringComparison.Ordinal);
        Assert.All(
            (string[])["README.md", "icon.png", "LICENSE", "THIRD-PARTY-NOTICES.md"],
            file => Assert.Contains(package.Entries, e => e.FullName == file && e.Length > 0)
        );
        Assert.Empty(RelativeLink().Matches(PackedPackages.Text(package, "README.md")).Select(m => m.Value));
    }

    [Fact]
    public void The_library_depends_on_TorchSharp_alone_and_is_complete()
    {
        using var package = packages.Open("Amari");
        foreach (
            string file in (string[])
                ["lib/net10.0/Amari.dll", "lib/net10.0/Amari.xml", "buildTransitive/Amari.targets", "buildTransitive/AmariStart.cs"]
        )
            Assert.Contains(package.Entries, e => e.FullName == file && e.Length > 0);
        Assert.InRange(package.GetEntry("lib/net10.0/Amari.dll")!.Length, 1, LargestLibrary);
        Assert.Equal(["TorchSharp"], packages.Dependencies(package));
        using var symbols = packages.Open("Amari", "snupkg");
        Assert.Contains(symbols.Entries, e => e.FullName == "lib/net10.0/Amari.pdb" && e.Length > 0);
    }

    [Fact]
    public void The_workbench_states_the_licences_of_its_data_and_font()
    {
        using var package = packages.Open("Amari.Workbench");
        Assert.Contains("Amari", packages.Dependencies(package));
        Assert.All(
            (string[])["docs/data-licences.md", "DejaVuSans.LICENSE.txt"],
            file => Assert.Contains(package.Entries, e => e.FullName == file && e.Length > 0)
        );
    }

    /// <summary>It only names the packages of the systems, which <c>.ci/run</c> packs, installs and runs for its own.</summary>
    [Fact]
    public void The_tool_has_a_package_for_each_system()
    {
        using var package = packages.Open("Amari.Tool");
        var settings = XDocument.Parse(PackedPackages.Text(package, "tools/any/any/DotnetToolSettings.xml"));
        Assert.Equal(
            Systems.Select(s => (s, $"Amari.Tool.{s}")),
            settings
                .Descendants("RuntimeIdentifierPackage")
                .Select(e => ((string)e.Attribute("RuntimeIdentifier")!, (string)e.Attribute("Id")!))
        );
        Assert.DoesNotContain(package.Entries, e => e.FullName.EndsWith(".dll", StringComparison.Ordinal));
    }

    [Fact]
    public void Every_package_that_the_tool_contains_is_in_the_notices()
    {
        string[] named =
        [
            .. Quoted().Matches(File.ReadAllText(Path.Combine(SourceTests.Root, "THIRD-PARTY-NOTICES.md"))).Select(m => m.Groups[1].Value),
        ];
        using var contents = JsonDocument.Parse(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Amari.Cli.deps.json")));
        Assert.All(
            contents
                .RootElement.GetProperty("libraries")
                .EnumerateObject()
                .Where(l => l.Value.GetProperty("type").GetString() == "package"),
            l => Assert.Contains(named, n => FileSystemName.MatchesSimpleExpression(n, l.Name.Split('/')[0]))
        );
    }

    /// <summary>Of the processor, too: there are two for Windows, and none for Linux on ARM64.</summary>
    [Fact]
    public void Programs_bring_the_libtorch_of_their_system()
    {
        string[] evaluate = ["msbuild", Path.Combine(SourceTests.Root, "src", "Amari.Cli"), "-nologo"];
        Assert.Contains(
            "\"libtorch-cpu-win-arm64\"",
            packages.Dotnet(SourceTests.Root, [.. evaluate, "-getItem:PackageReference", "-p:RuntimeIdentifier=win-arm64"]),
            StringComparison.Ordinal
        );
        var (code, output, _) = packages.Run(SourceTests.Root, [.. evaluate, "-t:RequireLibTorch", "-p:RuntimeIdentifier=linux-arm64"]);
        Assert.NotEqual(0, code);
        Assert.Contains("There is no libtorch for linux-arm64", output, StringComparison.Ordinal);
    }

    [Fact]
    public void Parts_of_libtorch_that_only_Python_loads_are_left_out() =>
        Assert.DoesNotContain(
            Directory.EnumerateFiles(AppContext.BaseDirectory, "*", SearchOption.AllDirectories),
            f => Path.GetFileName(f).Contains("torch_python", StringComparison.Ordinal)
        );

    /// <summary>As a user does: <c>dotnet new</c>, build, run.</summary>
    [Fact]
    public async Task Templates_become_projects_that_build_and_run()
    {
        using var folder = new TemporaryFolder();
        string[] hive = ["--debug:custom-hive", folder.File("hive")];
        packages.Dotnet(folder.Path, ["new", "install", packages.File("Amari.Templates"), .. hive]);
        packages.Dotnet(folder.Path, ["new", "amari-workload", "-n", "house-prices", .. hive]);
        packages.Dotnet(folder.Path, ["new", "amari-train", "-n", "Ring", .. hive]);
        packages.WriteSources(folder.File("nuget.config"));
        File.WriteAllText(
            folder.File("all.slnx"),
            """<Solution><Project Path="house-prices/house-prices.csproj" /><Project Path="Ring/Ring.csproj" /></Solution>"""
        );
        packages.Dotnet(
            folder.Path,
            ["build", "all.slnx", "-c", "Release", "-warnaserror", "-p:CreateSymbolicLinksForCopyLocalFilesIfPossible=true"]
        );

        string[] lines = packages.Dotnet(folder.File("Ring"), ["bin/Release/net10.0/Ring.dll", "adamw"]).TrimEnd().Split('\n');
        Assert.Equal(20, lines.Length);
        string newest = Directory.GetFiles(folder.File("Ring/adamw-checkpoints"), "*.safetensors").Max()!;
        File.WriteAllText(newest, "torn");
        foreach (string argument in (string[])["adamw", "sgd"])
        {
            var (refused, _, why) = packages.Run(folder.File("Ring"), ["bin/Release/net10.0/Ring.dll", argument]);
            Assert.Equal(2, refused);
            Assert.Contains(argument == "sgd" ? "'sgd'; they must be" : "damaged", Assert.Single(why.Trim().Split('\n')));
        }
        Assert.Equal("torn", File.ReadAllText(newest));
        using var tool = new ToolProcess([
            "train",
            "--assembly",
            folder.File("house-prices/bin/Release/net10.0/house-prices.dll"),
            "--optimizer",
            "adamw",
            "--budget",
            "100ms",
            "--out",
            folder.File("out"),
        ]);
        var (code, output, error) = await tool.End();
        Assert.True(code == 0 && output.Contains("house-prices", StringComparison.Ordinal), output + error);
    }
}
