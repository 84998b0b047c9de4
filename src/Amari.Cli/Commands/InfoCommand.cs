using System.CommandLine;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Distributed;
using Amari.Native;
using Amari.Optimizers;
using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using Amari.Workloads.Data;

namespace Amari.Cli.Commands;

/// <summary><c>amari info</c>: the properties of this machine and this build, and the optimizers' settings on a workload.</summary>
internal static class InfoCommand
{
    private const string Document = "info.json";
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        common.Out.Description = "folder for info.json (default: none)";
        common.Workload.Description = "also show each optimizer's settings on this workload";
        var command = new Command(
            "info",
            "Versions, instruction sets, threads, native library, data sets and MPI; with --out also in info.json there."
        )
        {
            common.Workload,
            common.Assembly,
        };
        common.AddToAny(command);
        command.SetAction(parsed => Run(parsed, common, output));
        return command;
    }

    private static int Run(ParseResult parsed, CommonOptions common, TextWriter output)
    {
        var workload =
            parsed.GetValue(common.Workload) is null && parsed.GetValue(common.Assembly) is null
                ? null
                : WorkloadCatalog.Find(parsed.GetValue(common.Workload), parsed.GetValue(common.Assembly));
        var target =
            Launcher.Rank > 0 ? null : CommonOptions.JsonOf(parsed, parsed.GetValue(common.Json), parsed.GetValue(common.Overwrite));
        using var folder =
            parsed.GetValue(common.Out) is not { } requested || Launcher.Rank > 0
                ? null
                : ResultFolder.Prepare(
                    requested.FullName,
                    parsed.GetValue(common.Overwrite),
                    "info",
                    target,
                    [Document],
                    output,
                    parsed.InvocationConfiguration.Error
                );
        bool isLoaded = TorchLibrary.Status.State != TorchLibraryState.Failed;
        if (isLoaded)
            common.ApplyTo(parsed, output);
        var rows = Rows(isLoaded);
        WriteColumns(output, rows.Select(r => (r.Key, (string)r.Value!)));
        if (workload is not null)
        {
            output.WriteLine();
            output.WriteLine(
                ConsoleText.Wrap(
                    $"Settings on {workload.Name} (other options have their defaults; --json shows all):",
                    ConsoleText.WidthOf(output)
                )
            );
            WriteColumns(output, OptimizerCatalog.All.Select(e => (e.Name, SettingsOf(e, workload))));
            rows["settings"] = AllSettings(workload);
        }
        string json = rows.ToJsonString(Indented);
        folder?.WriteResult(json);
        int code = folder?.ExitCode(0) ?? (ResultFolder.Deliver(target, json, parsed.InvocationConfiguration.Error) ? 0 : 1);
        return isLoaded ? code : 1;
    }

    private static JsonObject Rows(bool isLoaded) =>
        new()
        {
            ["amari"] = Version(typeof(Kfac).Assembly),
            [".NET"] = Machine.Current.Runtime,
            ["system"] = $"{Machine.Current.System}, {RuntimeInformation.RuntimeIdentifier}",
            ["TorchSharp"] = Version(typeof(torch).Assembly),
            ["libtorch"] = Machine.Current.LibTorch ?? "not loaded",
            ["native library"] = $"{TorchLibrary.Status.State}: {TorchLibrary.Status.Message}",
            ["scalars"] = ScalarRelease.IsDelayed
                ? "freed a second after use"
                : "freed by the finalizer: a garbage collection on another thread can break a native call (a defect of TorchSharp)",
            ["processor"] = Machine.Current.Processor,
            ["cores"] = $"{Environment.ProcessorCount}",
            ["threads"] = isLoaded ? $"{torch.get_num_threads()}" : "none",
            ["instruction sets"] = Machine.Current.InstructionSets is { Count: > 0 } sets
                ? string.Join(", ", sets)
                : "none of the relevant ones",
            ["kernels"] =
                Vector512.IsHardwareAccelerated ? "512-bit vectors"
                : Vector256.IsHardwareAccelerated ? "256-bit vectors"
                : Vector128.IsHardwareAccelerated ? "128-bit vectors"
                : "scalar",
            ["products"] =
                !isLoaded ? "none"
                : Float32Products.OwnUseOneDnn ? "float32 products of factors and inverses by oneDNN, those of models by MKL"
                : RuntimeInformation.ProcessArchitecture == Architecture.X64 ? "float32 by MKL"
                : "float32 by libtorch's default",
            ["digits"] = "embedded",
            ["mnist10k"] = "embedded",
            ["pride-and-prejudice"] = "embedded",
            ["fashion-mnist"] = FashionMnist.IsPresent()
                ? FashionMnist.DefaultDirectory
                : "not found: apt-get install dataset-fashion-mnist, or --data DIR",
            ["MPI"] = MpiInstalled(),
        };

    private static string SettingsOf(OptimizerEntry entry, Workload workload) =>
        entry.SettingsIn(workload) is { Count: > 0 } settings
            ? string.Join(" ", settings.Select(s => $"{s.Key}={s.Value}"))
            : "its defaults";

    private static JsonObject AllSettings(Workload workload) =>
        new(
            OptimizerCatalog.All.Select(e =>
                KeyValuePair.Create(
                    e.Name,
                    JsonSerializer.SerializeToNode(Settings.Describe(Settings.Apply(e.OptionsType, e.SettingsIn(workload))))
                )
            )
        );

    private static void WriteColumns(TextWriter output, IEnumerable<(string Name, string Value)> lines)
    {
        int names = lines.Max(l => l.Name.Length),
            width = ConsoleText.WidthOf(output);
        foreach (var (name, value) in lines)
            output.WriteLine(ConsoleText.Wrap($"{name.PadRight(names)}  {value}", width));
    }

    private static string Version(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";

    /// <summary>The launcher and the library with its version. Does not initialise MPI.</summary>
    private static string MpiInstalled()
    {
        string? launcher = (Environment.GetEnvironmentVariable("PATH") ?? "")
            .Split(Path.PathSeparator)
            .Select(folder => Path.Combine(folder, "mpirun"))
            .FirstOrDefault(File.Exists);
        string? library = Mpi.InstalledVersion;
        if (launcher is null && library is null)
            return "not found";
        return $"{library ?? "library not found"}, launcher {launcher ?? "not found"}"
            + (Launcher.Size > 1 ? $", {Launcher.Size} ranks" : "");
    }
}
