using Amari.Native;
using Amari.Tests.Training;
using Amari.Verification;
using Amari.Workloads;
using Amari.Workloads.Data;

namespace Amari.Tests.Workloads;

/// <summary>Sums and histograms were counted from the source files by another program.</summary>
public sealed class DatasetTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Digits_are_as_published()
    {
        using var data = Digits.Load();
        Check(data.Train, 1437, 8, grey: 16, sum: 449_372, first: 294, [143, 146, 142, 146, 144, 145, 144, 143, 141, 143]);
        Check(data.Test!, 360, 8, grey: 16, sum: 112_346, first: 347, [35, 36, 35, 37, 37, 37, 37, 36, 33, 37]);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], data.Train.Targets.Elements<long>()[..10]);
        Assert.Equal([0, 0, 5 / 16f, 13 / 16f, 9 / 16f, 1 / 16f, 0, 0], data.Train.Inputs.Elements<float>()[..8]);
    }

    [Fact]
    public void No_digit_to_train_on_is_in_the_test()
    {
        using var data = Digits.Load();
        var train = Images(data.Train).ToHashSet();
        Assert.Equal(1437, train.Count);
        Assert.DoesNotContain(Images(data.Test!), train.Contains);

        static IEnumerable<string> Images(Dataset set) => set.Inputs.Elements<float>().Chunk(64).Select(pixels => string.Join(' ', pixels));
    }

    [Fact]
    public void Mnist10k_is_as_published()
    {
        using var data = Mnist10k.Load();
        Check(data, 10_000, 28, grey: 255, sum: 262_146_600, first: 25_275, [1001, 1127, 991, 1032, 980, 863, 1014, 1070, 944, 978]);
        Assert.Equal(5, data.Targets[0].item<long>());
        Assert.Equal(4, data.Targets[-1].item<long>());
    }

    [Fact]
    public void Fashion_mnist_is_as_published_where_it_is_installed()
    {
        Assert.SkipUnless(FashionMnist.IsPresent(), "Fashion-MNIST is not installed.");
        using var data = FashionMnist.Load();
        Check(data.Train, 60_000, 28, grey: 255, sum: 3_431_114_169, first: 76_247, Enumerable.Repeat(6000L, 10));
        Check(data.Test!, 10_000, 28, grey: 255, sum: 573_469_082, first: 33_456, Enumerable.Repeat(1000L, 10));
    }

    [Fact]
    public void Any_folder_of_mnist_shaped_files_will_do_plain_or_compressed()
    {
        IdxFile.WriteMnistFolder(folder.Path, train: 20, test: 10);

        Assert.True(FashionMnist.IsPresent(folder.Path));
        using var data = FashionMnist.Load(folder.Path);

        Check(data.Train, 20, 28, grey: 255, sum: 20 * 56 * 255, first: 56 * 255, Enumerable.Repeat(2L, 10));
        Check(data.Test!, 10, 28, grey: 255, sum: 10 * 56 * 255, first: 56 * 255, Enumerable.Repeat(1L, 10));
        Assert.Equal(1, data.Train.Inputs[3, 0, 6, 0].item<float>());
        Assert.Equal(0, data.Train.Inputs[3, 0, 5, 27].item<float>());
    }

    [Theory]
    [InlineData("train-images-idx3-ubyte")]
    [InlineData("train-labels-idx1-ubyte")]
    [InlineData("t10k-images-idx3-ubyte.gz")]
    [InlineData("t10k-labels-idx1-ubyte.gz")]
    public void A_missing_file_says_how_to_get_the_data(string missing)
    {
        IdxFile.WriteMnistFolder(folder.Path, train: 1, test: 1);
        File.Delete(folder.File(missing));

        Assert.False(FashionMnist.IsPresent(folder.Path));
        var e = Assert.Throws<FileNotFoundException>(() => FashionMnist.Load(folder.Path));
        Assert.Contains(missing.Replace(".gz", "", StringComparison.Ordinal), e.Message);
        Assert.Contains("apt-get install dataset-fashion-mnist", e.Message);
        Assert.Contains("--data DIR", e.Message);
    }

    [Fact]
    public void The_novel_s_windows_are_its_text_and_the_targets_what_follows()
    {
        using var data = PrideAndPrejudice.Load(64, 512, 128);
        Assert.Equal("\n !\"'()*,-.0123456789:;?ABCDEFGHIJKLMNOPRSTUVWYZ_abcdefghijklmnopqrstuvwxyz", PrideAndPrejudice.Characters);
        Assert.Equal([9630, 64], data.Train.Inputs.shape); // (684,768 - 1) / 64 = 10,699 windows, a tenth of them to test with
        Assert.StartsWith("PRIDE AND PREJUDICE\n\nBy Jane Austen\n", Text(data.Train.Inputs[0]));
        Assert.Equal(Text(data.Train.Inputs[7])[1..] + Text(data.Train.Inputs[8])[0], Text(data.Train.Targets[7]));
        Assert.Equal(Text(data.Train.Inputs[18]), Text(data.Measured!.Inputs[1]));
        Assert.InRange(data.Measured.Count, 512, 560);
        Assert.InRange(data.Test!.Count, 128, 140);

        static string Text(Tensor codes) => string.Concat(codes.Elements<long>().Select(c => PrideAndPrejudice.Characters[(int)c]));
    }

    [Fact]
    public void A_missing_directory_says_how_to_get_the_data()
    {
        var e = Assert.Throws<FileNotFoundException>(() => new FashionConv().Load(folder.File("none")));
        Assert.Contains("apt-get install dataset-fashion-mnist", e.Message);
    }

    [Fact]
    public void Files_that_do_not_belong_together_are_refused()
    {
        const string images = "train-images-idx3-ubyte",
            labels = "train-labels-idx1-ubyte";
        Refused(images, IdxFile.Bytes([20, 14, 14], new byte[20 * 196]), "contains [20, 14, 14]; expected images [n, 28, 28]");
        Refused(images, IdxFile.Bytes([20, 784], new byte[20 * 784]), "contains [20, 784]; expected images [n, 28, 28]");
        Refused(images, IdxFile.Bytes([0, 28, 28], []), "contains [0, 28, 28]; expected images [n, 28, 28]");
        Refused(labels, IdxFile.Bytes([19], new byte[19]), "contains [19]; expected 20 labels");
        Refused(labels, IdxFile.Bytes([20, 1], new byte[20]), "contains [20, 1]; expected 20 labels");
        Refused(labels, IdxFile.Bytes([20], [.. new byte[19], 10]), "has the label 10; expected 0 to 9");
        Refused("t10k-labels-idx1-ubyte.gz", [0, 0, 8], "not a valid IDX file");

        void Refused(string name, byte[] content, string reason)
        {
            IdxFile.WriteMnistFolder(folder.Path, train: 20, test: 10);
            File.WriteAllBytes(folder.File(name), content);
            var e = Assert.Throws<InvalidDataException>(() => FashionMnist.Load(folder.Path));
            Assert.Contains(folder.File(name), e.Message);
            Assert.Contains(reason, e.Message);
        }
    }

    /// <param name="data">What was loaded.</param>
    /// <param name="count">How many examples the source has.</param>
    /// <param name="side">Pixels of a side.</param>
    /// <param name="grey">The grey level that becomes 1.</param>
    /// <param name="sum">Of all grey levels.</param>
    /// <param name="first">Of those of the first image.</param>
    /// <param name="histogram">Examples per label.</param>
    private static void Check(Dataset data, long count, long side, int grey, long sum, long first, IEnumerable<long> histogram)
    {
        using var scope = NewDisposeScope();
        Assert.Equal(count, data.Count);
        Assert.Equal([count, 1, side, side], data.Inputs.shape);
        Assert.Equal([count], data.Targets.shape);
        Assert.Equal((ScalarType.Float32, ScalarType.Int64), (data.Inputs.dtype, data.Targets.dtype));
        Assert.Equal((0, 1), (data.Inputs.min().item<float>(), data.Inputs.max().item<float>()));

        var levels = data.Inputs.mul(grey).round(); // back to integers, so that sums are exact
        Assert.True(levels.sub(data.Inputs.mul(grey)).abs().max().item<float>() < 1e-4f);
        Assert.Equal(sum, levels.to(ScalarType.Int64).sum().item<long>());
        Assert.Equal(first, levels[0].sum().item<float>());
        Assert.Equal(histogram, data.Targets.bincount(null, minlength: 10).Elements<long>());
    }
}
