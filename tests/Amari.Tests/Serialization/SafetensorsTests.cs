using System.Buffers.Binary;
using System.Text;
using Amari.Native;
using Amari.Ranks;
using Amari.Serialization;
using Amari.Tests.Training;

namespace Amari.Tests.Serialization;

public sealed class SafetensorsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public static TheoryData<ScalarType> Types =>
        [
            ScalarType.Float64,
            ScalarType.Float32,
            ScalarType.Float16,
            ScalarType.BFloat16,
            ScalarType.Int64,
            ScalarType.Int32,
            ScalarType.Int16,
            ScalarType.Int8,
            ScalarType.Byte,
            ScalarType.Bool,
        ];

    public void Dispose() => folder.Dispose();

    [Theory, MemberData(nameof(Types))]
    public void What_is_written_is_read_for_every_dtype_and_layout(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var random = new Generator(1);
        Tensor Random(params long[] shape) => (randn(shape, generator: random) * 50).to(type);
        var tensors = new Dictionary<string, Tensor>
        {
            ["matrix"] = Random(3, 5),
            ["scalar"] = Random(),
            ["empty"] = Random(0),
            ["empty.inner"] = Random(2, 0, 3),
            ["transposed"] = Random(4, 7).T,
            ["strided"] = Random(6, 8)[TensorIndex.Slice(1, null, 2), TensorIndex.Slice(null, null, 3)],
            ["expanded"] = Random(1, 3).expand(4, 3),
            ["näme/with \"odd\" \\ signs \n 名"] = Random(1, 1, 1, 2),
        };
        var metadata = new Dictionary<string, string> { ["json"] = """{"a": [1, "ü"]}""", [""] = "" };

        Safetensors.Save(folder.File("a"), tensors, metadata);
        using var read = Safetensors.Load(folder.File("a"));

        Assert.Equal(metadata, read.Metadata);
        Assert.True(read.HasChecksum);
        Assert.Equal(tensors.Keys.Order(StringComparer.Ordinal), read.Tensors.Keys.Order(StringComparer.Ordinal));
        foreach (var (name, expected) in tensors)
        {
            Assert.Equal(type, read.Tensors[name].dtype);
            Assert.Equal(expected.shape, read.Tensors[name].shape);
            Assert.True(expected.contiguous().bytes.SequenceEqual(read.Tensors[name].bytes), name);
        }
    }

    [Fact]
    public void A_tensor_of_several_pieces_is_read_back()
    {
        using var tensor = randn((3 << 20) + 17);
        Safetensors.Save(folder.File("a"), new Dictionary<string, Tensor> { ["w"] = tensor });
        using var read = Safetensors.Load(folder.File("a"));
        Assert.True(tensor.bytes.SequenceEqual(read.Tensors["w"].bytes));
    }

    [Fact]
    public void Special_numbers_keep_their_bits()
    {
        using var special = tensor(
            new[] { float.NaN, -0f, float.PositiveInfinity, float.Epsilon, BitConverter.Int32BitsToSingle(0x7fa00001) }
        );
        Safetensors.Save(folder.File("a"), new Dictionary<string, Tensor> { ["w"] = special });
        using var read = Safetensors.Load(folder.File("a"));
        Assert.True(special.bytes.SequenceEqual(read.Tensors["w"].bytes));
    }

    [Fact]
    public void Parameters_are_written_and_read_without_gradient_outside_any_scope()
    {
        Safetensors read;
        using var parameter = new Parameter(ones(2, 3));
        using (NewDisposeScope())
        {
            Safetensors.Save(folder.File("a"), new Dictionary<string, Tensor> { ["w"] = parameter });
            read = Safetensors.Load(folder.File("a"));
        }
        using (read)
        {
            Assert.False(read.Tensors["w"].requires_grad);
            Assert.Equal(6f, read.Tensors["w"].sum().item<float>());
        }
        Assert.True(parameter.requires_grad);
        Assert.True(read.Tensors["w"].IsInvalid);
    }

    /// <summary>Every byte by hand; the digest is Python's hashlib over the file with the digits as zeros.</summary>
    [Fact]
    public void The_file_is_this_one_byte_for_byte()
    {
        const string digest = "5cfc7c9c9833daa09f579ee17fd04b6cdddfd881b5579f8a00718e2183592bdb";
        var json =
            """{"__metadata__":{"sha256":"@","k":"v\"ü"},"i":{"dtype":"I64","shape":[],"data_offsets":[0,8]},""".Replace("@", digest)
            + "\"w\":{\"dtype\":\"F32\",\"shape\":[2,1],\"data_offsets\":[8,16]},"
            + "\"b\":{\"dtype\":\"BOOL\",\"shape\":[3],\"data_offsets\":[16,19]}}";
        byte[] text = Encoding.UTF8.GetBytes(json);
        byte[] expected =
        [
            0x10,
            0x01,
            0,
            0,
            0,
            0,
            0,
            0,
            .. text,
            .. Enumerable.Repeat((byte)' ', 0x110 - text.Length),
            0xfe,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff,
            0xff, // -2
            0x00,
            0x00,
            0x80,
            0x3f,
            0x00,
            0x00,
            0x20,
            0xc0, // 1, -2.5
            1,
            0,
            1,
        ];

        using var b = tensor(new[] { true, false, true });
        using var w = tensor(
            new[,]
            {
                { 1f },
                { -2.5f },
            }
        );
        using var i = tensor(-2L);
        Safetensors.Save(
            folder.File("a"),
            new Dictionary<string, Tensor>
            {
                ["b"] = b,
                ["w"] = w,
                ["i"] = i,
            },
            new Dictionary<string, string> { ["k"] = "v\"ü" }
        );

        Assert.Equal(expected, File.ReadAllBytes(folder.File("a")));
        Assert.Equal(["a"], folder.Names());
    }

    [Fact]
    public void A_file_of_another_writer_without_checksum_or_metadata_is_read()
    {
        WriteRaw(
            """{"a":{"data_offsets":[4,6],"shape":[1],"dtype":"BF16"},"b":{"dtype":"I16","shape":[2],"data_offsets":[0,4]}}""",
            [1, 0, 0xff, 0xff, 0x80, 0x3f]
        );
        using var read = Safetensors.Load(folder.File("a"));
        Assert.False(read.HasChecksum);
        Assert.False(Safetensors.Verify(folder.File("a")));
        Assert.Empty(read.Metadata);
        Assert.Equal([1, -1], read.Tensors["b"].Elements<short>());
        Assert.Equal(1f, read.Tensors["a"].to(ScalarType.Float32).item<float>());
    }

    [Theory]
    [InlineData("", "its header is malformed: ")]
    [InlineData("[]", "its header is malformed: ")]
    [InlineData("{", "its header is malformed: ")]
    [InlineData("""{} {}""", "its header is malformed: ")]
    [InlineData("""{"a":1}""", "its header is malformed: ")]
    [InlineData("""{"__metadata__":{"k":1}}""", "its header is malformed: ")]
    [InlineData("""{"__metadata__":{"k":null}}""", "null")]
    [InlineData("""{"__metadata__":[]}""", "its header is malformed: ")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1]}}""", "2 properties")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"offsets":[0,4]}}""", "its header is malformed: ")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"more":0}}""", "4 properties")]
    [InlineData("""{"a":{"dtype":"C64","shape":[1],"data_offsets":[0,8]}}""", "unsupported dtype 'C64'")]
    [InlineData("""{"a":{"dtype":null,"shape":[1],"data_offsets":[0,8]}}""", "unsupported dtype")]
    [InlineData("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", "does not fit")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", "does not fit")]
    [InlineData("""{"a":{"dtype":"F32","shape":[-1,-2],"data_offsets":[0,8]}}""", "does not fit")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[-4,4]}}""", "does not fit")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", "does not fit")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,8]}}""", "does not fit")]
    [InlineData("""{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}""", "its header is malformed: ")]
    [InlineData("""{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}""", "its header is malformed: ")]
    [InlineData("""{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}""", "its header is malformed: ")]
    [InlineData("""{"a":{"dtype":"F32","shape":[4611686018427387904,2],"data_offsets":[0,8]}}""", "its header is malformed: ")]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[0,4611686018427387904,8],"data_offsets":[0,0]},"""
            + "\"b\":{\"dtype\":\"U8\",\"shape\":[8],\"data_offsets\":[0,8]}}",
        "its header is malformed: "
    )]
    [InlineData("""{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", "need 16 bytes, but the file holds 8")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}""", "need 4 bytes, but the file holds 8")]
    [InlineData("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "after a gap")]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[6],"data_offsets":[2,8]}}""",
        "after a gap"
    )]
    [InlineData("""{"a":{"dtype":"U8","shape":[5],"data_offsets":[0,5]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""", "inside")]
    [InlineData(
        """{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},"a":{"dtype":"U8","shape":[0],"data_offsets":[8,8]}}""",
        "its header is malformed: "
    )]
    [InlineData("""{"__metadata__":{"k":"1","k":"2"},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}""", "its header is malformed: ")]
    [InlineData("""{"__metadata__":{"sha256":""},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}""", "sha256")]
    [InlineData("""{"__metadata__":{"sha256":"00"},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}""", "sha256")]
    public void A_malformed_header_is_refused_by_one_sentence_that_names_the_file(string json, string reason)
    {
        WriteRaw(json, new byte[8]);
        var error = Assert.Throws<InvalidDataException>(() => Safetensors.Load(folder.File("a")));
        Assert.StartsWith(folder.File("a") + " is damaged or not a safetensors file: ", error.Message, StringComparison.Ordinal);
        Assert.EndsWith(".", error.Message, StringComparison.Ordinal);
        Assert.Contains(reason, error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', error.Message);
        Assert.Throws<InvalidDataException>(() => Safetensors.Verify(folder.File("a")));
    }

    [Theory]
    [InlineData(9)]
    [InlineData(int.MaxValue)]
    [InlineData(long.MaxValue)]
    [InlineData(-1)]
    public void A_header_longer_than_the_file_is_refused(long length)
    {
        var bytes = new byte[16];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, length);
        File.WriteAllBytes(folder.File("a"), bytes);
        var error = Assert.Throws<InvalidDataException>(() => Safetensors.Load(folder.File("a")));
        Assert.Contains("but the file has 16", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Invalid_utf8_is_refused()
    {
        WriteRaw("""{"__metadata__":{"k":"@"},"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}""", new byte[8]);
        var bytes = File.ReadAllBytes(folder.File("a"));
        bytes[bytes.IndexOf((byte)'@')] = 0xff;
        File.WriteAllBytes(folder.File("a"), bytes);
        Assert.Throws<InvalidDataException>(() => Safetensors.Load(folder.File("a")));
    }

    [Fact]
    public void Reserved_names_and_foreign_dtypes_are_refused_and_leave_the_old_file()
    {
        using var good = ones(2);
        using var complex = ones(2, ScalarType.ComplexFloat32);
        Safetensors.Save(folder.File("a"), new Dictionary<string, Tensor> { ["w"] = good });
        var before = File.ReadAllBytes(folder.File("a"));

        Assert.Throws<ArgumentException>(() =>
            Safetensors.Save(folder.File("a"), new Dictionary<string, Tensor> { ["w"] = good, ["c"] = complex })
        );
        Assert.Throws<ArgumentException>(() =>
            Safetensors.Save(folder.File("a"), new Dictionary<string, Tensor> { ["__metadata__"] = good })
        );
        Assert.Throws<ArgumentException>(() =>
            Safetensors.Save(
                folder.File("a"),
                new Dictionary<string, Tensor> { ["w"] = good },
                new Dictionary<string, string> { ["sha256"] = "" }
            )
        );

        Assert.Equal(before, File.ReadAllBytes(folder.File("a")));
        Assert.Equal(["a"], folder.Names());
    }

    [Fact]
    public void A_failed_write_leaves_the_old_file_and_no_other()
    {
        using var good = ones(2);
        using var sparse = ones(2).to_sparse();
        Safetensors.Save(folder.File("a"), new Dictionary<string, Tensor> { ["w"] = good });
        var before = File.ReadAllBytes(folder.File("a"));
        Assert.ThrowsAny<Exception>(() =>
            Safetensors.Save(folder.File("a"), new Dictionary<string, Tensor> { ["a"] = good, ["w"] = sparse })
        );
        Assert.Equal(before, File.ReadAllBytes(folder.File("a")));
        Assert.Equal(["a"], folder.Names());
    }

    [Fact]
    public void Writing_and_reading_leak_no_tensor()
    {
        using var weight = ones(4, 3);
        using var transposed = weight.T;
        var tensors = new Dictionary<string, Tensor> { ["w"] = transposed };
        var before = DisposeScopeManager.Statistics.ThreadTotalLiveCount; // of this thread: other tests run beside it
        for (var i = 0; i < 10; i++)
        {
            Safetensors.Save(folder.File("a"), tensors);
            Safetensors.Load(folder.File("a")).Dispose();
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    private void WriteRaw(string json, byte[] buffer)
    {
        var text = Encoding.UTF8.GetBytes(json);
        File.WriteAllBytes(folder.File("a"), [.. BitConverter.GetBytes((long)text.Length), .. text, .. buffer]);
    }
}
