// A workload of your own: data, model, likelihood, metric, target. Build it, then
//   amari compare --assembly samples/OwnWorkload/bin/Release/net10.0/OwnWorkload.dll
using Amari;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

namespace OwnWorkload;

public sealed class TwoSpirals : Workload
{
    private const int Points = 1024;

    public override string Name => "two-spirals";
    public override string Description => "1,024 points on two spirals, MLP 2-64-64-2 (tanh)";
    public override int BatchSize => 128;
    public override Likelihood Likelihood { get; } = new Categorical();
    public override Metric Metric => Metric.Accuracy;
    public override Target Target => new("loss", 0.01);
    public override Budget DefaultBudget => Budget.OfSeconds(5);

    public override WorkloadData Load(string? directory) => new(Spirals(seed: 1), Spirals(seed: 2));

    public override nn.Module<Tensor, Tensor> CreateModel() =>
        nn.Sequential(
            ("fc1", nn.Linear(2, 64)),
            ("tanh1", nn.Tanh()),
            ("fc2", nn.Linear(64, 64)),
            ("tanh2", nn.Tanh()),
            ("fc3", nn.Linear(64, 2))
        );

    private static Dataset Spirals(int seed)
    {
        var random = new Random(seed);
        var x = new float[Points, 2];
        var y = new long[Points];
        for (int i = 0; i < Points; i++)
        {
            y[i] = i % 2;
            double turn = 3 * Math.PI * Math.Sqrt(random.NextDouble()),
                angle = turn + Math.PI * y[i];
            x[i, 0] = (float)(turn * Math.Cos(angle) / 5 + 0.03 * (random.NextDouble() - 0.5));
            x[i, 1] = (float)(turn * Math.Sin(angle) / 5 + 0.03 * (random.NextDouble() - 0.5));
        }
        return new(tensor(x), tensor(y));
    }
}
