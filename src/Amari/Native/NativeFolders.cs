using System.Reflection;

namespace Amari.Native;

/// <summary>The folders that may hold TorchSharp's native library and libtorch on Linux, in the order in which .NET probes them.</summary>
internal static class NativeFolders
{
    /// <summary>The full path of the first such file, or null.</summary>
    public static string? Find(string file) => All().Select(folder => Path.Combine(folder, file)).FirstOrDefault(File.Exists);

    private static IEnumerable<string> All()
    {
        if (AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") is string probed)
            foreach (var folder in probed.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries))
                yield return folder;

        yield return AppContext.BaseDirectory;
        yield return Path.Combine(AppContext.BaseDirectory, "runtimes", "linux-x64", "native");

        // Scripts and notebooks run from the package cache, where each package keeps its files to itself.
        foreach (var (package, version) in Packages)
            yield return Path.Combine(Cache, package, version, "runtimes", "linux-x64", "native");
    }

    /// <summary>The version of libtorch that this TorchSharp was built for, as in "2.10.0".</summary>
    // A constant, read without running the static constructor of torch, which loads the library.
    public static string LibTorchVersion { get; } =
        typeof(torch).GetField("libtorchPackageVersion", BindingFlags.NonPublic | BindingFlags.Static)?.GetRawConstantValue()
            is string version
            ? System.Version.Parse(version).ToString(3)
            : "";

    private static IEnumerable<(string Package, string Version)> Packages =>
        [("torchsharp", typeof(torch).Assembly.GetName().Version!.ToString(3)), ("libtorch-cpu-linux-x64", LibTorchVersion)];

    private static string Cache =>
        Environment.GetEnvironmentVariable("NUGET_PACKAGES") is { Length: > 0 } folder
            ? folder
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
}
