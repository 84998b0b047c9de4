using System.Buffers.Binary;
using System.IO.Compression;

namespace Amari.Workloads.Data;

/// <summary>Reads IDX, the format of MNIST and similar data sets: a big-endian header, then unsigned bytes in row-major order.</summary>
/// <remarks><code>
/// 00 00 08 d | d sizes, 4 bytes each | the bytes      08: unsigned bytes, d: number of dimensions
/// </code>Plain or gzip-compressed, detected by content: a gzip file starts with 1F 8B, an IDX file with 00 00. A gzip file with several
/// members is refused; no data set is published in that form.</remarks>
public static class Idx
{
    private const byte UnsignedByte = 0x08;

    /// <summary>The file's array, uint8, with the shape in its header. The caller owns it.</summary>
    /// <exception cref="FileNotFoundException">The file does not exist.</exception>
    /// <exception cref="InvalidDataException">The file is not IDX of unsigned bytes, is truncated, or has extra bytes at its
    /// end.</exception>
    public static Tensor Read(string path)
    {
        using var file = File.OpenRead(path);
        return Read(file, path);
    }

    /// <param name="file">Seekable, at its beginning.</param>
    /// <param name="name">The name of the file in errors.</param>
    internal static Tensor Read(Stream file, string name)
    {
        var bytes = ReadAll(file, name);
        if (bytes.Length < 4)
            throw Malformed(name, $"it has {bytes.Length} bytes, fewer than a header");
        if (bytes[0] != 0 || bytes[1] != 0)
            throw Malformed(name, $"it begins with the bytes {bytes[0]:X2} {bytes[1]:X2}, expected 00 00");
        if (bytes[2] != UnsignedByte)
            throw Malformed(name, $"its type is {bytes[2]:X2}, expected 08 (unsigned bytes)");

        var shape = new long[bytes[3]];
        var start = 4 + 4 * shape.Length;
        if (shape.Length == 0)
            throw Malformed(name, "it has no dimensions");
        if (bytes.Length < start)
            throw Malformed(name, $"its header of {shape.Length} dimensions is truncated");
        for (var i = 0; i < shape.Length; i++)
            shape[i] = BinaryPrimitives.ReadUInt32BigEndian(bytes.AsSpan(4 + 4 * i));

        // In 128 bits, because four sizes can multiply to more than 64 bits, and an overflowed product must not match.
        var expected = shape.Aggregate(Int128.One, (product, size) => Int128.Min(product * size, long.MaxValue));
        if (bytes.Length - start != expected)
            throw Malformed(name, $"its header announces {string.Join(" x ", shape)} bytes of data, but it has {bytes.Length - start}");
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
            throw Malformed(name, "its compressed data is truncated");
        return all.ToArray();
    }

    /// <summary>The size mod 2^32 at the end of a gzip file (RFC 1952); null if the file is too short. <see cref="GZipStream"/> itself does
    /// not detect a truncated file.</summary>
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
