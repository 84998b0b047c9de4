using Amari.Native;
using Amari.Tests.Training;
using Amari.Workloads;

namespace Amari.Tests.Workloads;

/// <summary>Features, targets and parts against values computed here from the text.</summary>
public sealed class CsvDatasetTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Written(string text) => CsvFile.Write(_folder.Path, text);

    [Fact]
    public void Columns_are_standardised_by_the_training_rows_only()
    {
        string text = CsvFile.Houses();
        using var all = new CsvDataset(Written(text), "price");
        using var training = all.Of(CsvPart.Training);
        Assert.Equal(["size", "town=Lyon", "town=Nice", "town=Paris", "rooms"], all.Features);
        Assert.Empty(all.Classes);
        var (mean, square) = (training.Inputs.mean([0L]), training.Inputs.square().mean([0L]));
        foreach (int column in (int[])[0, 4])
        {
            Assert.Equal(0, mean[column].item<float>(), 1e-5);
            Assert.Equal(1, square[column].item<float>(), 1e-5);
        }
        Assert.Equal(0, training.Targets.mean().item<float>(), 1e-5);
        Assert.True(Math.Abs(all.Targets.mean().item<float>()) > 1e-3);

        // the same linear map for all rows, from the text
        double[] sizes = [.. text.Split('\n').Skip(1).Select(l => Parse(l.Split(',')[0]))];
        double[] prices = [.. text.Split('\n').Skip(1).Select(l => Parse(l.Split(',')[3]))];
        var x = all.Inputs.select(1, 0).Elements<float>();
        var y = all.Targets.Elements<float>();
        double slope = (x[1] - x[0]) / (sizes[1] - sizes[0]);
        for (int i = 2; i < sizes.Length; i++)
        {
            Assert.Equal(x[0] + slope * (sizes[i] - sizes[0]), x[i], 1e-4);
            Assert.Equal(prices[i] - prices[0], all.TargetScale * (y[i] - y[0]), 0.5);
        }

        static double Parse(string number) => double.Parse(number, System.Globalization.CultureInfo.InvariantCulture);
    }

    [Fact]
    public void Categories_are_ones_and_zeros_in_ordinal_order()
    {
        string text = CsvFile.Houses();
        using var all = new CsvDataset(Written(text), "price");
        string[] towns = ["Lyon", "Nice", "Paris"];
        float[] expected = [.. text.Split('\n').Skip(1).SelectMany(l => towns.Select(t => t == l.Split(',')[1] ? 1f : 0f))];
        Assert.Equal(expected, all.Inputs.narrow(1, 1, 3).contiguous().Elements<float>());
    }

    [Fact]
    public void Parts_are_disjoint_and_divide_every_class_alike()
    {
        string text =
            "x,kind\n"
            + string.Join(
                '\n',
                Enumerable
                    .Range(0, 100)
                    .Select(i => $"{i},{(i < 60 ? "a" : i < 99 ? "b" : "rare")}")
            );
        using var all = new CsvDataset(Written(text), "kind");
        Assert.Equal(["a", "b", "rare"], all.Classes);
        Assert.Equal(ScalarType.Int64, all.Targets.dtype);
        var parts = Enum.GetValues<CsvPart>().Select(all.Of).ToList();
        Assert.Equal([72, 14, 14], parts.Select(p => p.Count));
        Assert.Equal(
            [
                [42, 9, 9],
                [29, 5, 5],
                [1, 0, 0],
            ],
            Enumerable.Range(0, 3).Select(c => parts.Select(p => Of(p, c)).ToArray())
        );
        var rows = parts.SelectMany(p => p.Inputs.Elements<float>()).Order();
        Assert.Equal(all.Inputs.Elements<float>().Order(), rows);
        parts.ForEach(p => p.Dispose());

        static int Of(CsvDataset part, int label) => part.Targets.Elements<long>().Count(l => l == label);
    }

    [Fact]
    public void Another_seed_of_the_division_gives_other_parts()
    {
        string path = Written(CsvFile.Houses());
        Assert.Equal(Test(0), Test(0));
        Assert.NotEqual(Test(0), Test(1));

        float[] Test(int seed)
        {
            using var part = new CsvDataset(path, "rooms", CsvPart.Test, new() { SplitSeed = seed, Ignore = ["town", "price"] });
            return part.Inputs.Elements<float>();
        }
    }

    [Theory]
    [InlineData("rooms", CsvTask.Auto, 4)] // few whole numbers
    [InlineData("rooms", CsvTask.Regression, 0)]
    [InlineData("price", CsvTask.Auto, 0)]
    [InlineData("town", CsvTask.Auto, 3)]
    [InlineData("TOWN", CsvTask.Classification, 3)]
    public void The_task_follows_from_the_target_unless_given(string target, CsvTask task, int classes)
    {
        using var all = new CsvDataset(Written(CsvFile.Houses()), target, null, new() { Task = task });
        Assert.Equal(classes, all.Classes.Count);
    }

    [Fact]
    public void Ignored_columns_are_no_features()
    {
        using var all = new CsvDataset(Written(CsvFile.Houses()), "price", null, new() { Ignore = ["Size", "town"] });
        Assert.Equal(["rooms"], all.Features);
    }

    [Fact]
    public void Columns_that_teach_nothing_are_no_features()
    {
        string text = string.Join('\n', CsvFile.Houses().Split('\n').Select((l, i) => i == 0 ? $"id,country,{l}" : $"h{i},F,{l}"));
        using var all = new CsvDataset(Written(text), "price");
        Assert.Equal(["size", "town=Lyon", "town=Nice", "town=Paris", "rooms"], all.Features);
    }

    [Fact]
    public void A_loader_makes_batches_and_leaves_no_tensors()
    {
        string path = Written(CsvFile.Houses());
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        for (int round = 0; round < 2; round++)
        {
            using var scope = NewDisposeScope();
            using var data = new CsvDataset(path, "town", CsvPart.Training);
            using var loader = new DataLoader(data, 16, shuffle: false, disposeBatch: true);
            long rows = 0;
            foreach (var batch in loader)
            {
                Assert.Equal([batch["label"].shape[0], 3], batch["data"].shape);
                rows += batch["label"].shape[0];
            }
            Assert.Equal(data.Count, rows);
            Assert.Equal(data.Inputs[3].Elements<float>(), data.GetTensor(3)["data"].Elements<float>());
            Assert.Throws<ArgumentOutOfRangeException>(() => data.GetTensor(data.Count));
        }
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }
}
