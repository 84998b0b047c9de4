using System.Text;
using Amari.Native;
using Amari.Serialization;
using Amari.Tests.Training;

namespace Amari.Tests.Serialization;

/// <summary>Files as PyTorch 2.x writes them, made by hand: <see cref="PyTorchArchive"/> and pickles of protocol 2.</summary>
public sealed class PyTorchFileLaterVersionsTests : IDisposable
{
    private const string Dictionary = "ccollections\nOrderedDict\n)R",
        Rebuild = "ctorch._utils\n_rebuild_tensor_v2\n",
        Attributes = "}X\x05\0\0\0shard\x88s"; // {"shard": True}
    private static readonly byte[] Floats = Of(1f, -2.5f, 3e-40f, 4f, 5f, 6f),
        Halves = [0xc0, 0x3f, 0x20, 0xc0]; // 1.5 and -2.5 as bfloat16
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private static byte[] Of(params float[] numbers) => [.. numbers.SelectMany(BitConverter.GetBytes)];

    private static string Text(string text) => $"X{(char)text.Length}\0\0\0{text}";

    private static string Storage(string type, int key, int count, string device = "cpu") =>
        $"({Text("storage")}ctorch\n{type}\n{Text($"{key}")}{Text(device)}K{(char)count}tQ";

    /// <summary>The arguments of a tensor of shape [2, 2], from element 1 of six.</summary>
    private static string Arguments(string notes = "", string device = "cpu") =>
        $"({Storage("FloatStorage", 0, 6, device)}K\x01K\x02K\x02\x86K\x02K\x01\x86\x89{Dictionary}{notes}t";

    private static string Matrix(string notes = "", string device = "cpu") => $"{Rebuild}{Arguments(notes, device)}R";

    /// <summary>An entry of a dictionary, as the only one of a pickle.</summary>
    private static string One(string value) => $"\x80\x02}}{Text("w")}{value}s.";

    private PyTorchFile Load(string pickle, byte[][]? storages = null, int alignment = 64, bool hasChecksums = true)
    {
        string path = _folder.File("model.pt");
        PyTorchArchive.Write(path, pickle, storages ?? [Floats], alignment, hasChecksums);
        return PyTorchFile.Load(path);
    }

    private void Refused(string expected, string value)
    {
        string message = Assert.Throws<InvalidDataException>(() => Load(One(value))).Message;
        Assert.Contains(expected, message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(64, true)]
    [InlineData(64, false)]
    [InlineData(4096, true)]
    public void A_state_dict_is_read_whatever_the_alignment(int alignment, bool hasChecksums)
    {
        string bfloat = $"{Rebuild}({Storage("BFloat16Storage", 1, 2)}K\0K\x02\x85K\x01\x85\x89{Dictionary}tR",
            metadata = $"}}{Text("_metadata")}{Dictionary}{Text("")}}}{Text("version")}K\x01sssb";
        using var file = Load(
            $"\x80\x02{Dictionary}({Text("w")}{Matrix(device: "cuda:0")}{Text("b")}{bfloat}u{metadata}.",
            [Floats, Halves],
            alignment,
            hasChecksums
        );
        Assert.Equal(["w", "b"], file.StateDict().Keys);
        var (w, b) = (file.Tensors["w"], file.Tensors["b"]);
        Assert.Equal((ScalarType.Float32, ScalarType.BFloat16), (w.dtype, b.dtype));
        Assert.Equal([2, 2], w.shape);
        Assert.Equal([-2.5f, 3e-40f, 4, 5], w.Elements<float>());
        Assert.Equal([1.5f, -2.5f], b.Elements<float>());
    }

    [Fact]
    public void A_damaged_record_is_found_by_its_checksum()
    {
        string path = _folder.File("model.pt");
        Load(One(Matrix())).Dispose();
        byte[] bytes = File.ReadAllBytes(path);
        bytes[bytes.AsSpan().IndexOf(Floats)] ^= 1;
        File.WriteAllBytes(path, bytes);
        Assert.Contains("data/0 is damaged", Assert.Throws<InvalidDataException>(() => PyTorchFile.Load(path)).Message);
    }

    /// <summary>Python attributes of parameters and tensors do not hide their elements.</summary>
    [Theory]
    [InlineData("ctorch._utils\n_rebuild_parameter\n", "\x88", "")]
    [InlineData("ctorch._utils\n_rebuild_parameter_with_state\n", "\x88", Attributes)]
    [InlineData("ctorch._tensor\n_rebuild_from_type_v2\n", null, Attributes)]
    public void Attributes_of_tensors_are_left_out(string function, string? gradient, string attributes)
    {
        string arguments = gradient is null ? $"{Rebuild}ctorch\nTensor\n{Arguments()}" : $"{Matrix()}{gradient}{Dictionary}";
        using var file = Load(One($"{function}({arguments}{attributes}tR"));
        Assert.Equal([-2.5f, 3e-40f, 4, 5], Assert.Single(file.Tensors).Value.Elements<float>());
    }

    [Fact]
    public void Notes_on_tensors_are_heeded()
    {
        Load(One(Matrix(notes: "}"))).Dispose();
        Load(One(Matrix(notes: $"}}{Text("conj")}\x89s"))).Dispose();
        Refused("a tensor whose negation or conjugation is pending", Matrix(notes: $"}}{Text("neg")}\x88s"));
        Refused("unexpected arguments of torch._utils._rebuild_tensor_v2", Matrix(notes: "K\x01"));
    }

    [Theory]
    [InlineData("ctorch._utils\n_rebuild_tensor_v3\n", "torch._utils._rebuild_tensor_v3")] // uint16, float8
    [InlineData("ctorch._utils\n_rebuild_sparse_tensor\n", "torch._utils._rebuild_sparse_tensor")]
    [InlineData("ctorch\nComplexFloatStorage\n", "torch.ComplexFloatStorage")]
    public void Tensors_of_another_kind_are_refused(string value, string name) =>
        Refused($"it has a tensor of a kind that is not read ({name}); dense tensors of Float32, Float64, ", value);

    [Theory]
    [InlineData("ctorch._utils\n_rebuild_parameter\n", "ctorch\nTensor\n")]
    [InlineData(Rebuild, "ctorch\nSize\n")]
    public void Tensors_of_another_class_are_refused(string function, string type) =>
        Refused(
            "unexpected arguments of torch._tensor._rebuild_from_type_v2",
            $"ctorch._tensor\n_rebuild_from_type_v2\n({function}{type}{Arguments()}{Attributes}tR"
        );

    /// <summary>TorchSharp writes a program of TorchScript, in the same container.</summary>
    [Fact]
    public void A_program_of_TorchScript_is_refused_unexecuted()
    {
        string path = _folder.File("script.pt");
        using (var tensor = arange(6))
            tensor.save(path);
        var message = Assert.Throws<InvalidDataException>(() => PyTorchFile.Load(path)).Message;
        Assert.Contains("its pickle refers to __torch__", message, StringComparison.Ordinal);
        Assert.Contains("nothing was executed", message, StringComparison.Ordinal);
    }
}
