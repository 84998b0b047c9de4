namespace Amari.Serialization;

/// <summary>A tensor in a file of PyTorch: a view of a storage.</summary>
/// <param name="Storage">Its elements.</param>
/// <param name="Offset">The place of the first element, ≥ 0.</param>
/// <param name="Shape">Its shape.</param>
/// <param name="Strides">The distance of neighbours in each dimension, in elements, ≥ 0.</param>
internal sealed record PyTorchTensor(PyTorchStorage Storage, long Offset, long[] Shape, long[] Strides)
{
    private const long MaxExpanded = 1 << 24; // elements of a tensor that has more than its storage

    /// <summary>This tensor, if it lies within its storage.</summary>
    /// <exception cref="InvalidDataException">It does not.</exception>
    public PyTorchTensor Checked()
    {
        try
        {
            long count = Shape.Aggregate(1L, (n, d) => checked(n * d)),
                last = Shape.Zip(Strides).Aggregate(Offset, (at, d) => checked(at + (d.First - 1) * d.Second));
            if (
                Shape.Length == Strides.Length
                && Offset >= 0
                && !Shape.Concat(Strides).Any(d => d < 0)
                && (count == 0 || last < Storage.Length)
                && count <= Math.Max(Storage.Length, MaxExpanded)
            )
                return this;
        }
        catch (OverflowException) { }
        throw new InvalidDataException(
            $"a tensor of shape [{string.Join(", ", Shape)}] with strides [{string.Join(", ", Strides)}] from element {Offset} does not "
                + $"fit its storage of {Storage.Length} elements"
        );
    }
}
