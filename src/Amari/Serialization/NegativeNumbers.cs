using System.Globalization;

namespace Amari.Serialization;

/// <summary>Finds negative numbers where there can be none.</summary>
internal static class NegativeNumbers
{
    /// <summary>Refuses a tensor with a negative number: its root would be NaN.</summary>
    /// <param name="name">Its name in the state.</param>
    /// <param name="tensor">Real numbers; whole ones have no sign here.</param>
    /// <param name="onDiagonal">Whether only the diagonal of the last two dimensions counts, and what is below the rounding of the largest
    /// there does not.</param>
    /// <exception cref="InvalidDataException">There is one.</exception>
    public static void Refuse(string name, Tensor tensor, bool onDiagonal = false)
    {
        if (tensor.numel() == 0 || !tensor.is_floating_point())
            return;
        using var scope = NewDisposeScope();
        var part = onDiagonal ? tensor.diagonal(0, -2, -1) : tensor;
        double least = Number(part.min()),
            rounding = onDiagonal ? finfo(tensor.dtype).eps * Number(part.max()) : 0;
        if (least < -rounding)
            throw new InvalidDataException(
                string.Create(
                    CultureInfo.InvariantCulture,
                    $"'{name}' has the number {least:G6}{(onDiagonal ? " on its diagonal" : "")}; "
                        + $"it must be 0 or more, as sums of squares are."
                )
            );

        static double Number(Tensor t) => t.to_type(ScalarType.Float64).ToDouble();
    }
}
