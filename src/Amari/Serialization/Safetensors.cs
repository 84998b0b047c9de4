using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Amari.Serialization;

/// <summary>Named tensors and a string map in the safetensors format, which Python and other languages read.</summary>
/// <remarks>
/// The format (https://github.com/huggingface/safetensors) is a little-endian 64-bit length, a JSON header of that many bytes with the
/// dtype, shape and offsets of every tensor, then the tensors' bytes. Files written here have a metadata entry <c>sha256</c>: the SHA-256
/// of the whole file, computed with the 64 digits of that entry set to '0'.
/// <para>The object owns its tensors: dispose it, or take the tensors out and dispose them. They are on the CPU, require no gradient and
/// are in no dispose scope.</para>
/// </remarks>
public sealed class Safetensors : IDisposable
{
    // Tensors are copied in pieces: the length of a span is an int, that of a tensor is not.
    private const long PieceLength = 1 << 20;

    private Safetensors(IReadOnlyDictionary<string, Tensor> tensors, SafetensorsHeader header)
    {
        Tensors = tensors;
        Metadata = header.Metadata;
        HasChecksum = header.Checksum is not null;
    }

    /// <summary>The tensors by name.</summary>
    public IReadOnlyDictionary<string, Tensor> Tensors { get; }

    /// <summary>The string map of the header, without the checksum.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Whether the file has a checksum; if so, it was verified.</summary>
    public bool HasChecksum { get; }

    /// <summary>Writes a file atomically, with a checksum. The same content gives the same bytes.</summary>
    /// <param name="path">The file, created or replaced; its folder must exist.</param>
    /// <param name="tensors">Tensors of any shape, stride and device, of dtype float64, float32, float16, bfloat16, int64, int32, int16,
    /// int8, uint8 or bool. They are not changed.</param>
    /// <param name="metadata">Any strings; the key <c>sha256</c> is reserved.</param>
    /// <exception cref="ArgumentException">A name is reserved, or the format does not support a dtype.</exception>
    /// <exception cref="IOException">The file system refused to write. An older file of that name stays.</exception>
    public static void Save(string path, IReadOnlyDictionary<string, Tensor> tensors, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var header = SafetensorsHeader.Create(tensors, metadata ?? new Dictionary<string, string>());
        AtomicFile.Write(
            path,
            file =>
            {
                using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
                Append(header.Bytes);
                foreach (var entry in header.Entries)
                {
                    using var detached = tensors[entry.Name].detach();
                    using var host = detached.cpu();
                    using var dense = host.contiguous();
                    foreach (var piece in Pieces(dense))
                        Append(piece.bytes);
                }
                file.Position = SafetensorsHeader.ChecksumOffset;
                file.Write(Encoding.ASCII.GetBytes(Convert.ToHexStringLower(hash.GetHashAndReset())));

                void Append(ReadOnlySpan<byte> bytes)
                {
                    file.Write(bytes);
                    hash.AppendData(bytes);
                }
            }
        );
    }

    /// <summary>Reads a file and verifies all of it. The caller disposes the result.</summary>
    /// <exception cref="InvalidDataException">The file is damaged or not in the format. The message names the file and the
    /// reason.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Safetensors Load(string path) =>
        Open(
            path,
            (file, header) =>
            {
                var tensors = new Dictionary<string, Tensor>(header.Entries.Count);
                try
                {
                    foreach (var entry in header.Entries)
                    {
                        var tensor = empty(entry.Shape, entry.Type, CPU).DetachFromDisposeScope();
                        tensors.Add(entry.Name, tensor);
                        foreach (var piece in Pieces(tensor))
                            file.ReadExactly(piece.bytes);
                    }
                    return new Safetensors(tensors, header);
                }
                catch
                {
                    foreach (var tensor in tensors.Values)
                        tensor.Dispose();
                    throw;
                }
            }
        );

    /// <summary>Verifies a file as <see cref="Load"/> does, in constant memory.</summary>
    /// <returns>Whether the file has a checksum; if so, it is correct.</returns>
    /// <exception cref="InvalidDataException">The file is damaged or not in the format. The message names the file and the
    /// reason.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static bool Verify(string path) => Open(path, (_, header) => header.Checksum is not null);

    /// <summary>Whether a seekable file begins with a length that it can have and a JSON object. It is at its start before and
    /// after.</summary>
    internal static bool Begins(FileStream file)
    {
        Span<byte> start = stackalloc byte[SafetensorsHeader.PrefixLength + 1];
        int count = file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false);
        file.Position = 0;
        return count == start.Length
            && start[^1] == '{'
            && BinaryPrimitives.ReadUInt64LittleEndian(start) <= (ulong)(file.Length - SafetensorsHeader.PrefixLength);
    }

    /// <summary>Disposes the tensors.</summary>
    public void Dispose()
    {
        foreach (var tensor in Tensors.Values)
            tensor.Dispose();
    }

    private static T Open<T>(string path, Func<FileStream, SafetensorsHeader, T> read)
    {
        // FileShare.Delete lets a writer replace the file on Windows too, while the old one is still being read.
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, bufferSize: 1 << 16);
        try
        {
            if (!file.CanSeek)
                throw new InvalidDataException("it is not a regular file");
            var header = ReadHeader(file);
            if (header.Checksum is not null && header.Checksum != Checksum(file, header))
                throw new InvalidDataException("its content does not match its sha256");
            file.Position = header.Bytes.Length;
            return read(file, header);
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new InvalidDataException($"{path} is damaged or not a safetensors file: {e.Message.TrimEnd('.')}.", e);
        }
        catch (Exception e) when (e is ExternalException or OutOfMemoryException)
        {
            throw new IOException($"{path} cannot be read into memory: {e.Message.Split('\n')[0].Trim()}", e);
        }
    }

    private static SafetensorsHeader ReadHeader(FileStream file)
    {
        var prefix = new byte[SafetensorsHeader.PrefixLength];
        file.ReadExactly(prefix);
        var length = BinaryPrimitives.ReadUInt64LittleEndian(prefix);
        var rest = file.Length - prefix.Length;
        if (length > (ulong)Math.Min(rest, SafetensorsHeader.MaxLength))
            throw new InvalidDataException($"its header should have {length} bytes, but the file has {file.Length}");
        byte[] bytes = [.. prefix, .. new byte[length]];
        file.ReadExactly(bytes.AsSpan(prefix.Length));
        try
        {
            return SafetensorsHeader.Parse(bytes, rest - (long)length);
        }
        catch (Exception e)
            when (e is JsonException or InvalidOperationException or KeyNotFoundException or FormatException or OverflowException)
        {
            throw new InvalidDataException($"its header is malformed: {e.Message}", e);
        }
    }

    private static string Checksum(FileStream file, SafetensorsHeader header)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        hash.AppendData(header.Bytes);
        var block = new byte[1 << 20];
        for (int read; (read = file.Read(block)) > 0; )
            hash.AppendData(block, 0, read);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>A tensor's elements in pieces. Dispose each before the next.</summary>
    internal static IEnumerable<Tensor> Pieces(Tensor contiguous)
    {
        using var flat = contiguous.view(-1);
        var length = flat.numel();
        for (var start = 0L; start < length; start += PieceLength)
        {
            using var piece = flat.narrow(0, start, Math.Min(PieceLength, length - start));
            yield return piece;
        }
    }
}
