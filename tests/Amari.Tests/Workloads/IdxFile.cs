using System.Buffers.Binary;
using System.IO.Compression;

namespace Amari.Tests.Workloads;

/// <summary>Writes IDX files by hand.</summary>
internal static class IdxFile
{
    public static byte[] Bytes(uint[] shape, byte[] data)
    {
        var file = new byte[4 + 4 * shape.Length + data.Length];
        file[2] = 8;
        file[3] = (byte)shape.Length;
        for (var i = 0; i < shape.Length; i++)
            BinaryPrimitives.WriteUInt32BigEndian(file.AsSpan(4 + 4 * i), shape[i]);
        data.CopyTo(file, 4 + 4 * shape.Length);
        return file;
    }

    public static byte[] Gzip(byte[] content)
    {
        using var result = new MemoryStream();
        using (var gzip = new GZipStream(result, CompressionLevel.SmallestSize))
            gzip.Write(content);
        return result.ToArray();
    }

    /// <summary>A folder of <paramref name="train"/> + <paramref name="test"/> images 28x28: an image of label k is white in rows 2k and 2k
    /// + 1 and black elsewhere; labels run 0..9 again and again. The training files are plain, the test files .gz.</summary>
    public static void WriteMnistFolder(string directory, int train, int test)
    {
        foreach (var (part, count) in new[] { ("train", train), ("t10k", test) })
        {
            var labels = Enumerable.Range(0, count).Select(i => (byte)(i % 10)).ToArray();
            var images = new byte[count * 784];
            for (var i = 0; i < count; i++)
                images.AsSpan(i * 784 + 56 * labels[i], 56).Fill(255);
            Write($"{part}-images-idx3-ubyte", Bytes([(uint)count, 28, 28], images));
            Write($"{part}-labels-idx1-ubyte", Bytes([(uint)count], labels));

            void Write(string name, byte[] bytes)
            {
                var path = Path.Combine(directory, name);
                if (part == "train")
                    File.WriteAllBytes(path, bytes);
                else
                    File.WriteAllBytes(path + ".gz", Gzip(bytes));
            }
        }
    }
}
