using System.CommandLine;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text.Json;
using Amari.Cli.Reporting;
using Amari.Distributed;
using Amari.Native;
using Amari.Workloads.Data;

namespace Amari.Cli.Commands;

/// <summary><c>amari info</c>: what this machine and this build have.</summary>
internal static class InfoCommand
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        var command = new Command("info", "Versions, instruction sets, threads, native library, data sets, MPI; with --out also as info.json there.");
        common.AddToAny(command);
        command.SetAction(parsed =>
        {
            var status = TorchLibrary.Status;
            if (status.State != TorchLibraryState.Failed) common.ApplyTo(parsed, output);
            ScalarRelease.Install();
            var rows = new Dictionary<string, string>
            {
                ["amari"] = Version(typeof(Kfac).Assembly),
                [".NET"] = RuntimeInformation.FrameworkDescription,
                ["system"] = $"{RuntimeInformation.OSDescription}, {RuntimeInformation.RuntimeIdentifier}",
                ["TorchSharp"] = Version(typeof(torch).Assembly),
                ["libtorch"] = status.State == TorchLibraryState.Failed ? "not loaded" : torch.__version__,
                ["native library"] = $"{status.State}: {status.Message}",
                ["scalars"] = ScalarRelease.IsDelayed ? "freed a second after use"
                    : "freed by the finalizer: a garbage collection that another thread starts can break a native call (TorchSharp's defect)",
                ["processor"] = Machine.Processor,
                ["cores"] = $"{Environment.ProcessorCount}",
                ["threads"] = status.State == TorchLibraryState.Failed ? "none" : $"{torch.get_num_threads()}",
                ["kernels"] = Vector512.IsHardwareAccelerated ? "512-bit vectors" : Vector256.IsHardwareAccelerated ? "256-bit vectors"
                    : Vector128.IsHardwareAccelerated ? "128-bit vectors" : "scalar",
                ["digits"] = "embedded",
                ["mnist10k"] = "embedded",
                ["fashion-mnist"] = FashionMnist.IsPresent() ? FashionMnist.DefaultDirectory
                    : "not found: apt-get install dataset-fashion-mnist, or --data DIR",
                ["MPI"] = MpiInstalled(),
            };
            int width = rows.Keys.Max(k => k.Length);
            foreach (var (name, value) in rows) output.WriteLine($"{name.PadRight(width)}  {value}");
            foreach (string? file in (string?[])[parsed.GetValue(common.Json)?.FullName, parsed.GetValue(common.Out) is { } folder ? Path.Combine(folder.FullName, "info.json") : null])
                if (file is not null && Launcher.Rank == 0) ResultFolder.Write(file, JsonSerializer.Serialize(rows, Indented));
            return status.State == TorchLibraryState.Failed ? 1 : 0;
        });
        return command;
    }

    private static string Version(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";

    /// <summary>The launcher and the library with its version; no rank is started by asking.</summary>
    private static string MpiInstalled()
    {
        string? launcher = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, "mpirun")).FirstOrDefault(File.Exists);
        string? library = Mpi.InstalledVersion;
        if (launcher is null && library is null) return "not found";
        return $"{library ?? "library not found"}, launcher {launcher ?? "not found"}" + (Launcher.Size > 1 ? $", {Launcher.Size} ranks" : "");
    }
}
