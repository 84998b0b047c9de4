using System.Runtime.InteropServices;
using System.Text;
using Amari.Verification;

namespace Amari.Distributed;

/// <summary>The installed MPI library: its functions and constants, found at run time. Loading it does not initialise MPI.</summary>
/// <remarks>Every handle is a machine word (<c>nint</c>). If the library's handles are 32-bit integers, they are passed and returned in the
/// low half.</remarks>
internal sealed unsafe partial class MpiLibrary
{
    /// <summary>The environment variable with the path of the library to load instead of the default ones.</summary>
    public const string Variable = "AMARI_MPI_LIBRARY";
    private const string OpenMpi = "libmpi.so.40",
        Mpich = "libmpich.so.12",
        Standard = "libmpi_abi.so.1";
    private readonly nint _library;
    private readonly delegate* unmanaged<int, byte*, int*, int> _errorString;

    public readonly delegate* unmanaged<int*, nint, int, int*, int> InitThread;
    public readonly delegate* unmanaged<int> Finish;
    public readonly delegate* unmanaged<nint, int, int> AbortJob;
    public readonly delegate* unmanaged<nint, int*, int> CommRank,
        CommSize;
    public readonly delegate* unmanaged<nint, nint, int> SetErrorHandler;
    public readonly delegate* unmanaged<nint, nint*, int> Duplicate;
    public readonly delegate* unmanaged<nint, int, int, nint*, int> CommSplit;
    public readonly delegate* unmanaged<nint*, int> FreeComm;
    public readonly delegate* unmanaged<nint*, int*, nint, int> Test;

    // send, receive, count, type, op, comm, request
    public readonly delegate* unmanaged<nint, nint, int, nint, nint, nint, nint*, int> IAllReduce;
    public readonly delegate* unmanaged<nint, int, nint, int, nint, nint*, int> IBroadcast; // data, count, type, root, comm, request
    public readonly delegate* unmanaged<nint, int, nint, nint, int, nint, nint, nint*, int> IAllGather,
        IAllToAll;
    public readonly delegate* unmanaged<nint, nint, int, nint, nint, nint, nint*, int> IReduceScatter; // equal blocks
    public readonly delegate* unmanaged<nint, nint*, int> IBarrier;
    public readonly delegate* unmanaged<nint, int, nint, int, int, nint, nint*, int> ISend,
        IReceive; // data, count, type, peer, tag, comm, request

    private MpiLibrary(nint library, string name)
    {
        (_library, Name, Abi) = (library, name, MpiAbi.Of(library, name));
        InitThread = (delegate* unmanaged<int*, nint, int, int*, int>)At("MPI_Init_thread");
        Finish = (delegate* unmanaged<int>)At("MPI_Finalize");
        AbortJob = (delegate* unmanaged<nint, int, int>)At("MPI_Abort");
        CommRank = (delegate* unmanaged<nint, int*, int>)At("MPI_Comm_rank");
        CommSize = (delegate* unmanaged<nint, int*, int>)At("MPI_Comm_size");
        SetErrorHandler = (delegate* unmanaged<nint, nint, int>)At("MPI_Comm_set_errhandler");
        Duplicate = (delegate* unmanaged<nint, nint*, int>)At("MPI_Comm_dup");
        CommSplit = (delegate* unmanaged<nint, int, int, nint*, int>)At("MPI_Comm_split");
        FreeComm = (delegate* unmanaged<nint*, int>)At("MPI_Comm_free");
        Test = (delegate* unmanaged<nint*, int*, nint, int>)At("MPI_Test");
        IAllReduce = (delegate* unmanaged<nint, nint, int, nint, nint, nint, nint*, int>)At("MPI_Iallreduce");
        IBroadcast = (delegate* unmanaged<nint, int, nint, int, nint, nint*, int>)At("MPI_Ibcast");
        IAllGather = (delegate* unmanaged<nint, int, nint, nint, int, nint, nint, nint*, int>)At("MPI_Iallgather");
        IAllToAll = (delegate* unmanaged<nint, int, nint, nint, int, nint, nint, nint*, int>)At("MPI_Ialltoall");
        IReduceScatter = (delegate* unmanaged<nint, nint, int, nint, nint, nint, nint*, int>)At("MPI_Ireduce_scatter_block");
        IBarrier = (delegate* unmanaged<nint, nint*, int>)At("MPI_Ibarrier");
        ISend = (delegate* unmanaged<nint, int, nint, int, int, nint, nint*, int>)At("MPI_Isend");
        IReceive = (delegate* unmanaged<nint, int, nint, int, int, nint, nint*, int>)At("MPI_Irecv");
        _errorString = (delegate* unmanaged<int, byte*, int*, int>)At("MPI_Error_string");
    }

    /// <summary>The name it was loaded by.</summary>
    public string Name { get; }

    /// <summary>Its constants.</summary>
    public MpiAbi Abi { get; }

    /// <summary>The library's version line. Available before initialisation.</summary>
    public string Version
    {
        get
        {
            byte* text = stackalloc byte[8192];
            int length = 0;
            int code = ((delegate* unmanaged<byte*, int*, int>)At("MPI_Get_library_version"))(text, &length);
            return code != 0
                ? "version unknown"
                : Encoding.UTF8.GetString(text, Math.Clamp(length, 0, 8191)).Split('\n')[0].Split(", package")[0].Trim('\0', ' ', '\t');
        }
    }

    /// <summary>The installed library that matches the launcher; null if there is none.</summary>
    public static MpiLibrary? Find()
    {
        string[] names =
            Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } asked ? [asked]
            : !OperatingSystem.IsLinux() ? ["libmpi_abi", "libmpi", "libmpich"]
            : Launcher.IsOpenMpi ? [OpenMpi, Standard]
            : Launcher.IsPresent ? [Standard, Mpich, OpenMpi]
            : [Standard, OpenMpi, Mpich];
        // UCX, which some libraries contain, handles SIGSEGV, which .NET needs to detect null references. The variable must be set before
        // loading.
        if (OperatingSystem.IsLinux())
            _ = SetVariable("UCX_HANDLE_ERRORS", "none", overwrite: 0);
        foreach (string name in names)
            if (NativeLibrary.TryLoad(name, out nint library) && NativeLibrary.TryGetExport(library, "MPI_Init_thread", out _))
                return new(library, name);
        return null;
    }

    /// <summary>Throws for a return code other than success, with the library's error text.</summary>
    public void Check(int code, string call)
    {
        if (code == 0)
            return;
        byte* text = stackalloc byte[1024];
        int length = 0;
        string words =
            _errorString(code, text, &length) == 0 ? Encoding.UTF8.GetString(text, Math.Clamp(length, 0, 1023)) : "unknown error";
        throw new CommunicationException($"{call} failed: {words.ReplaceLineEndings(" ").Trim()} (code {code}).");
    }

    private nint At(string function) =>
        NativeLibrary.TryGetExport(_library, function, out nint address)
            ? address
            : throw new CommunicationException($"The MPI library {Name} lacks {function}; MPI version 3 or newer is needed.");

    [LibraryImport("libc", EntryPoint = "setenv", StringMarshalling = StringMarshalling.Utf8)]
    private static partial int SetVariable(string name, string value, int overwrite);
}
