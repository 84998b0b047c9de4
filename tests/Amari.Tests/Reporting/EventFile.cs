using System.Buffers.Binary;
using System.Text;

namespace Amari.Tests.Reporting;

/// <summary>Reads the event files of TensorBoard: TFRecords, each with the length, its checksum, a protobuf message and its checksum
/// (masked CRC-32C), after tensorflow/core/lib/io/record_writer.h and event.proto.</summary>
internal static class EventFile
{
    /// <summary>A scalar.</summary>
    public readonly record struct Scalar(double WallTime, long Step, string Tag, float Value);

    private const byte Varint = 0,
        Fixed64 = 1,
        Bytes = 2,
        Fixed32 = 5; // wire types

    /// <summary>The scalars of the only event file of a folder.</summary>
    public static List<Scalar> Read(string folder) => Read(File.ReadAllBytes(Assert.Single(Directory.GetFiles(folder))));

    /// <summary>The scalars of a file, which must be complete and begin with its version.</summary>
    public static List<Scalar> Read(byte[] file)
    {
        var messages = Records(file).Select(Fields).ToList();
        Assert.Equal("brain.Event:2", Encoding.UTF8.GetString(messages[0].Single(f => f.Number == 3).Content));
        return [.. messages.Skip(1).SelectMany(ScalarsOf)];
    }

    private static IEnumerable<Scalar> ScalarsOf(List<(int Number, byte[] Content)> message)
    {
        double time = BinaryPrimitives.ReadDoubleLittleEndian(message.Single(f => f.Number == 1).Content);
        byte[]? at = message.Where(f => f.Number == 2).Select(f => f.Content).SingleOrDefault(); // absent if 0
        long step = at is null ? 0 : BinaryPrimitives.ReadInt64LittleEndian(at);
        foreach (var (_, summary) in message.Where(f => f.Number == 5))
        foreach (var (_, value) in Fields(summary).Where(f => f.Number == 1))
        {
            var fields = Fields(value).ToDictionary(f => f.Number, f => f.Content);
            float number = fields.TryGetValue(2, out byte[]? bits) ? BinaryPrimitives.ReadSingleLittleEndian(bits) : 0;
            yield return new(time, step, Encoding.UTF8.GetString(fields[1]), number);
        }
    }

    private static List<byte[]> Records(byte[] file)
    {
        var records = new List<byte[]>();
        for (int at = 0; at < file.Length; )
        {
            byte[] header = file[at..(at + 8)];
            int length = (int)BinaryPrimitives.ReadInt64LittleEndian(header);
            byte[] message = file[(at + 12)..(at + 12 + length)];
            Assert.Equal(Masked(header), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 8)));
            Assert.Equal(Masked(message), BinaryPrimitives.ReadUInt32LittleEndian(file.AsSpan(at + 12 + length)));
            records.Add(message);
            at += 16 + length;
        }
        return records;
    }

    /// <summary>The fields of a protobuf message; numbers as 8 or 4 bytes.</summary>
    private static List<(int Number, byte[] Content)> Fields(byte[] message)
    {
        var fields = new List<(int, byte[])>();
        int at = 0;
        while (at < message.Length)
        {
            ulong key = Number();
            byte[] content = (key & 7) switch
            {
                Varint => BitConverter.GetBytes(Number()),
                Fixed64 => Take(8),
                Bytes => Take((int)Number()),
                Fixed32 => Take(4),
                var type => throw new InvalidDataException($"wire type {type}"),
            };
            fields.Add(((int)(key >> 3), content));
        }
        return fields;

        byte[] Take(int count) => message[at..(at += count)];

        ulong Number()
        {
            ulong value = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte next = message[at++];
                value |= (ulong)(next & 127) << shift;
                if (next < 128)
                    return value;
            }
        }
    }

    /// <summary>CRC-32C, polynomial 0x1EDC6F41, bit by bit; rotated by 15 bits and shifted by a constant.</summary>
    internal static uint Masked(byte[] content)
    {
        uint crc = Crc(content);
        return (crc >> 15 | crc << 17) + 0xA282EAD8;
    }

    /// <summary>CRC-32C; of "123456789" it is 0xE3069283.</summary>
    internal static uint Crc(byte[] content)
    {
        uint crc = ~0u;
        foreach (byte b in content)
        {
            crc ^= b;
            for (int bit = 0; bit < 8; bit++)
                crc = (crc & 1) == 1 ? crc >> 1 ^ 0x82F63B78 : crc >> 1;
        }
        return ~crc;
    }
}
