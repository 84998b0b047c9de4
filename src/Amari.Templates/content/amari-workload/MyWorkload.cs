using Amari;
using Amari.Workloads;
using TorchSharp;
using static TorchSharp.torch;

/// <summary>A workload of your own. README.md says how to run it; replace the data and the model by yours.</summary>
public sealed class MyWorkload : Workload
{
    public override string Name => "my-workload";
    public override string Description => "1,024 points inside and outside of a ring, MLP 2-32-32-2 (tanh)";
    public override int BatchSize => 128;

    // What the outputs mean: Categorical for classes, Gaussian or SquaredError for real numbers, Bernoulli for yes or no.
    public override Likelihood Likelihood { get; } = new Categorical();
    public override Metric Metric => Metric.Accuracy;
    public override Target Target => new("loss", 0.05);
    public override Budget DefaultBudget => Budget.OfSeconds(5);

    public override WorkloadData Load(string? directory) => new(Ring(seed: 1), Ring(seed: 2));

    public override nn.Module<Tensor, Tensor> CreateModel() =>
        nn.Sequential(
            ("fc1", nn.Linear(2, 32)),
            ("tanh1", nn.Tanh()),
            ("fc2", nn.Linear(32, 32)),
            ("tanh2", nn.Tanh()),
            ("fc3", nn.Linear(32, 2))
        );

    /// <summary>Inputs [n, 2] and classes [n]: is the point within a ring?</summary>
    private static Dataset Ring(int seed)
    {
        const int points = 1024;
        var random = new Random(seed);
        var x = new float[points, 2];
        var y = new long[points];
        for (int i = 0; i < points; i++)
        {
            (x[i, 0], x[i, 1]) = (2 * random.NextSingle() - 1, 2 * random.NextSingle() - 1);
            y[i] = Math.Sqrt(x[i, 0] * x[i, 0] + x[i, 1] * x[i, 1]) is > 0.4 and < 0.8 ? 1 : 0;
        }
        return new(tensor(x), tensor(y));
    }
}
