using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace Amari.Native;

/// <summary>Which library multiplies float32 matrices on the CPU: MKL, libtorch's default, or oneDNN.</summary>
/// <remarks>MKL leaves the wide vectors of some CPUs (AMD's) unused; oneDNN is about twice as fast there at the same rounding. On CPUs with
/// bfloat16 matrix units (AMX) the same switch multiplies in bfloat16. So it measures its own error, and the products of a model are left
/// alone unless <see cref="UseOneDnn"/> is called. The library's own large products (of factors, inverses and orthogonalisations, and
/// passes through a model for its curvature) take oneDNN where MKL is the slower one and the error is that of float32: see
/// <see cref="OwnUseOneDnn"/>.</remarks>
public static partial class Float32Products
{
    private const int OneDnn = 2,
        Matmul = 3,
        On = 3,
        Off = 1,
        Size = 256,
        GenuineIntel = 0x756e6547; // "Genu" of the vendor's name
    private const double LargestError = 1e-5;
    private static readonly Lazy<bool> Chosen = new(() =>
    {
        try
        {
            return IsSlowWithMkl && MeasureWithOneDnn() <= LargestError;
        }
        catch (PlatformNotSupportedException)
        {
            return false;
        }
    });
    private static volatile bool _always;
    private static int _uses; // at the moment, by all threads

    /// <summary>Operations of a product, m k n, from which oneDNN's preparation is worth its time.</summary>
    internal const long LeastOperations = 128 * 128 * 128;

    /// <summary>The same of the largest product of a pass through a model, which has smaller ones beside it.</summary>
    private const long LeastOfModel = 256 * 256 * 256;

    /// <summary>Whether this library's own large float32 products on the CPU go through oneDNN: on processors with AVX-512 of other
    /// vendors than Intel, where a 256x256 product has a relative error of at most 1e-5. It depends on nothing else, so that runs are
    /// repeatable on a machine.</summary>
    public static bool OwnUseOneDnn => Chosen.Value;

    /// <summary>Until it is disposed, products are of the library that is the faster one for own products.</summary>
    internal static Use Own()
    {
        if (_always || !Chosen.Value)
            return default;
        if (Interlocked.Increment(ref _uses) == 1)
            Set(On);
        return new(true);
    }

    /// <summary>The same for the passes through a model that are this library's own: those for curvature, and those that only look at
    /// losses and outputs. Models of sequences stay with libtorch's default: oneDNN takes four times as long for the many small products
    /// of scaled dot product attention.</summary>
    /// <param name="rows">That are multiplied by its weights: examples, or positions of all examples.</param>
    /// <param name="parameters">Of the model.</param>
    /// <param name="model">Null for a plain function.</param>
    internal static Use OwnPass(long rows, IEnumerable<Tensor> parameters, nn.Module? model)
    {
        if (_always || !Chosen.Value)
            return default;
        long largest = 0;
        foreach (var w in parameters)
            if (
                LibTorch.Dimensions(w.Handle) > 1
                && LibTorch.Type(w.Handle) == ScalarType.Float32
                && LibTorch.Device(w.Handle) == DeviceType.CPU
            )
                largest = Math.Max(largest, LibTorch.Count(w.Handle));
        return rows * largest >= LeastOfModel && !(model?.modules().Any(IsOfSequences) ?? false) ? Own() : default;
    }

    /// <summary>Whether models with such a layer have attention as a rule.</summary>
    private static bool IsOfSequences(nn.Module layer) =>
        layer
            is Embedding
                or LayerNorm
                or MultiheadAttention
                or TransformerEncoderLayer
                or TransformerDecoderLayer
                or TransformerEncoder
                or TransformerDecoder
                or Transformer;

    /// <summary>A product of this library under way.</summary>
    internal readonly struct Use(bool isOneDnn) : IDisposable
    {
        public void Dispose()
        {
            if (isOneDnn && Interlocked.Decrement(ref _uses) == 0 && !_always)
                Set(Off);
        }
    }

    private static bool IsSlowWithMkl => Avx512F.IsSupported && X86Base.CpuId(0, 0) is not (_, GenuineIntel, _, _);

    /// <summary>Turns oneDNN on for this process, or leaves MKL when the error would be that of a shorter format.</summary>
    /// <returns>The relative error (Frobenius) of a 256x256 product against float64, and whether oneDNN is on.</returns>
    /// <exception cref="PlatformNotSupportedException">This build of libtorch has no such switch.</exception>
    public static (double RelativeError, bool IsOn) UseOneDnn()
    {
        double error = MeasureWithOneDnn();
        _always = error <= LargestError;
        if (_always)
            Set(On);
        return (error, _always);
    }

    /// <summary>Back to libtorch's default.</summary>
    public static void UseDefault()
    {
        _always = false;
        Set(Off);
    }

    /// <summary>The error of a product with oneDNN; MKL is back afterwards.</summary>
    private static double MeasureWithOneDnn()
    {
        Set(On);
        try
        {
            return RelativeError();
        }
        finally
        {
            Set(Off);
        }
    }

    private static double RelativeError()
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        using var generator = new Generator(1);
        var a = randn([Size, Size], dtype: ScalarType.Float32, generator: generator);
        var b = randn([Size, Size], dtype: ScalarType.Float32, generator: generator);
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
