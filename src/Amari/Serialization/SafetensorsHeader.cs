using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;

namespace Amari.Serialization;

/// <summary>A tensor of a safetensors file. Its bytes are [Start, End) of the buffer after the header.</summary>
internal sealed record SafetensorsEntry(string Name, ScalarType Type, long[] Shape, long Start, long End);

/// <summary>The header of a safetensors file: created from tensors, or parsed strictly.</summary>
/// <param name="Bytes">The length prefix and the padded JSON, with the digits of the checksum (if any) set to zero.</param>
/// <param name="Entries">Ordered by position. They cover the buffer without gaps or overlaps.</param>
/// <param name="Metadata">The string map, without the checksum.</param>
/// <param name="Checksum">The checksum in the file; null if it has none.</param>
internal sealed record SafetensorsHeader(
    byte[] Bytes,
    IReadOnlyList<SafetensorsEntry> Entries,
    IReadOnlyDictionary<string, string> Metadata,
    string? Checksum
)
{
    /// <summary>Bytes of the little-endian length that precedes the JSON.</summary>
    public const int PrefixLength = sizeof(ulong);

    /// <summary>The maximum length of the JSON that readers of the format accept, in bytes.</summary>
    public const int MaxLength = 100_000_000;

    private const string MetadataKey = "__metadata__";
    private const string ChecksumKey = "sha256";

    private static readonly string Blank = new('0', 64);

    /// <summary>The offset at which <see cref="Create"/> puts the digits of the checksum, the first entry of the JSON.</summary>
    public static int ChecksumOffset { get; } = PrefixLength + $$"""{"{{MetadataKey}}":{"{{ChecksumKey}}":""".Length + 1;

    private static readonly (string Name, ScalarType Type, int Size)[] Types =
    [
        ("F64", ScalarType.Float64, 8),
        ("I64", ScalarType.Int64, 8),
        ("F32", ScalarType.Float32, 4),
        ("I32", ScalarType.Int32, 4),
        ("F16", ScalarType.Float16, 2),
        ("BF16", ScalarType.BFloat16, 2),
        ("I16", ScalarType.Int16, 2),
        ("I8", ScalarType.Int8, 1),
        ("U8", ScalarType.Byte, 1),
        ("BOOL", ScalarType.Bool, 1),
    ];

    /// <summary>Lays tensors out by decreasing element size, so that each is aligned, then by name.</summary>
    /// <exception cref="ArgumentException">A name is reserved, the format does not support a dtype, or the JSON is too long.</exception>
    public static SafetensorsHeader Create(IReadOnlyDictionary<string, Tensor> tensors, IReadOnlyDictionary<string, string> metadata)
    {
        if (tensors.ContainsKey(MetadataKey))
            throw new ArgumentException($"The tensor name {MetadataKey} is reserved by the format.", nameof(tensors));
        if (metadata.ContainsKey(ChecksumKey))
            throw new ArgumentException($"The metadata entry {ChecksumKey} is reserved for the checksum.", nameof(metadata));

        var entries = new List<SafetensorsEntry>(tensors.Count);
        var end = 0L;
        foreach (
            var (name, tensor, size) in tensors
                .Select(t => (t.Key, t.Value, Type(t.Key, t.Value).Size))
                .OrderByDescending(t => t.Size)
                .ThenBy(t => t.Key, StringComparer.Ordinal)
        )
            entries.Add(new(name, tensor.dtype, tensor.shape, end, end = checked(end + tensor.numel() * size)));

        var json = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(json, new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }))
            Write(writer, entries, metadata);
        var length = (json.WrittenCount + 7) / 8 * 8;
        if (length > MaxLength)
            throw new ArgumentException($"The header needs {length} bytes; the format allows at most {MaxLength}.", nameof(metadata));

        var bytes = new byte[PrefixLength + length];
        bytes.AsSpan().Fill((byte)' ');
        BinaryPrimitives.WriteInt64LittleEndian(bytes, length);
        json.WrittenSpan.CopyTo(bytes.AsSpan(PrefixLength));
        return new(bytes, entries, metadata, Blank);
    }

    /// <summary>Parses a header for a buffer of the given length.</summary>
    /// <param name="bytes">The length prefix and the JSON. The digits of the checksum are overwritten by zeros.</param>
    /// <param name="bufferLength">Number of bytes after the header.</param>
    /// <exception cref="Exception"><see cref="InvalidDataException"/>, or the exception of the JSON reader for malformed JSON or a wrong
    /// type.</exception>
    public static SafetensorsHeader Parse(byte[] bytes, long bufferLength)
    {
        var entries = new List<SafetensorsEntry>();
        var metadata = new Dictionary<string, string>();
        using (var json = JsonDocument.Parse(bytes.AsMemory(PrefixLength), new() { AllowDuplicateProperties = false }))
            foreach (var property in json.RootElement.EnumerateObject())
                if (property.NameEquals(MetadataKey))
                    foreach (var item in property.Value.EnumerateObject())
                        metadata.Add(
                            item.Name,
                            item.Value.GetString() ?? throw new InvalidDataException($"metadata '{item.Name}' is null")
                        );
                else
                    entries.Add(Entry(property.Name, property.Value));

        entries = [.. entries.OrderBy(e => e.Start).ThenBy(e => e.End)];
        var end = 0L;
        foreach (var entry in entries)
        {
            if (entry.Start != end)
                throw new InvalidDataException(
                    $"tensor '{entry.Name}' starts at byte {entry.Start} of the buffer, "
                        + $"{(entry.Start < end ? "inside" : "after a gap behind")} the tensor that ends at byte {end}"
                );
            end = entry.End;
        }
        if (end != bufferLength)
            throw new InvalidDataException($"the tensors need {end} bytes, but the file holds {bufferLength} bytes after the header");

        if (metadata.Remove(ChecksumKey, out var checksum) && bytes.AsSpan().IndexOf(Encoding.UTF8.GetBytes(checksum)) is >= 0 and var at)
            bytes.AsSpan(at, Encoding.UTF8.GetByteCount(checksum)).Fill((byte)'0');
        return new(bytes, entries, metadata, checksum);
    }

    private static SafetensorsEntry Entry(string name, JsonElement json)
    {
        if (json.GetPropertyCount() != 3)
            throw new InvalidDataException(
                $"tensor '{name}' has {json.GetPropertyCount()} properties; dtype, shape and data_offsets are expected"
            );
        var dtype = json.GetProperty("dtype").GetString();
        var (_, type, size) = Array.Find(Types, t => t.Name == dtype);
        long[] shape = [.. json.GetProperty("shape").EnumerateArray().Select(d => d.GetInt64())];
        long[] range = [.. json.GetProperty("data_offsets").EnumerateArray().Select(o => o.GetInt64())];
        if (size == 0)
            throw new InvalidDataException($"tensor '{name}' has the unsupported dtype '{dtype}'");
        if (range is not [>= 0 and var start, var end] || shape.Any(d => d < 0) || ByteCount(shape, size) != end - start)
            throw new InvalidDataException(
                $"tensor '{name}', {dtype} [{string.Join(", ", shape)}], does not fit its data_offsets [{string.Join(", ", range)}]"
            );
        return new(name, type, shape, start, end);
    }

    private static long ByteCount(long[] shape, int size)
    {
        // Strides count an empty dimension as one; they must not overflow either.
        var span = shape.Aggregate((long)size, (product, d) => checked(product * Math.Max(d, 1)));
        return shape.Contains(0) ? 0 : span;
    }

    private static void Write(Utf8JsonWriter json, List<SafetensorsEntry> entries, IReadOnlyDictionary<string, string> metadata)
    {
        json.WriteStartObject();
        json.WriteStartObject(MetadataKey);
        json.WriteString(ChecksumKey, Blank);
        foreach (var (key, value) in metadata.OrderBy(m => m.Key, StringComparer.Ordinal))
            json.WriteString(key, value);
        json.WriteEndObject();
        foreach (var entry in entries)
        {
            json.WriteStartObject(entry.Name);
            json.WriteString("dtype", Array.Find(Types, t => t.Type == entry.Type).Name);
            WriteArray("shape", entry.Shape);
            WriteArray("data_offsets", [entry.Start, entry.End]);
            json.WriteEndObject();
        }
        json.WriteEndObject();

        void WriteArray(string name, ReadOnlySpan<long> values)
        {
            json.WriteStartArray(name);
            foreach (var value in values)
                json.WriteNumberValue(value);
            json.WriteEndArray();
        }
    }

    private static (string Name, ScalarType Type, int Size) Type(string name, Tensor tensor) =>
        Array.Find(Types, t => t.Type == tensor.dtype) is { Size: > 0 } type
            ? type
            : throw new ArgumentException(
                $"Tensor '{name}' has dtype {tensor.dtype}; safetensors stores {string.Join(", ", Types.Select(t => t.Type))}."
            );
}
