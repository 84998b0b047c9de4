using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>Products of matrices and stacks of matrices, whose errors are exceptions. TorchSharp's own <c>matmul</c> has no catch: where
/// memory does not suffice for the result, it ends the process.</summary>
internal static class TensorProducts
{
    private const string Function = "product";

    // An error in this text would end the process, and so would a missing end of line.
    private static readonly Lazy<jit.CompilationUnit> Unit = new(() =>
        jit.compile(
            $$"""
            def {{Function}}(a, b):
                return torch.matmul(a, b)

            """
        )
    );

    /// <summary>The product of the last two dimensions, as torch's <c>matmul</c>; the caller owns it.</summary>
    /// <exception cref="ExternalException">The shapes do not fit, or the result does not fit into memory.</exception>
    /// <remarks>Large float32 products go through the library of <see cref="Float32Products.Own"/>.</remarks>
    public static Tensor MatrixProduct(this Tensor a, Tensor b)
    {
        if (a.dim() == 2 && b.dim() == 2)
        {
            using var library = LibraryFor(a, b);
            return a.mm(b);
        }
        if (a.dim() == 3 && b.dim() == 3 && a.size(0) == b.size(0))
            return a.bmm(b);
        return Scripted(a, b);
    }

    /// <summary>β C + α A B, all of two dimensions, as torch's <c>addmm</c>; the caller owns it.</summary>
    public static Tensor PlusProduct(this Tensor c, Tensor a, Tensor b, float beta, float alpha)
    {
        using var library = LibraryFor(a, b);
        return c.addmm(a, b, beta, alpha);
    }

    /// <summary>C ← β C + α A B, all of two dimensions, as torch's <c>addmm_</c>.</summary>
    public static Tensor AddProduct(this Tensor c, Tensor a, Tensor b, float beta, float alpha)
    {
        using var library = LibraryFor(a, b);
        return c.addmm_(a, b, beta, alpha);
    }

    private static Float32Products.Use LibraryFor(Tensor a, Tensor b) =>
        a.dtype == ScalarType.Float32
        && a.device_type == DeviceType.CPU
        && a.size(0) * a.size(1) * b.size(1) >= Float32Products.LeastOperations
            ? Float32Products.Own()
            : default;

    /// <summary>libtorch's <c>matmul</c>, of any two tensors; the caller owns it.</summary>
    /// <exception cref="ExternalException">As of <see cref="MatrixProduct"/>.</exception>
    public static Tensor Scripted(Tensor a, Tensor b)
    {
        var product = (Tensor)Unit.Value.invoke(Function, [a, b]);
        GC.KeepAlive(a); // TorchSharp passes no more than their handles
        GC.KeepAlive(b);
        return product;
    }
}
