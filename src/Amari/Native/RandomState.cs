using System.Buffers.Binary;

namespace Amari.Native;

/// <summary>Checks a state of torch's random generator on the CPU that comes from a file. TorchSharp hands it to libtorch without a catch:
/// a refusal there ends the process.</summary>
/// <remarks>The state is that of the Mersenne Twister mt19937: bytes of the seed (8), of how many of its 624 numbers are left (4), of
/// whether it is seeded (4) and of the next one's index (8), then the numbers.</remarks>
internal static class RandomState
{
    private const int Left = 8,
        Seeded = 12,
        Next = 16,
        Numbers = 624;

    /// <summary>The same tensor, if a generator can go on from it.</summary>
    /// <param name="name">The tensor's name in its file.</param>
    /// <param name="state">On the CPU.</param>
    /// <exception cref="InvalidDataException">It is of another type or size, or no state of a generator; one sentence says so.</exception>
    public static Tensor Require(string name, Tensor state)
    {
        using var current = get_rng_state();
        if (state.dtype != ScalarType.Byte || state.dim() != 1 || state.numel() != current.numel())
            throw new InvalidDataException(
                $"The random state '{name}' is {state.dtype} [{string.Join(", ", state.shape)}], expected {ScalarType.Byte} "
                    + $"[{current.numel()}]."
            );
        using var contiguous = state.contiguous();
        var bytes = contiguous.bytes;
        int left = BinaryPrimitives.ReadInt32LittleEndian(bytes[Left..]);
        ulong next = BinaryPrimitives.ReadUInt64LittleEndian(bytes[Next..]);
        if (BinaryPrimitives.ReadInt32LittleEndian(bytes[Seeded..]) != 1 || left is < 1 or > Numbers || next > (ulong)(Numbers + 1 - left))
            throw new InvalidDataException(
                $"The random state '{name}' is not one of the Mersenne Twister: {left} of its {Numbers} numbers are left, and the next is "
                    + $"number {next}."
            );
        return state;
    }
}
