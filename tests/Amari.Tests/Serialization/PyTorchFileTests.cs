using System.IO.Compression;
using System.Text;
using Amari.Native;
using Amari.Serialization;
using Amari.Tests.Training;
using static Amari.Tests.Serialization.PyTorchFixture;

namespace Amari.Tests.Serialization;

/// <summary>Files of PyTorch read and written.</summary>
public sealed class PyTorchFileTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("model.pt")]
    [InlineData("model-legacy.pt")]
    [InlineData("model-protocol4.pt")]
    [InlineData("model-legacy-protocol4.pt")]
    [InlineData("tensors.pt")]
    [InlineData("tensors-legacy.pt")]
    public void Tensors_are_those_that_pytorch_saved(string name)
    {
        using var file = PyTorchFile.Load(PathOf(name));
        AssertEqual(Of(name), file.Tensors);
    }

    [Fact]
    public void A_flipped_bit_of_a_storage_is_refused()
    {
        string path = _folder.File("flipped.pt");
        var weights = new Dictionary<string, Tensor> { ["w"] = arange(50, dtype: ScalarType.Float32) };
        PyTorchFile.Save(path, weights);
        byte[] bytes = File.ReadAllBytes(path),
            seventeen = BitConverter.GetBytes(17f);
        bytes[bytes.AsSpan().IndexOf(seventeen) + 2] ^= 1;
        File.WriteAllBytes(path, bytes);
        Assert.Contains("checksum", Assert.Throws<InvalidDataException>(() => PyTorchFile.Load(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Types_and_shared_memory_are_as_saved()
    {
        using var file = PyTorchFile.Load(PathOf("tensors.pt"));
        foreach (
            var (name, type) in new Dictionary<string, ScalarType>
            {
                ["float64"] = ScalarType.Float64,
                ["float16"] = ScalarType.Float16,
                ["bfloat16"] = ScalarType.BFloat16,
                ["int64"] = ScalarType.Int64,
                ["int32"] = ScalarType.Int32,
                ["int16"] = ScalarType.Int16,
                ["int8"] = ScalarType.Int8,
                ["uint8"] = ScalarType.Byte,
                ["bool"] = ScalarType.Bool,
                ["parameter"] = ScalarType.Float32,
            }
        )
            Assert.Equal(type, file.Tensors[name].dtype);
        Assert.Equal(9_007_199_254_740_992, file.Tensors["int64"].Elements<long>()[0]);
        file.Tensors["whole"].fill_(7);
        Assert.Equal([7, 7, 7, 7], file.Tensors["row"].Elements<float>());
        Assert.False(file.Tensors["parameter"].requires_grad);
    }

    [Fact]
    public void Dictionaries_in_dictionaries_have_names_with_dots()
    {
        using var file = PyTorchFile.Load(PathOf("checkpoint.pt"));
        Assert.Contains("model_state_dict.conv.weight", file.Tensors.Keys);
        Assert.Equal([2, 1, 3, 3], file.Tensors["optimizer_state_dict.state.0.exp_avg"].shape);
    }

    [Fact]
    public void What_is_written_is_read_again()
    {
        using var file = PyTorchFile.Load(PathOf("tensors.pt"));
        PyTorchFile.Save(_folder.File("again.pt"), file.Tensors);
        using (var again = PyTorchFile.Load(_folder.File("again.pt")))
        {
            AssertEqual(Of("tensors.pt"), again.Tensors);
            Assert.Equal(file.Tensors.Select(t => t.Value.dtype), again.Tensors.Select(t => t.Value.dtype));
        }
        PyTorchFile.Save(_folder.File("twice.pt"), file.Tensors);
        Assert.Equal(File.ReadAllBytes(_folder.File("again.pt")), File.ReadAllBytes(_folder.File("twice.pt")));
        using var complex = zeros(2, dtype: ScalarType.ComplexFloat32);
        var e = Assert.Throws<ArgumentException>(() =>
            PyTorchFile.Save(_folder.File("again.pt"), new Dictionary<string, Tensor> { ["z"] = complex })
        );
        Assert.Contains("Tensor 'z' has dtype ComplexFloat32; files for PyTorch store Float32, ", e.Message);
        Assert.Equal(2, _folder.Names().Length);
    }

    [Theory, InlineData("malicious.pt"), InlineData("malicious-legacy.pt")]
    public void A_pickle_that_calls_a_function_is_refused_unexecuted(string name)
    {
        string path = _folder.File(name);
        File.Copy(PathOf(name), path);
        var e = Assert.Throws<InvalidDataException>(() => PyTorchFile.Load(path));
        Assert.Equal(
            $"{path} is damaged or not a file of tensors from PyTorch: its pickle refers to posix.system, which is no part of a state dict "
                + "of tensors; nothing was executed.",
            e.Message
        );
        Assert.Equal([name], _folder.Names());
    }

    [Theory, InlineData("tensors.pt"), InlineData("tensors-legacy.pt")]
    public void Every_truncation_is_refused(string name)
    {
        byte[] bytes = File.ReadAllBytes(PathOf(name));
        string path = _folder.File("cut.pt");
        for (int length = 0; length < bytes.Length; length += 13)
        {
            File.WriteAllBytes(path, bytes[..length]);
            Assert.Throws<InvalidDataException>(() => PyTorchFile.Load(path));
        }
    }

    /// <summary>A changed byte may only change a number; it never ends in another exception.</summary>
    [Theory, InlineData("sgd.pt"), InlineData("model-legacy.pt")]
    public void Every_changed_byte_is_read_or_refused(string name)
    {
        byte[] bytes = File.ReadAllBytes(PathOf(name));
        string path = _folder.File("changed.pt");
        var random = new Random(0);
        for (int i = 0; i < bytes.Length; i += 7)
        {
            byte before = bytes[i];
            bytes[i] ^= (byte)random.Next(1, 256);
            File.WriteAllBytes(path, bytes);
            bytes[i] = before;
            try
            {
                PyTorchFile.Load(path).Dispose();
            }
            catch (InvalidDataException e)
            {
                Assert.StartsWith(path, e.Message);
            }
        }
    }

    [Fact]
    public void Nothing_is_left_of_files_that_are_read_or_refused()
    {
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        byte[] bytes = File.ReadAllBytes(PathOf("tensors-legacy.pt"));
        File.WriteAllBytes(_folder.File("cut.pt"), bytes[..^1]);
        for (int i = 0; i < 3; i++)
        {
            PyTorchFile.Load(PathOf("tensors.pt")).Dispose();
            Assert.Throws<InvalidDataException>(() => PyTorchFile.Load(_folder.File("cut.pt")));
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    [Fact]
    public void Archives_that_torch_does_not_write_are_refused()
    {
        Refused("its archive has no data.pkl", a => a.CreateEntry("other"));
        Refused(
            "its data.pkl is compressed; torch.save does not compress",
            a => Write(a, "x/data.pkl", new string('N', 1000) + ".", CompressionLevel.Optimal)
        );
        Refused(
            "its numbers are in the byte order 'big'; little is read",
            a =>
            {
                Write(a, "x/data.pkl", "N.");
                Write(a, "x/byteorder", "big");
            }
        );
        Refused(
            "its storages have more bytes than the file",
            a =>
            {
                const string storage = "(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0kX\x03\0\0\0cpuJ\xff\xff\xff\x7ftQ";
                Write(a, "x/data.pkl", storage + ".");
            }
        );
        Refused(
            "it has a name of more than 1024 characters",
            a => Write(a, "x/data.pkl", $"}}X\x01\x10\0\0{new string('n', 4097)}K\x01s.")
        );
        Assert.Throws<FileNotFoundException>(() => PyTorchFile.Load(_folder.File("none.pt")));

        void Refused(string expected, Action<ZipArchive> fill)
        {
            string path = _folder.File("archive.pt");
            using (var archive = new ZipArchive(File.Create(path), ZipArchiveMode.Create))
                fill(archive);
            Assert.Contains(expected, Assert.Throws<InvalidDataException>(() => PyTorchFile.Load(path)).Message);
        }

        static void Write(ZipArchive archive, string name, string text, CompressionLevel level = CompressionLevel.NoCompression)
        {
            using var stream = archive.CreateEntry(name, level).Open();
            stream.Write(Encoding.Latin1.GetBytes(text));
        }
    }
}
