using System.Diagnostics;
using Amari.Benchmarks.Faults;

namespace Amari.Benchmarks.Results;

/// <summary>Runs parts as child processes of this program's build.</summary>
internal sealed class ChildProcess : IPartRunner
{
    private const int Terminate = 15; // a comparison that already saw Ctrl-C takes it as its first, too

    /// <inheritdoc/>
    public string? Missing(PartKind kind) => kind == PartKind.RankedBenchmark && Tool.Find("mpirun") is null ? "no MPI is installed" : null;

    /// <inheritdoc/>
    public async Task<int> Run(PartKind kind, IReadOnlyList<string> arguments, string log, CancellationToken stop)
    {
        string[] ranks = Tool.Find("ompi_info") is null ? [] : ["--allow-run-as-root", "--oversubscribe", "--bind-to", "none"];
        string[] program = [Tool.Command[0], kind == PartKind.Comparison ? Tool.Command[1] : typeof(ChildProcess).Assembly.Location];
        string[] line = kind == PartKind.RankedBenchmark ? ["mpirun", .. ranks, "-np", "2", .. program] : program;
        var start = new ProcessStartInfo(line[0], [.. line[1..], .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
        };
        await using var file = new StreamWriter(log, append: true) { AutoFlush = true };
        using var process = new Process { StartInfo = start };
        process.OutputDataReceived += (_, e) => Append(e.Data);
        process.ErrorDataReceived += (_, e) => Append(e.Data);
        process.Start();
        process.StandardInput.Close();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        using (stop.Register(() => Tool.Signal(process.Id, Terminate)))
            await process.WaitForExitAsync(CancellationToken.None);
        return process.ExitCode;

        void Append(string? text)
        {
            if (text is not null)
                lock (file)
                    file.WriteLine(text);
        }
    }
}
