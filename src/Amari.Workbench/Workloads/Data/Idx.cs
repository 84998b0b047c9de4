using System.Buffers.Binary;
using System.IO.Compression;

namespace Amari.Workloads.Data;

/// <summary>Reads IDX, the format of MNIST and its look-alikes: a big-endian header, then unsigned bytes in row-major order.</summary>
/// <remarks><code>
/// 00 00 08 d | d sizes, 4 bytes each | the bytes      08: unsigned bytes, d: number of dimensions
/// </code>Plain or compressed by gzip, told apart by content: a gzip file begins 1F 8B, an IDX file 00 00. A gzip file of several
/// members one after another is refused, as no data set is published so.</remarks>
public static class Idx
{
    private const byte UnsignedByte = 0x08;

    /// <summary>The file's array, uint8, shaped as its header says. The caller owns it.</summary>
    /// <exception cref="FileNotFoundException">There is no such file.</exception>
    /// <exception cref="InvalidDataException">The file is not IDX of unsigned bytes, is cut off, or goes on after its end.</exception>
    public static Tensor Read(string path)
    {
        using var file = File.OpenRead(path);
        return Read(file, path);
    }

    /// <param name="file">Seekable, at its beginning.</param>
    /// <param name="name">Names the file in errors.</param>
    internal static Tensor Read(Stream file, string name)
    {
        var bytes = ReadAll(file, name);
        if (bytes.Length < 4)
            throw Malformed(name, $"it has {bytes.Length} bytes, which is shorter than a header");
        if (bytes[0] != 0 || bytes[1] != 0)
            throw Malformed(name, $"it begins with the bytes {bytes[0]:X2} {bytes[1]:X2}, expected 00 00");
        if (bytes[2] != UnsignedByte)
            throw Malformed(name, $"its type is {bytes[2]:X2}, expected 08 (unsigned bytes)");

        var shape = new long[bytes[3]];
        var start = 4 + 4 * shape.Length;
        if (shape.Length == 0)
            throw Malformed(name, "it has no dimensions");
        if (bytes.Length < start)
            throw Malformed(name, $"its header of {shape.Length} dimensions is cut off");
        for (var i = 0; i < shape.Length; i++)
            shape[i] = BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(4 + 4 * i));

        // In 128 bits: four sizes can multiply past 64, and a product that wraps around must not look right.
        var expected = shape.Aggregate(Int128.One, (product, size) => Int128.Min(product * size, long.MaxValue));
        if (bytes.Length - start != expected)
            throw Malformed(name, $"its header promises {string.Join(" x ", shape)} bytes of data, it has {bytes.Length - start}");
        return tensor(bytes[start..], shape);
    }

    private static byte[] ReadAll(Stream file, string name)
    {
        var compressed = file.ReadByte() == 0x1F && file.ReadByte() == 0x8B;
        file.Position = 0;
        using var content = compressed ? new GZipStream(file, CompressionMode.Decompress, leaveOpen: true) : file;
        using var all = new MemoryStream();
        try
        {
            content.CopyTo(all);
        }
        catch (InvalidDataException e)
        {
            throw Malformed(name, $"it cannot be decompressed ({e.Message})", e);
        }
        if (compressed && LengthInTrailer(file) != (uint)all.Length)
            throw Malformed(name, "its compressed data is cut off");
        return all.ToArray();
    }

    /// <summary>The size mod 2^32 that ends a gzip file (RFC 1952), null if it is too short to have one.
    /// <see cref="GZipStream"/> takes a file that is cut off for one that ends there.</summary>
    private static uint? LengthInTrailer(Stream file)
    {
        const int headerAndTrailer = 18;
        if (file.Length < headerAndTrailer)
            return null;
        Span<byte> last = stackalloc byte[4];
        file.Seek(-last.Length, SeekOrigin.End);
        file.ReadExactly(last);
        return BinaryPrimitives.ReadUInt32LittleEndian(last);
    }

    private static InvalidDataException Malformed(string name, string reason, Exception? inner = null) =>
        new($"{name} is not a valid IDX file: {reason}.", inner);
}
