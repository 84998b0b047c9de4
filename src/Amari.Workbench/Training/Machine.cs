using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;
using Amari.Native;

namespace Amari.Training;

/// <summary>A machine of measurements.</summary>
/// <param name="Processor">The name of the processor if the system reports it, otherwise its architecture.</param>
/// <param name="Cores">The processors that .NET may use.</param>
/// <param name="InstructionSets">The relevant instruction sets.</param>
/// <param name="System">The operating system and its version.</param>
/// <param name="Runtime">The version of .NET.</param>
/// <param name="LibTorch">The version of libtorch; null if it is not loaded.</param>
internal sealed record Machine(
    string Processor,
    int Cores,
    IReadOnlyList<string> InstructionSets,
    string System,
    string Runtime,
    string? LibTorch
)
{
    private const string ProcessorInfo = "/proc/cpuinfo"; // of Linux

    /// <summary>The processors of the whole machine: more than <see cref="Cores"/> if the process is pinned to some of them, or a container
    /// has a share. Null if unknown.</summary>
    public int? SystemCores { get; init; }

    /// <summary>"2 cores", or "1 of 2 cores" for a part of the machine.</summary>
    public string CoresInWords => InWords(Cores, SystemCores);

    /// <summary>This machine.</summary>
    public static Machine Current { get; } =
        new(
            ProcessorName(),
            Environment.ProcessorCount,
            [.. Sets()],
            RuntimeInformation.OSDescription,
            RuntimeInformation.FrameworkDescription,
            TorchLibrary.Status.State == TorchLibraryState.Failed ? null : torch.__version__
        )
        {
            SystemCores = CountCores(),
        };

    /// <summary>As <see cref="CoresInWords"/>.</summary>
    public static string InWords(int cores, int? systemCores) =>
        systemCores > cores
            ? FormattableString.Invariant($"{cores} of {systemCores} cores")
            : FormattableString.Invariant($"{cores} core{(cores == 1 ? "" : "s")}");

    private static int? CountCores() =>
        File.Exists(ProcessorInfo)
        && File.ReadLines(ProcessorInfo).Count(line => line.StartsWith("processor\t", StringComparison.Ordinal)) is > 0 and var count
            ? count
            : null;

    private static string ProcessorName() =>
        (
            File.Exists(ProcessorInfo)
                ? File.ReadLines(ProcessorInfo).FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))
                : null
        )
            ?.Split(':', 2)[1]
            .Trim()
        ?? RuntimeInformation.ProcessArchitecture.ToString();

    /// <summary>The relevant instruction sets that both the processor and .NET support. For bfloat16 and tiles, which .NET itself does not
    /// use, the processor's CPUID flags.</summary>
    private static IEnumerable<string> Sets() =>
        from set in ((string Name, bool Present)[])
            [
                ("AVX2", Avx2.IsSupported),
                ("FMA", Fma.IsSupported),
                ("AVX-512", Avx512F.IsSupported),
                ("AVX512-BF16", Avx512F.IsSupported && Bit(Feature(1).Eax, 5)),
                ("AMX-BF16", Bit(Feature(0).Edx, 22)),
                ("AMX-INT8", Bit(Feature(0).Edx, 25)),
                ("NEON", AdvSimd.IsSupported),
            ]
        where set.Present
        select set.Name;

    private static bool Bit(int word, int bit) => (word >> bit & 1) != 0;

    /// <summary>Leaf 7 of the CPUID instruction; zeros if it does not exist.</summary>
    private static (int Eax, int Ebx, int Ecx, int Edx) Feature(int part) =>
        X86Base.IsSupported && X86Base.CpuId(0, 0).Eax >= 7 && X86Base.CpuId(7, 0).Eax >= part ? X86Base.CpuId(7, part) : default;
}
