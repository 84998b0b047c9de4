using Amari.Distributed;
using Amari.Native;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Training;

/// <summary>Batches that the data draws for each step.</summary>
public sealed class TrainerDrawTests
{
    private static readonly Dictionary<string, string> None = [];

    private static Workload Resampled(string every = "1") =>
        new HeatEquation().With(
            new Dictionary<string, string>
            {
                ["resample"] = every,
                ["points"] = "61",
                ["hidden"] = "8",
            }
        );

    [Fact]
    public void A_batch_depends_on_seed_and_step_alone()
    {
        using var scope = NewDisposeScope();
        using Trainer one = new(Resampled(), null),
            other = new(Resampled(), null);
        Assert.Equal(one.Batch(4, 17).X.Elements<double>(), other.Batch(4, 17).X.Elements<double>());
        Assert.NotEqual(one.Batch(4, 17).X.Elements<double>(), one.Batch(4, 18).X.Elements<double>());
        Assert.NotEqual(one.Batch(4, 17).X.Elements<double>(), one.Batch(5, 17).X.Elements<double>());
        using var tuning = one.ForTuning();
        Assert.Equal(one.Batch(4, 17).X.Elements<double>(), tuning.Batch(4, 17).X.Elements<double>());
    }

    [Fact]
    public void Ranks_share_a_drawn_batch()
    {
        using var scope = NewDisposeScope();
        using Trainer alone = new(Resampled(), null),
            first = new(Resampled(), null, new OneOfTwo(0)),
            second = new(Resampled(), null, new OneOfTwo(1));
        using var joined = cat([first.Batch(1, 2).X, second.Batch(1, 2).X]);
        Assert.Equal(alone.Batch(1, 2).X.Elements<double>(), joined.Elements<double>());
    }

    [Theory]
    [InlineData("adamw")]
    [InlineData("lbfgs")]
    public void A_resumed_run_with_drawn_batches_is_bit_identical(string optimizer)
    {
        using var folder = new TemporaryFolder();
        using var trainer = new Trainer(Resampled("2"), null);
        var straight = trainer.Train(new(optimizer, None), 3, Budget.OfEpochs(7));
        trainer.Train(new(optimizer, None), 3, Budget.OfEpochs(3), checkpoint: new(folder.Path, false, TimeSpan.FromHours(1)));
        var resumed = trainer.Train(new(optimizer, None), 3, Budget.OfEpochs(7), checkpoint: new(folder.Path, true, TimeSpan.FromHours(1)));
        Assert.Equal(straight.FinalLoss, resumed.FinalLoss);
        Assert.Equal(straight.FinalMetric, resumed.FinalMetric);
        Assert.Equal(7, resumed.Steps);
    }

    [Fact]
    public void Drawing_another_number_of_examples_is_an_error()
    {
        using var trainer = new Trainer(new Short(), null);
        var message = Assert.Throws<InvalidOperationException>(() => trainer.Batch(0, 0)).Message;
        Assert.Contains("drew 3 examples", message, StringComparison.Ordinal);
    }

    private sealed class Short() : SmallWorkload("short", 300)
    {
        public override nn.Module<Tensor, Tensor> CreateModel() => nn.Linear(64, 10);

        public override WorkloadData Load(string? directory) =>
            base.Load(directory) with
            {
                Draw = (_, _) => new(zeros(3, 1, 8, 8), zeros(3, dtype: ScalarType.Int64)),
            };
    }

    /// <summary>One of two ranks that never communicate.</summary>
    private sealed class OneOfTwo(int rank) : Communicator
    {
        public override int Rank => rank;
        public override int Size => 2;
        public override string Description => "a test";

        public override void Barrier() { }

        public override Communicator Split(int color) => this;

        public override void Abort(string reason, int exitCode = 1) { }

        private protected override PendingReduction Begin(Tensor tensor, Reduction reduction) => PendingReduction.Done;

        private protected override void BroadcastBytes(nint data, long bytes, int root) { }

        private protected override void GatherBytes(nint source, nint destination, long bytes) { }

        private protected override void Scatter(Tensor source, Tensor destination) { }
    }
}
