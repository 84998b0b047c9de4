using System.Runtime.InteropServices;

namespace Amari.Cli.Reporting;

/// <summary>What the numbers were measured on.</summary>
internal static class Machine
{
    /// <summary>The processor's own name where the system tells it, else its architecture.</summary>
    public static string Processor { get; } =
        (File.Exists("/proc/cpuinfo") ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal)) : null)
            ?.Split(':', 2)[1].Trim() ?? RuntimeInformation.ProcessArchitecture.ToString();
}
