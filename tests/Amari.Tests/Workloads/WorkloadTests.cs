using System.Globalization;
using Amari.Native;
using Amari.Tests.Training;
using Amari.Workloads;

namespace Amari.Tests.Workloads;

/// <summary>The contract of a workload, held against every built-in one.</summary>
public sealed class WorkloadTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public WorkloadTests() => IdxFile.WriteMnistFolder(folder.Path, train: 600, test: 100); // what fashion-conv trains on here

    public void Dispose() => folder.Dispose();

    public static TheoryData<string> Names => [.. WorkloadCatalog.All.Select(w => w.Name)];

    /// <summary>Numbers of parameters, counted by hand.</summary>
    public static TheoryData<string, long> Parameters =>
        new()
        {
            { "digits-mlp", (64 + 1) * 128 + (128 + 1) * 64 + (64 + 1) * 10 },
            { "digits-softmax", (64 + 1) * 10 },
            { "nist", 3 },
            { "digits-conv", (9 + 1) * 16 + (9 * 16 + 1) * 32 + (512 + 1) * 10 },
            { "autoencoder", 785 * 1000 + 1001 * 500 + 501 * 250 + 251 * 30 + 31 * 250 + 251 * 500 + 501 * 1000 + 1001 * 784 },
            { "autoencoder-sigmoid", 785 * 1000 + 1001 * 500 + 501 * 250 + 251 * 30 + 31 * 250 + 251 * 500 + 501 * 1000 + 1001 * 784 },
            { "char-transformer", (75 + 64) * 160 + 3 * (2 * 320 + 161 * 480 + 161 * 160 + 161 * 640 + 641 * 160) + 320 + 161 * 75 },
            { "fashion-conv", (9 + 1) * 16 + (9 * 16 + 1) * 32 + (9 * 32 + 1) * 64 + (1024 + 1) * 128 + (128 + 1) * 10 },
            { "poisson", 3 * 32 + 33 },
            { "heat", 3 * 32 + 33 * 32 + 33 },
            { "burgers", 3 * 20 + 21 * 20 + 21 * 20 + 21 },
            { "monge-ampere", 3 * 32 + 33 * 32 + 33 },
            { "poisson-5d", 6 * 64 + 65 * 64 + 65 * 48 + 49 * 48 + 49 },
        };

    [Theory]
    [MemberData(nameof(Parameters))]
    public void Parameters_are_as_many_as_described(string name, long parameters)
    {
        var workload = WorkloadCatalog.Find(name, null);
        using var model = workload.CreateModel();
        Assert.Equal(parameters, model.parameters().Sum(p => p.numel()));
        Assert.EndsWith($" {parameters.ToString("N0", CultureInfo.InvariantCulture)} parameters", workload.Description);
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Thirty_steps_of_plain_descent_lower_the_loss(string name)
    {
        var workload = WorkloadCatalog.Find(name, null);
        using var data = workload.Load(folder.Path);
        using var scope = NewDisposeScope();
        random.manual_seed(1);
        using var model = workload.CreateModel();
        // a loss summed over 784 pixels wants a smaller one, and so do second derivatives
        var learningRate =
            name.StartsWith("autoencoder", StringComparison.Ordinal) ? 1e-4
            : workload is PdeWorkload ? 1e-3
            : workload is Nist ? 3e-7 // the parameters are of very different sizes
            : 0.1;
        using var optimizer = optim.SGD(model.parameters(), learningRate, momentum: 0.9);

        var before = Evaluate();
        for (var step = 0; step < 30; step++)
        {
            using var stepScope = NewDisposeScope();
            var start = step * workload.BatchSize % (data.Train.Count - workload.BatchSize + 1);
            var (x, y) = (data.Train.Inputs.narrow(0, start, workload.BatchSize), data.Train.Targets.narrow(0, start, workload.BatchSize));
            optimizer.zero_grad();
            workload.Likelihood.Loss(model.call(x), y).backward();
            optimizer.step();
        }
        var after = Evaluate();

        var share = workload is PdeWorkload ? 1 : 0.8; // equations are stiff
        Assert.True(after.Loss < share * before.Loss, $"loss {before.Loss} before, {after.Loss} after");
        if (workload.Metric.OfModel is null) // an error of the solution may rise at first
            Assert.True(
                workload.Metric.HigherIsBetter ? after.Metric > before.Metric : after.Metric < before.Metric,
                $"{workload.Metric.Name} {before.Metric} before, {after.Metric} after"
            );

        (double Loss, double Metric) Evaluate()
        {
            using var off = no_grad();
            using var evaluationScope = NewDisposeScope();
            var (x, y) = (data.Train.Inputs.narrow(0, 0, workload.BatchSize), data.Train.Targets.narrow(0, 0, workload.BatchSize));
            var output = model.call(x);
            return (
                workload.Likelihood.Loss(output, y).ToDouble(),
                workload.Metric.Sum(output, y).to(ScalarType.Float64).item<double>() / workload.BatchSize
            );
        }
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void Loading_leaves_nothing_behind_but_the_data(string name)
    {
        using var scope = NewDisposeScope();
        var data = WorkloadCatalog.Find(name, null).Load(folder.Path);
        Assert.Equal(
            2 + (data.Test is null ? 0 : 2) + (data.Measured is null ? 0 : 2) + (data.Validation is null ? 0 : 2),
            scope.DisposablesCount
        );
        data.Dispose();
        Assert.Equal(0, scope.DisposablesCount);
    }

    [Fact]
    public void The_autoencoder_learns_its_own_input_from_glorot_weights()
    {
        var workload = WorkloadCatalog.Find("autoencoder", null);
        using var data = workload.Load(null);
        Assert.Equal([1_000, 784], data.Test!.Inputs.shape);
        Assert.Equal([9_000, 784], data.Train.Inputs.shape);
        Assert.True(data.Train.Inputs.equal(data.Train.Targets).all().item<bool>());

        random.manual_seed(1);
        using var model = workload.CreateModel();
        var linear = model.modules().OfType<Linear>().ToList();
        Assert.Equal([784, 1000, 500, 250, 30, 250, 500, 1000], linear.Select(l => l.weight.shape[1]));
        Assert.All(
            linear,
            layer =>
            {
                // The standard deviation of n normal numbers is known to 1 / √(2n) of itself; five of these.
                var expected = Math.Sqrt(2.0 / layer.weight.shape.Sum());
                Assert.Equal(1, layer.weight.std().item<float>() / expected, tolerance: 5 / Math.Sqrt(2.0 * layer.weight.numel()));
                Assert.Equal(0, layer.bias!.abs().max().item<float>());
            }
        );
        Assert.Equal(6, model.modules().OfType<Tanh>().Count()); // none after the code and the output
        using var sigmoid = WorkloadCatalog.Find("autoencoder-sigmoid", null).CreateModel();
        Assert.Equal((6, 0), (sigmoid.modules().OfType<Sigmoid>().Count(), sigmoid.modules().OfType<Tanh>().Count()));
    }

    [Fact]
    public void Batches_are_the_examples_in_order_and_samples_are_drawn_without_replacement()
    {
        using var set = new Dataset(arange(10).view(10, 1), arange(10));
        long before = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        Assert.Equal(
            [
                [0, 1, 2, 3],
                [4, 5, 6, 7],
                [8, 9],
            ],
            set.Batches(4).Select(b => b.Inputs.Elements<long>())
        );
        Assert.All(set.Batches(3), b => Assert.Equal(b.Inputs.Elements<long>(), b.Targets.Elements<long>()));
        Assert.Equal(before, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
        using var some = set.Sample(4, 1);
        using var others = set.Sample(4, 2);
        using var all = set.Sample(99, 1);
        Assert.Equal(4, some.Targets.Elements<long>().Distinct().Count());
        Assert.Equal(some.Targets.Elements<long>(), some.Inputs.Elements<long>());
        Assert.NotEqual(some.Targets.Elements<long>(), others.Targets.Elements<long>());
        Assert.Equal(Enumerable.Range(0, 10).Select(i => (long)i), all.Targets.Elements<long>());
        Assert.Throws<ArgumentOutOfRangeException>(() => set.Sample(0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => set.Batches(0).First());
    }
}
