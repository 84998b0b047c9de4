using System.IO.Compression;
using System.Numerics;
using System.Text;

namespace Amari.Serialization;

/// <summary>Writes a state dict as <c>torch.save</c> does: a zip archive with a pickle of protocol 2.</summary>
internal static class PyTorchWriter
{
    private const string Folder = "archive/";
    private static readonly DateTimeOffset Time = new(1980, 1, 1, 0, 0, 0, TimeSpan.Zero); // the same bytes each time

    /// <summary>An <c>OrderedDict</c> of tensors, whose storages are called 0, 1, 2, ...</summary>
    /// <exception cref="ArgumentException">A dtype is not supported.</exception>
    public static byte[] Pickle(IReadOnlyDictionary<string, Tensor> tensors)
    {
        using var bytes = new MemoryStream();
        using var pickle = new BinaryWriter(bytes);
        pickle.Write([0x80, 2]);
        EmptyDictionary();
        pickle.Write((byte)'(');
        foreach (var (i, (name, tensor)) in tensors.Index())
        {
            long[] shape = tensor.shape;
            Text(name);
            Global("torch._utils", "_rebuild_tensor_v2");
            pickle.Write("(("u8);
            Text("storage");
            Global("torch", PyTorchStorage.NameOf(name, tensor.dtype));
            Text(FormattableString.Invariant($"{i}"));
            Text("cpu");
            Number(tensor.numel());
            pickle.Write("tQ"u8); // the end of the tuple; a storage
            Number(0);
            Numbers(shape);
            Numbers([.. shape.Select((_, d) => shape[(d + 1)..].Aggregate(1L, (n, size) => n * size))]);
            pickle.Write((byte)0x89); // requires no gradient
            EmptyDictionary();
            pickle.Write("tR"u8);
        }
        pickle.Write("u."u8);
        pickle.Flush();
        return bytes.ToArray();

        void Global(string module, string name) => pickle.Write(Encoding.ASCII.GetBytes($"c{module}\n{name}\n"));

        void EmptyDictionary()
        {
            Global("collections", "OrderedDict");
            pickle.Write(")R"u8);
        }

        void Text(string text)
        {
            byte[] utf8 = Encoding.UTF8.GetBytes(text);
            pickle.Write((byte)'X');
            pickle.Write(utf8.Length);
            pickle.Write(utf8);
        }

        void Numbers(long[] numbers)
        {
            pickle.Write((byte)'(');
            foreach (long number in numbers)
                Number(number);
            pickle.Write((byte)'t');
        }

        void Number(long number)
        {
            byte[] digits = new BigInteger(number).ToByteArray();
            pickle.Write([0x8a, (byte)digits.Length]);
            pickle.Write(digits);
        }
    }

    /// <summary>Writes the archive.</summary>
    /// <param name="file">The file. Not owned.</param>
    /// <param name="pickle">The result of <see cref="Pickle"/>.</param>
    /// <param name="tensors">Its tensors in the same order.</param>
    public static void Write(FileStream file, byte[] pickle, IEnumerable<Tensor> tensors)
    {
        using var archive = new ZipArchive(file, ZipArchiveMode.Create, leaveOpen: true);
        Add("data.pkl", entry => entry.Write(pickle));
        Add("byteorder", entry => entry.Write("little"u8));
        foreach (var (i, tensor) in tensors.Index())
        {
            using var detached = tensor.detach();
            using var host = detached.cpu();
            using var dense = host.contiguous();
            Add(
                FormattableString.Invariant($"data/{i}"),
                entry =>
                {
                    foreach (var piece in Safetensors.Pieces(dense))
                        entry.Write(piece.bytes);
                }
            );
        }
        Add("version", entry => entry.Write("3\n"u8));

        void Add(string name, Action<Stream> write)
        {
            var entry = archive.CreateEntry(Folder + name, CompressionLevel.NoCompression);
            entry.LastWriteTime = Time;
            using var stream = entry.Open();
            write(stream);
        }
    }
}
