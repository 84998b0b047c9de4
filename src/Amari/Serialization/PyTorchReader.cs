using System.IO.Compression;
using System.Numerics;

namespace Amari.Serialization;

/// <summary>The two formats of <c>torch.save</c>.</summary>
/// <remarks>
/// The zip archive, of PyTorch 1.6 and later: <c>NAME/data.pkl</c> is the pickle, <c>NAME/data/KEY</c> the bytes of a storage, stored
/// without compression.
/// <para>The format before: pickles of a magic number, a version, properties of the system, the content, and the list of the storages'
/// keys; then for each key its number of elements in 64 bits and its bytes.</para></remarks>
internal static class PyTorchReader
{
    private const string Content = "data.pkl";
    private const long LegacyVersion = 1001;

    private static readonly BigInteger Magic = BigInteger.Parse("119547037146038801333356");

    private const int StartLength = 4;

    private static ReadOnlySpan<byte> Zip => [(byte)'P', (byte)'K', 3, 4];

    /// <summary>Whether a file begins as one of the formats. It is at its start before and after.</summary>
    public static bool Begins(FileStream file) => Start(file) is var start && (IsZip(start) || IsLegacy(start));

    private static byte[] Start(FileStream file)
    {
        var start = new byte[StartLength];
        file.ReadAtLeast(start, StartLength, throwOnEndOfStream: false);
        file.Position = 0;
        return start;
    }

    private static bool IsZip(byte[] start) => start.AsSpan().SequenceEqual(Zip);

    /// <summary>A pickle that begins with the magic number of ten bytes, in a frame of 13 since protocol 4.</summary>
    private static bool IsLegacy(byte[] start) => start is [0x80, >= 2 and <= 5, 0x8a, 10] or [0x80, >= 4 and <= 5, 0x95, 13];

    /// <summary>Reads the content of a file.</summary>
    /// <param name="file">Seekable, at its start. Not owned.</param>
    /// <param name="storages">Receives the elements by key; the caller disposes them, also if this throws.</param>
    /// <exception cref="InvalidDataException">The file is damaged or refused. The message is a part of a sentence.</exception>
    /// <exception cref="EndOfStreamException">The file is too short.</exception>
    public static object? Read(FileStream file, Dictionary<string, Tensor> storages)
    {
        if (!file.CanSeek)
            throw new InvalidDataException("it is not a regular file");
        return IsZip(Start(file)) ? ReadZip(file, storages)
            : IsLegacy(Start(file)) ? ReadLegacy(file, storages)
            : throw new InvalidDataException(Other(file));
    }

    /// <summary>What a file is that begins as neither format, and what to do, as a part of a sentence.</summary>
    private static string Other(FileStream file)
    {
        const int length = 512;
        const string advice = "save the state_dict() with torch.save of PyTorch 1.6 or later, which writes a zip archive";
        var start = new byte[Math.Min(length, file.Length)];
        file.ReadExactly(start);
        return start switch
        {
            [] => "it is empty",
            [0x80, >= 2 and <= 5, ..] => $"it is a pickle that torch.save did not write; {advice}",
            _ when Array.TrueForAll(start, b => b is >= 0x20 and not 0x7f or 9 or 10 or 13) => // also tabs and line ends
            $"it is text; {advice}",
            _ => $"it begins with neither a zip archive nor a pickle of the format before PyTorch 1.6; {advice}",
        };
    }

    private static object? ReadZip(FileStream file, Dictionary<string, Tensor> storages)
    {
        using var archive = new ZipArchive(file, ZipArchiveMode.Read, leaveOpen: true);
        var found =
            archive.Entries.FirstOrDefault(e => e.Name == Content && e.FullName.Count(c => c == '/') <= 1)
            ?? throw new InvalidDataException($"its archive has no {Content}");
        string folder = found.FullName[..^Content.Length];
        using var pickle = new MemoryStream();
        using (var stored = Open(found))
            stored.CopyTo(pickle);
        pickle.Position = 0;
        if (archive.GetEntry(folder + "byteorder") is { } order)
            using (var text = new StreamReader(Open(order)))
                if (text.ReadToEnd().Trim() is not "little" and var other)
                    throw new InvalidDataException($"its numbers are in the byte order '{other}'; little is read");
        var unpickler = new Unpickler(pickle);
        object? content = unpickler.Read();
        if (unpickler.Storages.Values.Sum(s => s.Bytes) > file.Length)
            throw new InvalidDataException("its storages have more bytes than the file");
        foreach (var (key, storage) in unpickler.Storages)
        {
            var entry = archive.GetEntry($"{folder}data/{key}") ?? throw new InvalidDataException($"its archive has no data/{key}");
            if (entry.Length != storage.Bytes)
                throw new InvalidDataException($"its data/{key} has {entry.Length} bytes; {storage.Bytes} are expected");
            using (var bytes = Open(entry))
                if (entry.Crc32 != 0 && Checksum(bytes) != entry.Crc32) // 0: torch.save was asked for none
                    throw new InvalidDataException($"its data/{key} is damaged: its checksum differs");
            using (var bytes = Open(entry))
                storages.Add(key, storage.Read(bytes));
        }
        return content;

        Stream Open(ZipArchiveEntry entry) =>
            entry.CompressedLength == entry.Length && entry.Length <= file.Length
                ? entry.Open()
                : throw new InvalidDataException($"its {entry.Name} is compressed; torch.save does not compress");
    }

    /// <summary>The CRC-32 of zip archives.</summary>
    private static uint Checksum(Stream bytes)
    {
        const uint Polynomial = 0xEDB88320;
        var table = new uint[256];
        for (uint i = 0; i < table.Length; i++)
        {
            table[i] = i;
            for (int bit = 0; bit < 8; bit++)
                table[i] = (table[i] >> 1) ^ ((table[i] & 1) * Polynomial);
        }
        uint sum = uint.MaxValue;
        var part = new byte[1 << 16];
        for (int count; (count = bytes.Read(part)) > 0; )
            foreach (byte b in part.AsSpan(0, count))
                sum = table[(byte)(sum ^ b)] ^ (sum >> 8);
        return ~sum;
    }

    private static object? ReadLegacy(FileStream file, Dictionary<string, Tensor> storages)
    {
        if (new Unpickler(file).Read() is not BigInteger magic || magic != Magic)
            throw new InvalidDataException("it does not begin with the number of the earlier format");
        if (new Unpickler(file).Read() is not LegacyVersion)
            throw new InvalidDataException($"its version is not {LegacyVersion}");
        if (
            new Unpickler(file).Read() is not OrderedDictionary<object, object?> system
            || !system.TryGetValue("little_endian", out object? little)
            || little is not true
        )
            throw new InvalidDataException("its numbers are not in little-endian byte order");
        var unpickler = new Unpickler(file);
        object? content = unpickler.Read();
        var keys = new Unpickler(file).Read() as List<object?> ?? throw new InvalidDataException("it has no list of storages");
        Span<byte> length = stackalloc byte[sizeof(long)];
        foreach (object? key in keys)
        {
            if (key is not string name || !unpickler.Storages.TryGetValue(name, out var storage) || storages.ContainsKey(name))
                throw new InvalidDataException("its list of storages does not fit its content");
            file.ReadExactly(length);
            if (BitConverter.ToInt64(length) != storage.Length || storage.Bytes > file.Length - file.Position)
                throw new InvalidDataException($"its storage {name} does not have the {storage.Length} elements that are expected");
            storages.Add(name, storage.Read(file));
        }
        return storages.Count == unpickler.Storages.Count ? content : throw new InvalidDataException("it lacks a storage");
    }
}
