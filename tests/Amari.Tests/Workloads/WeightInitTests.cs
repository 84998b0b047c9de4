using Amari.Ranks;
using Amari.Tests.Training;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Tests.Workloads;

/// <summary>What each start does to linear layers and convolutions, by their statistics.</summary>
public sealed class WeightInitTests
{
    private const int In = 300,
        Out = 200,
        Kernel = 3;

    private static Sequential Model() =>
        nn.Sequential(
            ("linear", nn.Linear(In, Out)),
            ("conv", nn.Conv2d(40, 60, Kernel)),
            ("grouped", nn.Conv2d(40, 60, Kernel, groups: 2)),
            ("transposed", nn.ConvTranspose2d(40, 60, Kernel, groups: 2)),
            ("bare", nn.Linear(In, Out, hasBias: false)),
            ("norm", nn.BatchNorm2d(60)),
            ("embedding", nn.Embedding(7, 5))
        );

    /// <summary>Layer, weights into a unit, fans as PyTorch counts them.</summary>
    private static readonly (string Layer, int Inputs, int FanIn, int FanOut)[] Layers =
    [
        ("linear", In, In, Out),
        ("conv", 360, 360, 540),
        ("grouped", 180, 180, 540),
        ("transposed", 180, 270, 360),
        ("bare", In, In, Out),
    ];

    private static Dictionary<string, double[]> Started(WeightInit start, int seed = 1)
    {
        manual_seed(5);
        using var model = Model();
        manual_seed(seed);
        WeightInits.Apply(start, model);
        return model
            .state_dict()
            .Where(t => t.Value.is_floating_point())
            .ToDictionary(t => t.Key, t => t.Value.to_type(ScalarType.Float64).contiguous().data<double>().ToArray());
    }

    private static double Deviation(double[] x) => Math.Sqrt(x.Average(v => v * v));

    private static double Kurtosis(double[] x) => x.Average(v => v * v * v * v) / Math.Pow(x.Average(v => v * v), 2);

    [Fact]
    public void Sparse_gives_each_unit_fifteen_standard_normal_weights()
    {
        using var model = Model();
        manual_seed(1);
        WeightInits.Apply(WeightInit.Sparse, model);
        var state = model.state_dict();
        foreach (var (layer, inputs, _, _) in Layers)
        {
            var w = state[layer + ".weight"];
            // A transposed kernel [in, out/groups, k, k]: an output channel's weights are those of its group's inputs.
            var units = layer == "transposed" ? cat([.. w.chunk(2, 0).Select(g => g.transpose(0, 1).flatten(1))]) : w.flatten(1);
            Assert.Equal(inputs, units.shape[1]);
            Assert.All(units.count_nonzero([1]).data<long>().ToArray(), n => Assert.Equal(15, n));
            double[] values = units[units.ne(0)].to_type(ScalarType.Float64).data<double>().ToArray();
            Assert.Equal(1, Deviation(values), 0.1);
            Assert.Equal(3, Kurtosis(values), 0.6); // normal
            Assert.Equal(0, values.Average(), 0.1);
            if (layer != "bare")
                Assert.All(state[layer + ".bias"].data<float>().ToArray(), b => Assert.Equal(0, b));
        }
        using var narrow = nn.Linear(4, 3);
        WeightInits.Apply(WeightInit.Sparse, narrow);
        Assert.Equal(12, narrow.weight!.count_nonzero().ToInt64());
    }

    [Fact]
    public void Glorot_is_normal_with_the_variance_of_both_fans()
    {
        var state = Started(WeightInit.Glorot);
        foreach (var (layer, _, fanIn, fanOut) in Layers)
        {
            Assert.Equal(Math.Sqrt(2.0 / (fanIn + fanOut)), Deviation(state[layer + ".weight"]), 1e-3);
            Assert.Equal(3, Kurtosis(state[layer + ".weight"]), 0.15);
            if (layer != "bare")
                Assert.All(state[layer + ".bias"], b => Assert.Equal(0, b));
        }
    }

    [Fact]
    public void PyTorch_is_uniform_within_one_over_the_root_of_the_fan_in()
    {
        var state = Started(WeightInit.PyTorch);
        using var fresh = Model(); // what the layers' constructors draw has the same range
        foreach (var (layer, _, fanIn, _) in Layers)
        {
            double bound = 1 / Math.Sqrt(fanIn);
            foreach (
                double[] values in (double[][])[state[layer + ".weight"], .. layer == "bare" ? (double[][])[] : [state[layer + ".bias"]]]
            )
            {
                Assert.InRange(values.Max(Math.Abs), 0.9 * bound, bound * (1 + 1e-6));
                Assert.Equal(bound / Math.Sqrt(3), Deviation(values), 0.15 * bound);
            }
            Assert.Equal(1.8, Kurtosis(state[layer + ".weight"]), 0.05); // uniform
            double[] theirs = fresh.state_dict()[layer + ".weight"].to_type(ScalarType.Float64).data<double>().ToArray();
            Assert.Equal(theirs.Max(Math.Abs), state[layer + ".weight"].Max(Math.Abs), 0.01 * bound);
        }
    }

    [Theory, InlineData(WeightInit.Sparse), InlineData(WeightInit.Glorot), InlineData(WeightInit.PyTorch)]
    public void A_start_is_repeatable_and_leaves_other_layers(WeightInit start)
    {
        var (a, b, other) = (Started(start), Started(start), Started(start, seed: 2));
        Assert.All(a, t => Assert.Equal(t.Value, b[t.Key]));
        Assert.All(Layers, l => Assert.NotEqual(a[l.Layer + ".weight"], other[l.Layer + ".weight"]));
        Assert.All(a["norm.weight"], w => Assert.Equal(1, w));
        using var model = Model();
        var before = model.state_dict()["embedding.weight"].clone();
        WeightInits.Apply(start, model);
        Assert.True(before.eq(model.state_dict()["embedding.weight"]).all().ToBoolean());
        var untouched = model.state_dict().ToDictionary(t => t.Key, t => t.Value.clone());
        using var random = get_rng_state();
        WeightInits.Apply(WeightInit.Workload, model);
        Assert.All(model.state_dict(), t => Assert.True(untouched[t.Key].eq(t.Value).all().ToBoolean()));
        Assert.True(random.eq(get_rng_state()).all().ToBoolean());
    }

    [Fact]
    public void A_run_has_its_start_and_is_not_continued_from_another()
    {
        using var folder = new TemporaryFolder();
        var choice = new OptimizerChoice("adamw", new Dictionary<string, string>());
        var checkpoint = new CheckpointOptions(folder.Path, true, TimeSpan.FromHours(1));
        using var own = new Trainer(new DigitsMlp(), null);
        using var sparse = new Trainer(new DigitsMlp(), null) { WeightInit = WeightInit.Sparse };
        long zeros = 0;
        var run = sparse.Train(
            choice,
            4,
            Budget.OfEpochs(1),
            checkpoint: checkpoint,
            evaluated: (m, p) =>
            {
                if (p.Step == 0)
                    zeros = m.parameters().Sum(w => w.numel() - w.count_nonzero().ToInt64());
            }
        );
        Assert.Equal(17_226 - 15 * (128 + 64 + 10), zeros);
        Assert.Equal(WeightInit.Sparse, run.WeightInit);
        Assert.NotEqual(own.Train(choice, 4, Budget.OfEpochs(1)).Losses[0].Loss, run.Losses[0].Loss);
        Assert.Equal(
            "The checkpoint has start sparse, but this run has workload: it cannot continue.",
            Assert.Throws<ArgumentException>(() => own.Train(choice, 4, Budget.OfEpochs(2), checkpoint: checkpoint)).Message
        );
        Assert.Equal(2 * own.StepsPerEpoch, sparse.Train(choice, 4, Budget.OfEpochs(2), checkpoint: checkpoint).Steps);
    }

    [Theory]
    [InlineData("workload", WeightInit.Workload), InlineData("default", WeightInit.Workload), InlineData("Sparse", WeightInit.Sparse)]
    [InlineData("glorot", WeightInit.Glorot), InlineData("xavier", WeightInit.Glorot), InlineData("pytorch", WeightInit.PyTorch)]
    public void Names_are_the_fields(string name, WeightInit start) => Assert.Equal(start, WeightInits.Parse(name));
}
