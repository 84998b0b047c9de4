using System.Runtime.InteropServices;

namespace Amari.Distributed;

/// <summary>The binary interfaces of MPI libraries.</summary>
internal enum MpiAbiKind
{
    /// <summary>The standard interface of MPI 5.</summary>
    Standard,

    /// <summary>Handles are addresses.</summary>
    OpenMpi,

    /// <summary>Handles are 32-bit integers. Also used by Intel MPI and MVAPICH.</summary>
    Mpich,
}

/// <summary>The constants of one binary interface. A handle is a machine word; MPICH's are in its low half.</summary>
internal sealed record MpiAbi(
    MpiAbiKind Kind,
    nint World,
    nint Float,
    nint Double,
    nint Byte,
    nint Sum,
    nint Max,
    nint ErrorsReturn,
    nint InPlace,
    nint StatusIgnore,
    int ThreadMultiple
)
{
    /// <summary>The constants of a loaded library.</summary>
    /// <param name="library">Its handle.</param>
    /// <param name="name">The name it was loaded by. The name of the standard interface is part of the standard.</param>
    public static MpiAbi Of(nint library, string name)
    {
        if (Path.GetFileName(name).Contains("mpi_abi", StringComparison.Ordinal))
            return new(MpiAbiKind.Standard, 0x101, 0x210, 0x214, 0x247, 0x21, 0x23, 0x143, 1, 0, 4096);
        if (NativeLibrary.TryGetExport(library, "ompi_mpi_comm_world", out nint world))
            return new(
                MpiAbiKind.OpenMpi,
                world,
                At("ompi_mpi_float"),
                At("ompi_mpi_double"),
                At("ompi_mpi_byte"),
                At("ompi_mpi_op_sum"),
                At("ompi_mpi_op_max"),
                At("ompi_mpi_errors_return"),
                1,
                0,
                3
            );
        return new(MpiAbiKind.Mpich, 0x44000000, 0x4c00040a, 0x4c00080b, 0x4c00010d, 0x58000003, 0x58000001, 0x54000001, -1, 1, 3);

        nint At(string symbol) => NativeLibrary.GetExport(library, symbol);
    }
}
