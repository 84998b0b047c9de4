using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>Which library multiplies float32 matrices on the CPU: MKL, libtorch's default, or oneDNN.</summary>
/// <remarks>MKL leaves the wide vectors of some CPUs (AMD's) unused; oneDNN is about twice as fast there at the same rounding. On CPUs with
/// bfloat16 matrix units (AMX) the same switch multiplies in bfloat16: so it is never on unless asked for, and measures its own
/// error.</remarks>
public static partial class Float32Products
{
    private const int OneDnn = 2,
        Matmul = 3,
        On = 3,
        Off = 1,
        Size = 256;
    private const double LargestError = 1e-5;

    /// <summary>Turns oneDNN on for this process, or leaves MKL when the error would be that of a shorter format.</summary>
    /// <returns>The relative error (Frobenius) of a 256x256 product against float64, and whether oneDNN is on.</returns>
    /// <exception cref="PlatformNotSupportedException">This build of libtorch has no such switch.</exception>
    public static (double RelativeError, bool IsOn) UseOneDnn()
    {
        Set(On);
        double error = RelativeError();
        bool good = error <= LargestError;
        if (!good)
            Set(Off);
        return (error, good);
    }

    /// <summary>Back to libtorch's default.</summary>
    public static void UseDefault() => Set(Off);

    private static double RelativeError()
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var a = randn([Size, Size], generator: generator);
        var b = randn([Size, Size], generator: generator);
        var exact = a.to_type(ScalarType.Float64).mm(b.to_type(ScalarType.Float64));
        return (a.mm(b).to_type(ScalarType.Float64).sub(exact).norm() / exact.norm()).ToDouble();
    }

    private static void Set(int precision)
    {
        _ = TorchLibrary.Status;
        try
        {
            SetFloat32Precision(GlobalContext(), OneDnn, Matmul, precision);
        }
        catch (Exception e) when (e is EntryPointNotFoundException or DllNotFoundException)
        {
            throw new PlatformNotSupportedException("This build of libtorch cannot choose oneDNN for float32 products.", e);
        }
    }

    [LibraryImport("torch_cpu", EntryPoint = "_ZN2at13globalContextEv")]
    private static partial nint GlobalContext();

    [LibraryImport(
        "torch_cpu",
        EntryPoint = "_ZN2at7Context19setFloat32PrecisionENS_14Float32BackendENS_9Float32OpENS_16Float32PrecisionE"
    )]
    private static partial void SetFloat32Precision(nint context, int backend, int operation, int precision);
}
