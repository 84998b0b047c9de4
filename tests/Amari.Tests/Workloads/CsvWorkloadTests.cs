using Amari.Tests.Training;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Workloads;

public sealed class CsvWorkloadTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    private string Houses(int rows = 60, string name = "houses.csv") => CsvFile.Write(_folder.Path, CsvFile.Houses(rows), name);

    private static Dictionary<string, string> Of(string name, string value) => new() { [name] = value };

    private sealed class Mine(string path) : CsvWorkload(path, "price")
    {
        public override string Name => "mine";
    }

    [Fact]
    public void A_regression_is_described()
    {
        var workload = new CsvWorkload(Houses(name: "My houses (2).csv"), "price");
        Assert.Equal("my-houses-2", workload.Name);
        Assert.Equal(
            "regression 'price' of My houses (2).csv: 60 rows (9 held out), 5 features, MLP 5-16-16-1 (tanh)",
            workload.Description
        );
        Assert.IsType<SquaredError>(workload.Likelihood);
        Assert.Equal(("mean absolute error", false), (workload.Metric.Name, workload.Metric.HigherIsBetter));
        Assert.Equal("held-out loss", workload.Target.Metric);
        Assert.InRange(workload.Target.Value, 0.001, 0.3);
        Assert.Equal(16, workload.BatchSize);
        Assert.Equal("csv", new CsvWorkload(Houses(name: "价.csv"), "price").Name);
        Assert.Contains(" 1 feature, MLP 1-16-16-1", workload.With(Of("ignore", "town,rooms")).Description, StringComparison.Ordinal);
    }

    /// <summary>Where a linear model is better than a constant, where it is worse, and where it has no error.</summary>
    [Fact]
    public void The_target_says_whose_loss_it_is()
    {
        Assert.Equal("the held-out loss of a linear model (ridge regression)", OriginOf(CsvFile.Houses(), "price"));
        Assert.Equal("the held-out loss of a linear model (softmax regression)", OriginOf(CsvFile.Houses(300), "town"));
        var random = new Random(1);
        string noise = string.Join(
            '\n',
            Enumerable.Range(0, 60).Select(_ => string.Join(',', Enumerable.Range(0, 20).Select(_ => random.Next())))
        );
        noise = string.Join(',', Enumerable.Range(0, 19).Select(i => $"a{i}")) + ",b\n" + noise;
        Assert.Equal(
            "the held-out loss of a constant prediction, because a linear model (ridge regression) has a higher one",
            OriginOf(noise, "b")
        );
        string line = "a,b\n" + string.Join('\n', Enumerable.Range(0, 400).Select(i => $"{i},{2 * i}"));
        Assert.Equal("0.001, because a linear model (ridge regression) has a lower held-out loss", OriginOf(line, "b"));

        string? OriginOf(string text, string target) => new CsvWorkload(CsvFile.Write(_folder.Path, text), target).Target.Origin;
    }

    // A linear model of noise, or of classes with few rows, is worse than the share of each class.
    [Fact]
    public void The_target_is_never_worse_than_the_best_constant()
    {
        var random = new Random(1);
        var lines = Enumerable
            .Range(0, 60)
            .Select(i => FormattableString.Invariant($"{random.NextDouble()},{random.NextDouble()},k{i % 30}"));
        string path = CsvFile.Write(_folder.Path, string.Join('\n', lines.Prepend("a,b,k")), "noise.csv");
        Assert.InRange(new CsvWorkload(path, "k").Target.Value, 0.1, Math.Log(30) + 0.2);
    }

    [Fact]
    public void Classes_with_a_row_each_are_refused()
    {
        string path = CsvFile.Write(
            _folder.Path,
            string.Join('\n', Enumerable.Range(0, 40).Select(i => $"{i},k{i}").Prepend("a,p")),
            "p.csv"
        );
        Assert.Contains(
            "column 'p': no row is left to judge by",
            Assert.Throws<ArgumentException>(() => new CsvWorkload(path, "p").Target).Message,
            StringComparison.Ordinal
        );
    }

    [Fact]
    public void A_classification_is_described()
    {
        var workload = new CsvWorkload(Houses(), "town");
        Assert.Equal("3 classes 'town' of houses.csv: 60 rows (9 held out), 3 features, MLP 3-16-16-3 (tanh)", workload.Description);
        Assert.IsType<Categorical>(workload.Likelihood);
        Assert.Equal("accuracy", workload.Metric.Name);
    }

    /// <summary>The predictions are the targets moved by one standard deviation over the training rows.</summary>
    [Fact]
    public void The_error_is_in_the_units_of_the_file()
    {
        string path = Houses();
        var workload = new CsvWorkload(path, "price");
        using var data = workload.Load(null);
        using var set = new CsvDataset(path, "price", CsvPart.Test);
        Assert.Equal([42, 9, 9], new[] { data.Train, data.Validation!, data.Test! }.Select(d => d.Count));
        double error = workload.Metric.Sum(data.Test!.Targets.add(1), data.Test.Targets).ToDouble() / data.Test.Count;
        Assert.Equal(set.TargetScale, error, 1e-3 * error);
        Assert.InRange(error, 10_000, 200_000);
    }

    [Fact]
    public void Width_and_batch_grow_with_the_rows()
    {
        var workload = new CsvWorkload(Houses(4000), "price");
        Assert.Contains("MLP 5-64-64-1", workload.Description); // √2800 = 52.9
        Assert.Equal(128, workload.BatchSize); // 2800 / 32 = 87.5
        Assert.Equal(16, new CsvWorkload(Houses(30), "price").BatchSize);
        Assert.Equal(14, new CsvWorkload(Houses(20), "price").BatchSize); // all of the training rows
    }

    [Fact]
    public void Settings_choose_what_is_predicted_and_how()
    {
        var workload = new CsvWorkload(Houses(), "price");
        Assert.Equal(["target", "task", "ignore", "hidden", "split-seed"], workload.SettingNames);
        Assert.Equal(["price", "auto", "", "16,16", "0"], workload.SettingValues.Values);
        Assert.StartsWith("4 classes 'rooms'", workload.With(Of("target", "rooms")).Description);
        Assert.StartsWith(
            "regression 'rooms'",
            workload.With(new Dictionary<string, string> { ["target"] = "rooms", ["task"] = "Regression" }).Description
        );
        Assert.Contains("MLP 1-16-16-1", workload.With(Of("ignore", " size, town")).Description);
        using (var model = workload.With(Of("hidden", "7")).CreateModel())
            Assert.Equal(
                [
                    [7, 5],
                    [7],
                    [1, 7],
                    [1],
                ],
                model.parameters().Select(p => p.shape)
            );
        using var linear = workload.With(Of("hidden", "")).CreateModel();
        Assert.Equal(
            [
                [1, 5],
                [1],
            ],
            linear.parameters().Select(p => p.shape)
        );
        Assert.NotEqual(workload.Target.Value, workload.With(Of("split-seed", "1")).Target.Value);
    }

    [Theory]
    [InlineData("task", "guess", "The setting task is 'guess'; it must be auto, regression or classification.")]
    [InlineData("task", "7", "The setting task is '7'")]
    [InlineData(
        "hidden",
        "8,0",
        "The setting hidden is '8,0'; it must be whole numbers from 1 to 2147483647 separated by commas, as 32,32."
    )]
    [InlineData(
        "hidden",
        "8,,8",
        "The setting hidden is '8,,8'; it must be whole numbers from 1 to 2147483647 separated by commas, as 32,32."
    )]
    [InlineData("hidden", "2000000000,2000000000", "With hidden=2000000000,2000000000, training 4,000,000,")]
    [InlineData("ignore", "town,Town", "The setting ignore is 'town,Town'; it must have town once.")]
    [InlineData("split-seed", "-1", "The setting split-seed is '-1'; it must be a whole number from 0 to 2147483647.")]
    [InlineData("target", "cost", "has no column 'cost'")]
    public void Bad_settings_are_refused(string name, string value, string expected)
    {
        var workload = new CsvWorkload(Houses(), "price");
        Assert.Contains(expected, Assert.Throws<ArgumentException>(() => workload.With(Of(name, value))).Message);
    }

    [Fact]
    public void A_workload_that_derives_from_it_stays_what_it_is()
    {
        var workload = new Mine(Houses());
        Assert.Equal("mine", workload.Name);
        var other = Assert.IsType<Mine>(workload.With(Of("hidden", "8")));
        Assert.Equal(("mine", "8", "16,16"), (other.Name, other.SettingValues["hidden"], workload.SettingValues["hidden"]));
    }

    /// <summary>The least-squares methods, K-FAC with its Fisher, and a fused first-order step.</summary>
    [Theory, InlineData("kfac"), InlineData("levenberg-marquardt"), InlineData("adamw")]
    public void Optimizers_of_every_kind_reduce_its_loss(string optimizer)
    {
        using var trainer = new Trainer(new CsvWorkload(Houses(), "price"), null);
        var run = trainer.Train(new(optimizer, new Dictionary<string, string>()), 0, Budget.OfEpochs(20));
        Assert.True(run.FinalLoss < 0.7 * run.Losses[0].Loss, $"{run.Losses[0].Loss} {run.FinalLoss}");
        Assert.True(double.IsFinite(run.HeldOut[^1].Metric));
    }

    /// <summary>As in docs/runs.md.</summary>
    [Fact]
    public void The_lines_of_the_docs_train()
    {
        string directory = Environment.CurrentDirectory;
        Environment.CurrentDirectory = Path.GetDirectoryName(Houses())!;
        try
        {
            using var trainer = new Trainer(new CsvWorkload("houses.csv", target: "price"), null);
            var run = trainer.Train(new("kfac", new Dictionary<string, string>()), seed: 0, Budget.OfEpochs(5));
            Assert.InRange(run.FinalMetric, 1, 100_000);
        }
        finally
        {
            Environment.CurrentDirectory = directory;
        }
    }

    [Fact]
    public void Rows_that_are_also_trained_on_are_mentioned()
    {
        Assert.Null(CautionOf(CsvFile.Houses()));
        string[] lines = CsvFile.Houses(40).Split('\n');
        Assert.Matches(
            "^[1-9][0-9]* of 12 held-out rows equal a training row in all columns used: ",
            CautionOf(string.Join('\n', [.. lines, .. lines.Skip(1)]))
        );

        string? CautionOf(string text)
        {
            using var trainer = new Trainer(new CsvWorkload(CsvFile.Write(_folder.Path, text), "price"), null);
            return BenchmarkResult.Of(trainer, Budget.OfEpochs(1), [], []).DataCaution;
        }
    }

    [Fact]
    public void Tuning_is_judged_by_the_validation_rows()
    {
        using var data = new CsvWorkload(Houses(), "price").Load(null);
        using var tuning = data.ForTuning();
        Assert.Equal((42, 9), (tuning.Train.Count, tuning.Test!.Count));
    }
}
