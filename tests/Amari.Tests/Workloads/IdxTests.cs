using Amari.Native;
using Amari.Tests.Training;
using Amari.Workloads.Data;

namespace Amari.Tests.Workloads;

public sealed class IdxTests : IDisposable
{
    private static readonly byte[] Good = IdxFile.Bytes([2, 3], [0, 1, 2, 127, 128, 255]);

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Plain_and_compressed_files_are_distinguished_by_content(bool compressed)
    {
        using var x = Idx.Read(Write(compressed ? IdxFile.Gzip(Good) : Good));

        Assert.Equal(ScalarType.Byte, x.dtype);
        Assert.Equal([2, 3], x.shape);
        Assert.Equal(new byte[] { 0, 1, 2, 127, 128, 255 }, x.Elements<byte>());
    }

    [Fact]
    public void Sizes_are_big_endian()
    {
        using var x = Idx.Read(Write([0, 0, 8, 1, 0, 0, 1, 2, .. new byte[258]]));
        Assert.Equal([258], x.shape);
    }

    [Fact]
    public void A_size_of_zero_is_an_empty_array()
    {
        using var x = Idx.Read(Write(IdxFile.Bytes([0, 28, 28], [])));
        Assert.Equal([0, 28, 28], x.shape);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Cut_off_anywhere_it_is_refused(bool compressed)
    {
        var whole = compressed ? IdxFile.Gzip(Good) : Good;
        for (var length = 0; length < whole.Length; length++)
            Refused(whole[..length], "");
    }

    public static TheoryData<byte[], string> Malformed =>
        new()
        {
            { [], "it has 0 bytes" },
            { [0, 0, 8], "it has 3 bytes" },
            { [1, 0, 8, 1, 0, 0, 0, 0], "begins with the bytes 01 00" },
            { [0, 7, 8, 1, 0, 0, 0, 0], "begins with the bytes 00 07" },
            { [0, 0, 0x0D, 1, 0, 0, 0, 1, 0, 0, 0, 0], "its type is 0D" },
            { [0, 0, 8, 0], "no dimensions" },
            { [0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0], "header of 3 dimensions is truncated" },
            { [0, 0, 8, 255, 0, 0, 0, 1], "header of 255 dimensions is truncated" },
            { [0, 0, 8, 1, 0, 0, 0, 3, 1, 2], "announces 3 bytes of data, but it has 2" },
            { [0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3, 4], "announces 3 bytes of data, but it has 4" },
            { IdxFile.Bytes([3, 2, 2], new byte[6]), "announces 3 x 2 x 2 bytes of data, but it has 6" },
            { IdxFile.Bytes([uint.MaxValue], new byte[6]), "announces 4294967295 bytes" },
            // 2^64 and 2^128: products that wrap around to the zero bytes that follow.
            { IdxFile.Bytes([1u << 31, 1u << 31, 4], []), "it has 0" },
            { IdxFile.Bytes([1u << 31, 1u << 31, 1u << 31, 1u << 31, 16], []), "it has 0" },
            { [0x1F, 0x8B, 8, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], "cannot be decompressed" },
        };

    [Theory]
    [MemberData(nameof(Malformed))]
    public void Malformed_files_are_refused_with_the_reason(byte[] bytes, string reason) => Refused(bytes, reason);

    [Theory]
    [InlineData(500)] // the data, which random bytes leave uncompressed
    [InlineData(8)] // the checksum, then the size
    [InlineData(5)]
    [InlineData(4)]
    [InlineData(1)]
    public void A_flipped_bit_in_a_compressed_file_is_found_by_its_checksum(int fromEnd)
    {
        var data = new byte[1000];
        new Random(1).NextBytes(data);
        var file = IdxFile.Gzip(IdxFile.Bytes([1000], data));
        file[^fromEnd] ^= 1;
        Refused(file, "cannot be decompressed");
    }

    [Fact]
    public void A_missing_file_is_named()
    {
        var e = Assert.Throws<FileNotFoundException>(() => Idx.Read(folder.File("none")));
        Assert.Contains("none", e.Message);
    }

    private void Refused(byte[] bytes, string reason)
    {
        var path = Write(bytes);
        var e = Assert.Throws<InvalidDataException>(() => Idx.Read(path));
        Assert.StartsWith($"{path} is not a valid IDX file: ", e.Message);
        Assert.Contains(reason, e.Message);
    }

    private string Write(byte[] bytes)
    {
        var path = folder.File("file");
        File.WriteAllBytes(path, bytes);
        return path;
    }
}
