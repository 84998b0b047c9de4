using System.Buffers.Binary;
using System.Text;

namespace Amari.Tests.Serialization;

/// <summary>Archives byte by byte as PyTorch 2.6 and later write them: every record begins at a multiple of an alignment, after padding in
/// an extra field FB; its checksum and sizes follow it; the end is one of zip64.</summary>
internal static class PyTorchArchive
{
    private const int Short = 2,
        Int = 4,
        Long = 8,
        LocalHeader = 30,
        Flags = 0x0808; // sizes follow, names in UTF-8

    /// <summary>Writes a file of <c>torch.save</c>. Its records are in a folder with the name of the file.</summary>
    /// <param name="path">The file.</param>
    /// <param name="pickle">A character is a byte.</param>
    /// <param name="storages">The bytes of the storages 0, 1, ..</param>
    /// <param name="alignment">Of the records, in bytes.</param>
    /// <param name="hasChecksums">Whether records have their CRC-32, or 0.</param>
    public static void Write(string path, string pickle, byte[][] storages, int alignment = 64, bool hasChecksums = true)
    {
        (string Name, byte[] Bytes)[] records =
        [
            ("data.pkl", Bytes(pickle)),
            (".format_version", Bytes("1")),
            (".storage_alignment", Bytes($"{alignment}")),
            ("byteorder", Bytes("little")),
            .. storages.Select((bytes, i) => ($"data/{i}", bytes)),
            ("version", Bytes("3\n")),
            (".data/serialization_id", Bytes(new string('7', 40))),
        ];
        using var file = new MemoryStream();
        using var directory = new MemoryStream();
        foreach (var (record, bytes) in records)
        {
            byte[] name = Bytes($"{Path.GetFileNameWithoutExtension(path)}/{record}");
            long start = file.Position,
                header = start + LocalHeader + name.Length + Int,
                padding = (alignment - header % alignment) % alignment,
                checksum = hasChecksums ? Checksum(bytes) : 0;
            file.Write("PK\x03\x04"u8);
            Put(file, Short, 0, Flags, 0, 0, 0, 0, 0, 0, 0, 0, 0, name.Length, Int + padding);
            file.Write(name);
            file.Write("FB"u8);
            Put(file, Short, padding);
            file.Write(Bytes(new string('Z', (int)padding)));
            Assert.Equal(0, file.Position % alignment);
            file.Write(bytes);
            file.Write("PK\x07\x08"u8);
            Put(file, Int, checksum, bytes.Length, bytes.Length);

            directory.Write("PK\x01\x02"u8);
            Put(directory, Short, 0, 0, Flags, 0, 0, 0);
            Put(directory, Int, checksum, bytes.Length, bytes.Length);
            Put(directory, Short, name.Length, 0, 0, 0, 0, 0, 0);
            Put(directory, Int, start);
            directory.Write(name);
        }
        long at = file.Position;
        directory.WriteTo(file);
        long end = file.Position;
        file.Write("PK\x06\x06"u8);
        Put(file, Long, 44);
        Put(file, Short, 0x031e, 45);
        Put(file, Int, 0, 0);
        Put(file, Long, records.Length, records.Length, directory.Length, at);
        file.Write("PK\x06\x07"u8);
        Put(file, Int, 0);
        Put(file, Long, end);
        Put(file, Int, 1);
        file.Write("PK\x05\x06"u8);
        Put(file, Short, 0, 0, records.Length, records.Length);
        Put(file, Int, directory.Length, at);
        Put(file, Short, 0);
        File.WriteAllBytes(path, file.ToArray());
    }

    private static byte[] Bytes(string text) => Encoding.Latin1.GetBytes(text);

    private static void Put(MemoryStream file, int width, params ReadOnlySpan<long> numbers)
    {
        Span<byte> number = stackalloc byte[Long];
        foreach (long n in numbers)
        {
            BinaryPrimitives.WriteInt64LittleEndian(number, n);
            file.Write(number[..width]);
        }
    }

    private static uint Checksum(byte[] bytes)
    {
        uint sum = uint.MaxValue;
        foreach (byte b in bytes)
        {
            sum ^= b;
            for (int bit = 0; bit < 8; bit++)
                sum = (sum & 1) == 0 ? sum >> 1 : (sum >> 1) ^ 0xEDB88320;
        }
        return ~sum;
    }
}
