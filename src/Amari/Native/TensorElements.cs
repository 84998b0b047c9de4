namespace Amari.Native;

/// <summary>The elements of a tensor as an array.</summary>
internal static class TensorElements
{
    /// <summary>A copy of all elements, in row-major order; another element type is converted.</summary>
    /// <remarks>Right for a tensor that nothing else holds. <c>t.data&lt;T&gt;().ToArray()</c> is not: making the array may run the garbage
    /// collector, which frees a tensor that is not named afterwards, and the copy reads freed memory.</remarks>
    public static T[] Elements<T>(this Tensor tensor)
        where T : unmanaged
    {
        using var scope = NewDisposeScope();
        using var off = no_grad();
        var dense = tensor.to_type(Type<T>()).cpu().reshape(-1).contiguous();
        var elements = dense.data<T>().ToArray();
        GC.KeepAlive(dense);
        GC.KeepAlive(tensor);
        return elements;
    }

    private static ScalarType Type<T>() =>
        default(T) switch
        {
            double => ScalarType.Float64,
            float => ScalarType.Float32,
            long => ScalarType.Int64,
            short => ScalarType.Int16,
            byte => ScalarType.Byte,
            _ => throw new ArgumentException($"Elements are double, float, long, short or byte, not {typeof(T).Name}."),
        };
}
