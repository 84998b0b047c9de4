using Amari.Workloads;
using Problem = Amari.Tests.Optimizers.Problem;

namespace Amari.Tests.Partitioned;

/// <summary>Who takes what.</summary>
public sealed class RoutingTests : PartitionedTest
{
    private static string[] Blocks(PartitionedOptimizer.Options options)
    {
        using var o = new PartitionedOptimizer(Model(), options, new Categorical());
        return [.. o.Coverage.Rows.Select(r => r.Block)];
    }

    [Fact]
    public void Rules_send_each_parameter_where_they_say()
    {
        // e.weight, a.weight, a.bias, n.weight, n.bias, b.weight, b.bias
        Assert.Equal(["AdamW", "Muon", "AdamW", "AdamW", "AdamW", "AdamW", "AdamW"], Blocks(new()));
        Assert.Equal(["AdamW", "Muon", "AdamW", "AdamW", "AdamW", "Muon", "AdamW"], Blocks(new() { OutputLayer = true }));
        Assert.Equal(["Muon", "Muon", "AdamW", "AdamW", "AdamW", "AdamW", "AdamW"], Blocks(new() { Embeddings = true }));
        Assert.Equal(
            ["AdamW", "AdamW", "AdamW", "AdamW", "AdamW", "Soap", "AdamW"],
            Blocks(new() { MatrixOptimizer = new Soap.Options(), MaxDimension = 17 })
        );
        Assert.Equal(
            ["AdamW", "Shampoo", "AdamW", "AdamW", "AdamW", "AdamW", "AdamW"],
            Blocks(new() { MatrixOptimizer = new Shampoo.Options(), OutputLayer = false })
        );
        Assert.Equal(
            ["AdamW", "K-FAC Linear", "K-FAC Linear", "AdamW", "AdamW", "K-FAC Linear", "K-FAC Linear"],
            Blocks(new() { MatrixOptimizer = new Kfac.Options() })
        );
        Assert.All(Blocks(new() { FallbackOnly = true }), b => Assert.Equal("AdamW", b));
        using var o = new PartitionedOptimizer(Model());
        Assert.Equal(
            ["an embedding", "a matrix", "not a matrix", "not a matrix", "not a matrix", "the output layer", "not a matrix"],
            o.Coverage.Rows.Select(r => r.Reason)
        );
    }

    /// <summary>TorchSharp lists a model's own layers before those inside them.</summary>
    [Fact]
    public void The_output_layer_is_the_last_one_however_deep_others_lie()
    {
        static string[] Outputs(nn.Module model)
        {
            using var o = new PartitionedOptimizer(model);
            return [.. o.Coverage.Rows.Where(r => r.Reason == "the output layer").Select(r => r.Parameter)];
        }
        Assert.Equal(
            ["head.weight"],
            Outputs(
                nn.Sequential(
                    ("body", nn.Sequential(("a", nn.Linear(4, 8)), ("t", nn.Tanh()), ("b", nn.Linear(8, 8)))),
                    ("head", nn.Linear(8, 3))
                )
            )
        );
        Assert.Equal(
            ["tail.b.weight"],
            Outputs(nn.Sequential(("first", nn.Linear(4, 8)), ("tail", nn.Sequential(("a", nn.Linear(8, 8)), ("b", nn.Linear(8, 3))))))
        );
        Assert.Equal(["head.weight"], Outputs(new CharTransformer().CreateModel()));
        Assert.Equal(["b.weight"], Outputs(new Positions()));
    }

    private sealed class Positions : nn.Module<Tensor, Tensor>
    {
        private readonly Linear a = nn.Linear(4, 8),
            b = nn.Linear(8, 3);
        private readonly Parameter positions = nn.Parameter(zeros(5, 4));

        public Positions()
            : base(nameof(Positions)) => RegisterComponents();

        public override Tensor forward(Tensor x) => b.call(a.call(x + positions));
    }

    [Fact]
    public void Under_KFAC_a_matrix_without_a_block_goes_to_AdamW()
    {
        using var o = new PartitionedOptimizer(
            nn.Sequential(("a", nn.Linear(4, 3)), ("g", new Odd(nn.Bilinear(3, 3, 2)))),
            new PartitionedOptimizer.Options() { MatrixOptimizer = new Kfac.Options() }
        );
        Assert.Contains(
            o.Coverage.Rows,
            r => r is { Parameter: "g.odd.weight", Block: "AdamW" } && r.Reason.Contains("no K-FAC block", StringComparison.Ordinal)
        );
    }

    private sealed class Odd : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor, Tensor> odd;

        public Odd(nn.Module<Tensor, Tensor, Tensor> inner)
            : base(nameof(Odd))
        {
            odd = inner;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => odd.call(x, x);
    }
}
