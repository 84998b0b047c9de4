using System.Numerics;
using System.Text;
using Amari.Serialization;

namespace Amari.Tests.Serialization;

/// <summary>Pickles written by hand after pickletools. A character is a byte.</summary>
public sealed class UnpicklerTests
{
    private const string Tensor = "ctorch._utils\n_rebuild_tensor_v2\n";
    private const string Storage = "(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\0kX\x03\0\0\0cpuK\x06tQ"; // six elements

    private static object? Read(string pickle)
    {
        using var stream = new MemoryStream(Encoding.Latin1.GetBytes(pickle));
        return new Unpickler(stream).Read();
    }

    private static void Refused(string expected, string pickle)
    {
        var e = Assert.ThrowsAny<Exception>(() => Read(pickle));
        Assert.True(e is InvalidDataException or EndOfStreamException, e.ToString());
        Assert.Contains(expected, e.Message);
    }

    [Fact]
    public void Plain_values_are_read()
    {
        Assert.Null(Read("N."));
        Assert.Equal(true, Read("\x80\x05\x88."));
        Assert.Equal(false, Read("\x89."));
        Assert.Equal(255L, Read("K\xff."));
        Assert.Equal(513L, Read("M\x01\x02."));
        Assert.Equal(-1L, Read("J\xff\xff\xff\xff."));
        Assert.Equal(0L, Read("\x8a\0."));
        Assert.Equal(-256L, Read("\x8a\x02\0\xff."));
        Assert.Equal(BigInteger.Pow(2, 64), Read("\x8a\x09\0\0\0\0\0\0\0\0\x01."));
        Assert.Equal(1.5, Read("G\x3f\xf8\0\0\0\0\0\0."));
        Assert.Equal("é", Read("X\x02\0\0\0\xc3\xa9."));
        Assert.Equal("ab", Read("\x8c\x02" + "ab."));
        Assert.Equal(new byte[] { 1, 2 }, Read("C\x02\x01\x02."));
        Assert.Equal(new byte[] { 1, 2 }, Read("B\x02\0\0\0\x01\x02."));
    }

    [Fact]
    public void Containers_are_read()
    {
        Assert.Equal(new object?[] { 1L, 2L, 3L }, Read("K\x01K\x02K\x03\x87."));
        Assert.Equal(new object?[] { 1L, null }, Read("(K\x01Nt."));
        Assert.Equal(new List<object?> { 1L, 2L, 3L }, Read("](K\x01K\x02" + "eK\x03" + "a."));
        var entries = Assert.IsType<OrderedDictionary<object, object?>>(Read("}K\x01NsX\x01\0\0\0a(K\x02tq\0s."));
        Assert.Equal([1L, "a"], entries.Keys);
        var ordered = Assert.IsType<OrderedDictionary<object, object?>>(
            Read("ccollections\nOrderedDict\n)R(X\x01\0\0\0bNX\x01\0\0\0aNu}b.")
        );
        Assert.Equal(["b", "a"], ordered.Keys);
        Assert.Equal(new object?[] { 3L }, Read("ctorch\nSize\n(K\x03t\x85R."));
        Assert.Equal(new object?[] { "m", "m" }, Read("\x8c\x01m\x94h\0\x86."));
        Assert.Equal(new object?[] { "m", "m" }, Read("\x8c\x01mr\x09\0\0\0j\x09\0\0\0\x86."));
    }

    [Fact]
    public void A_tensor_is_a_view_of_its_storage()
    {
        var tensor = Assert.IsType<PyTorchTensor>(Read($"{Tensor}({Storage}K\x01K\x02K\x02\x86K\x02K\x01\x86\x89NtR."));
        Assert.Equal(new PyTorchStorage("k", ScalarType.Float32, 6), tensor.Storage);
        Assert.Equal((1, "2 2", "2 1"), (tensor.Offset, string.Join(' ', tensor.Shape), string.Join(' ', tensor.Strides)));
    }

    [Theory]
    [InlineData("K\x01", "K\x06\x85", "K\x01\x85")] // one too far
    [InlineData("J\xff\xff\xff\xff", "K\x02\x85", "K\x01\x85")]
    [InlineData("K\0", "J\xff\xff\xff\xff\x85", "K\x01\x85")]
    [InlineData("K\0", "K\x02\x85", "J\xff\xff\xff\xff\x85")]
    [InlineData("K\0", "K\x02K\x02\x86", "K\x01\x85")]
    [InlineData("K\0", "\x8a\x08\0\0\0\0\0\0\0\x40K\x04\x86", "K\0K\0\x86")] // 2^64 elements
    [InlineData("K\0", "\x8a\x05\0\0\0\0\x01\x85", "K\0\x85")] // 2^32 elements over one
    public void A_tensor_outside_its_storage_is_refused(string offset, string shape, string strides) =>
        Refused("does not fit its storage of 6 elements", $"{Tensor}({Storage}{offset}{shape}{strides}\x89NtR.");

    [Theory]
    [InlineData("cposix\nsystem\n.", "refers to posix.system, which is no part")]
    [InlineData("cbuiltins\neval\n.", "refers to builtins.eval")]
    [InlineData("\x8c\x05posix\x8c\x06system\x93.", "refers to posix.system")]
    [InlineData("ctorch\nload\n.", "refers to torch.load")]
    [InlineData("ctorch.FloatStorage\n_new_shared\n.", "refers to torch.FloatStorage._new_shared")]
    [InlineData("c\x1b[31mos\n\n.", "refers to ?[31mos.")]
    public void Other_names_are_refused(string pickle, string expected) => Refused(expected, pickle);

    [Theory]
    [InlineData("\x80\x01.", "protocol 1; 2 to 5 are read")]
    [InlineData("\x80\x06.", "protocol 6")]
    [InlineData("I1\n.", "the unknown instruction 0x49")]
    [InlineData("i", "the unknown instruction 0x69")] // INST calls a class
    [InlineData("\x81", "the unknown instruction 0x81")] // NEWOBJ
    [InlineData("", "ends too early")]
    [InlineData(".", "an empty stack")]
    [InlineData("t.", "an end without a beginning")]
    [InlineData("(.", "an empty stack")]
    [InlineData("N(a.", "an empty stack")]
    [InlineData("h\x05.", "an unknown reference")]
    [InlineData("X\xff\xff\xff\xff" + "abc", "ends too early")]
    [InlineData("NNa.", "an item for what is not a list")]
    [InlineData("NNNs.", "an item for what is not a dictionary")]
    [InlineData("}NNs.", "a key that is neither text nor a whole number")]
    [InlineData("}(Nu.", "a key without a value")]
    [InlineData("NNR.", "a call of what is no function")]
    [InlineData("ctorch\nFloatStorage\n)R.", "unexpected arguments of torch.FloatStorage")]
    [InlineData("ccollections\nOrderedDict\n(Nt\x85R.", "unexpected arguments of collections.OrderedDict")]
    [InlineData("}Nb.", "attributes that are no dictionary")]
    [InlineData("N}b.", "an item for what is not a dictionary")]
    [InlineData("NQ.", "a storage that is not described as by torch.save")]
    [InlineData("\x8c\x01m\x8c\x01n\x85\x93.", "a name that is no text")]
    public void Malformed_pickles_are_refused(string pickle, string expected) => Refused(expected, pickle);

    [Fact]
    public void Two_descriptions_of_a_storage_are_refused() =>
        Refused(
            "two different descriptions of the storage 'k'",
            $"{Storage}{Storage.Replace("K\x06", "K\x07", StringComparison.Ordinal)}."
        );
}
