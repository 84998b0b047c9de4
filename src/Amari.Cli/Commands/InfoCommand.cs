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

/// <summary><c>amari info</c>: what this machine and this build have, and the settings that optimizers have on a workload.</summary>
internal static class InfoCommand
{
    private const string Document = "info.json";
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        common.Workload.Description = "also tell each optimizer's settings on this workload";
        var command = new Command(
            "info",
            "Versions, instruction sets, threads, native library, data sets, MPI; with --out also as info.json there."
        )
        {
            common.Workload,
            common.Assembly,
        };
        common.AddToAny(command);
        command.SetAction(parsed =>
        {
            var workload =
                parsed.GetValue(common.Workload) is null && parsed.GetValue(common.Assembly) is null
                    ? null
                    : WorkloadCatalog.Find(parsed.GetValue(common.Workload), parsed.GetValue(common.Assembly));
            var target =
                Launcher.Rank > 0 ? null : CommonOptions.JsonOf(parsed, parsed.GetValue(common.Json), parsed.GetValue(common.Overwrite));
            using var folder =
                parsed.GetValue(common.Out) is not { } asked || Launcher.Rank > 0
                    ? null
                    : ResultFolder.Prepare(
                        asked.FullName,
                        parsed.GetValue(common.Overwrite),
                        "info",
                        target,
                        [Document],
                        output,
                        parsed.InvocationConfiguration.Error
                    );
            var status = TorchLibrary.Status;
            if (status.State != TorchLibraryState.Failed)
                common.ApplyTo(parsed, output);
            var rows = new JsonObject
            {
                ["amari"] = Version(typeof(Kfac).Assembly),
                [".NET"] = RuntimeInformation.FrameworkDescription,
                ["system"] = $"{RuntimeInformation.OSDescription}, {RuntimeInformation.RuntimeIdentifier}",
                ["TorchSharp"] = Version(typeof(torch).Assembly),
                ["libtorch"] = status.State == TorchLibraryState.Failed ? "not loaded" : torch.__version__,
                ["native library"] = $"{status.State}: {status.Message}",
                ["scalars"] = ScalarRelease.IsDelayed
                    ? "freed a second after use"
                    : "freed by the finalizer: a garbage collection that another thread starts can break a native call (TorchSharp's "
                        + "defect)",
                ["processor"] = Machine.Processor,
                ["cores"] = $"{Environment.ProcessorCount}",
                ["threads"] = status.State == TorchLibraryState.Failed ? "none" : $"{torch.get_num_threads()}",
                ["instruction sets"] =
                    Machine.InstructionSets.Count > 0 ? string.Join(", ", Machine.InstructionSets) : "none that matter here",
                ["kernels"] =
                    Vector512.IsHardwareAccelerated ? "512-bit vectors"
                    : Vector256.IsHardwareAccelerated ? "256-bit vectors"
                    : Vector128.IsHardwareAccelerated ? "128-bit vectors"
                    : "scalar",
                ["digits"] = "embedded",
                ["mnist10k"] = "embedded",
                ["pride-and-prejudice"] = "embedded",
                ["fashion-mnist"] = FashionMnist.IsPresent()
                    ? FashionMnist.DefaultDirectory
                    : "not found: apt-get install dataset-fashion-mnist, or --data DIR",
                ["MPI"] = MpiInstalled(),
            };
            Columns(rows.Select(r => (r.Key, (string)r.Value!)));
            if (workload is not null)
            {
                output.WriteLine();
                output.WriteLine($"Settings on {workload.Name} (what is not named has the optimizer's default; --json tells all):");
                Columns(
                    OptimizerCatalog.All.Select(e =>
                        (
                            e.Name,
                            e.SettingsIn(workload) is { Count: > 0 } some
                                ? string.Join(" ", some.Select(s => $"{s.Key}={s.Value}"))
                                : "its defaults"
                        )
                    )
                );
                rows["settings"] = new JsonObject(
                    OptimizerCatalog.All.Select(e =>
                        KeyValuePair.Create(
                            e.Name,
                            JsonSerializer.SerializeToNode(Settings.Describe(Settings.Apply(e.OptionsType, e.SettingsIn(workload))))
                        )
                    )
                );
            }
            string json = rows.ToJsonString(Indented);
            folder?.WriteResult(json);
            int code = folder?.ExitCode(0) ?? (ResultFolder.Deliver(target, json, parsed.InvocationConfiguration.Error) ? 0 : 1);
            return status.State == TorchLibraryState.Failed ? 1 : code;

            void Columns(IEnumerable<(string Name, string Value)> lines)
            {
                int width = lines.Max(l => l.Name.Length);
                foreach (var (name, value) in lines)
                    output.WriteLine($"{name.PadRight(width)}  {value}");
            }
        });
        return command;
    }

    private static string Version(Assembly assembly) =>
        assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "unknown";

    /// <summary>The launcher and the library with its version; no rank is started by asking.</summary>
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
