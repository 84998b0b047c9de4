using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.Arm;
using System.Runtime.Intrinsics.X86;

namespace Amari.Reporting;

/// <summary>The machine of the measurements.</summary>
internal static class Machine
{
    /// <summary>The name of the processor if the system reports it, otherwise its architecture.</summary>
    public static string Processor { get; } =
        (
            File.Exists("/proc/cpuinfo")
                ? File.ReadLines("/proc/cpuinfo").FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))
                : null
        )
            ?.Split(':', 2)[1]
            .Trim()
        ?? RuntimeInformation.ProcessArchitecture.ToString();

    /// <summary>The relevant instruction sets that both the processor and .NET support. For bfloat16 and tiles, which .NET itself does not
    /// use, the processor's CPUID flags.</summary>
    public static IReadOnlyList<string> InstructionSets { get; } =
    [
        .. from set in ((string Name, bool Present)[])
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
        select set.Name,
    ];

    private static bool Bit(int word, int bit) => (word >> bit & 1) != 0;

    /// <summary>Leaf 7 of the CPUID instruction; zeros if it does not exist.</summary>
    private static (int Eax, int Ebx, int Ecx, int Edx) Feature(int part) =>
        X86Base.IsSupported && X86Base.CpuId(0, 0).Eax >= 7 && X86Base.CpuId(7, 0).Eax >= part ? X86Base.CpuId(7, part) : default;
}
