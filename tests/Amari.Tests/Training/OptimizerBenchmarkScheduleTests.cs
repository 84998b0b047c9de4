using Amari.Reporting;
using Amari.Training;
using Amari.Workloads;
using static TorchSharp.torch;

namespace Amari.Tests.Training;

/// <summary>The verdict follows the schedule: rankings at a constant rate say little of those of decayed runs.</summary>
public sealed class OptimizerBenchmarkScheduleTests
{
    /// <summary>A large rate is fast and noisy, a small one slow and quiet. Decay takes the noise away from the first.</summary>
    [Theory]
    [InlineData(ScheduleShape.Constant, "adamw", "sgd")]
    [InlineData(ScheduleShape.Linear, "sgd", "adamw")]
    public void Who_wins_at_a_constant_rate_loses_under_decay(ScheduleShape shape, string winner, string loser)
    {
        using var trainer = new Trainer(new NoisyLine(), null);
        OptimizerChoice[] choices =
        [
            new("sgd", new Dictionary<string, string> { ["LearningRate"] = "0.3", ["Momentum"] = "0" }),
            new("adamw", new Dictionary<string, string> { ["LearningRate"] = "0.011", ["WeightDecay"] = "0" }),
        ];
        var result = OptimizerBenchmark.Compare(
            trainer,
            [.. choices.Select(c => c with { Schedule = new(shape) })],
            [0, 1, 2, 3, 4],
            Budget.OfEpochs(6),
            0,
            null,
            TestContext.Current.CancellationToken
        );
        string answer = Answer.Of(result);
        Assert.StartsWith($"Use {winner}: it ended with the lowest held-out loss", answer, StringComparison.Ordinal);
        Assert.Contains($"{winner} is better than {loser}", answer, StringComparison.Ordinal);
    }

    /// <summary>y = Σ xᵢ + noise of unit variance, in small batches.</summary>
    private sealed class NoisyLine : Workload
    {
        private const int Inputs = 10;
        public override string Name => "noisy-line";
        public override string Description => "a line and noise";
        public override int BatchSize => 8;
        public override Likelihood Likelihood { get; } = new SquaredError();
        public override Metric Metric { get; } = new("error", false, (f, y) => f.sub(y).abs().sum());
        public override Target Target => new(Target.HeldOutLoss, 0.01);
        public override Budget DefaultBudget => Budget.OfEpochs(1);

        public override WorkloadData Load(string? directory) => new(Set(512, 1), Set(4096, 2));

        public override nn.Module<Tensor, Tensor> CreateModel() => nn.Linear(Inputs, 1);

        private static Dataset Set(int count, ulong seed)
        {
            using var generator = new Generator(seed);
            using var scope = NewDisposeScope();
            var x = randn(count, Inputs, generator: generator);
            var y = x.sum([1], keepdim: true).mul(1.5).add(randn(count, 1, generator: generator));
            return new(x.MoveToOuterDisposeScope(), y.MoveToOuterDisposeScope());
        }
    }
}
