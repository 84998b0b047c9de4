using System.Runtime.CompilerServices;
using Amari.Verification;

namespace Amari.Native;

/// <summary>What decides whether a tensor can be handed to a kernel, read from the tensor's own memory in a nanosecond.</summary>
/// <remarks>
/// Two tensors with equal headers agree in count, element type, device, contiguity and kind (dense, sparse, ...), because each is a
/// field of the compared words; so what was found out for one by calls into libtorch holds for the other. Fields of
/// c10::TensorImpl in libtorch 2.10, in words of 8 bytes:
/// <code>
///  2  storage → StorageImpl, whose word 2 is the address of the first byte
/// 19  storage offset in elements        20  number of elements
/// 21  element type, device, contiguity  22  dispatch keys
/// </code>
/// The layout is that of one version, and is checked against calls once; where it is another, <see cref="IsKnown"/> is false.
/// </remarks>
internal readonly unsafe struct TensorHeader : IEquatable<TensorHeader>
{
    private const int Storage = 2,
        Address = 2,
        Offset = 19,
        Count = 20,
        Type = 21,
        Keys = 22;
    private const ulong Used = ulong.MaxValue >> 1; // the top bit of word 21 is no field, and is never written

    private readonly long _count;
    private readonly ulong _type,
        _keys;

    private TensorHeader(ulong* words) => (_count, _type, _keys) = ((long)words[Count], words[Type] & Used, words[Keys]);

    /// <summary>Whether headers can be read here; without it, nothing else may be called.</summary>
    public static bool IsKnown { get; } = NativeFolders.LibTorchVersion == "2.10.0" && sizeof(nint) == 8 && Check();

    /// <summary>The header of the tensor with this handle.</summary>
    public static TensorHeader Of(nint tensor) => new(*(ulong**)tensor);

    /// <summary>Whether the tensors are of one kind: dense or sparse, of one kind of device, both with gradients or both from inference
    /// mode.</summary>
    public static bool AreAlike(nint a, nint b) => Of(a)._keys == Of(b)._keys;

    /// <summary>The address of the first element of a dense tensor.</summary>
    public static nint DataPointer(nint tensor, int elementSize)
    {
        var words = *(ulong**)tensor;
        return (nint)(((ulong*)words[Storage])[Address] + words[Offset] * (ulong)elementSize);
    }

    /// <inheritdoc/>
    public bool Equals(TensorHeader other) => _count == other._count && _type == other._type && _keys == other._keys;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => obj is TensorHeader other && Equals(other);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(_count, _type, _keys);

    private static bool Check()
    {
        using var scope = NewDisposeScope();
        var plain = zeros([5, 7], ScalarType.Float32);
        Tensor[] others =
        [
            plain.t(),
            plain.narrow(0, 1, 3),
            plain.to_type(ScalarType.BFloat16),
            plain.to_type(ScalarType.Float64),
            zeros([2, 1, 1, 1, 1, 1, 9], ScalarType.Float32),
        ];
        return Matches(plain)
            && Of(plain.Handle).Equals(Of(zeros([7, 5], ScalarType.Float32).Handle))
            && others.All(t => Matches(t) && !Of(t.Handle).Equals(Of(plain.Handle)));
    }

    private static bool Matches(Tensor tensor)
    {
        var header = Of(tensor.Handle);
        return header._count == LibTorch.Count(tensor.Handle)
            && (ScalarType)(header._type & 0xFFFF) == LibTorch.Type(tensor.Handle)
            && DataPointer(tensor.Handle, (int)tensor.ElementSize) == LibTorch.DataPointer(tensor.Handle);
    }
}
