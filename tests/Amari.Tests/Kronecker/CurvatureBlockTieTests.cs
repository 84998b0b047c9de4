using Amari.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>Layers that share a weight.</summary>
public sealed class CurvatureBlockTieTests() : KfacTest(6)
{
    internal sealed class Twins : nn.Module<Tensor, Tensor>
    {
        private readonly Linear first = nn.Linear(4, 4),
            second = nn.Linear(4, 4);

        public Twins(bool bias)
            : base("twins")
        {
            second.weight = first.weight;
            if (bias)
                second.bias = first.bias;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => second.call(first.call(x).tanh());
    }

    private sealed class Again : nn.Module<Tensor, Tensor>
    {
        private readonly Linear first = nn.Linear(4, 4);

        public Again()
            : base("again") => RegisterComponents();

        public override Tensor forward(Tensor x) => first.call(first.call(x).tanh());
    }

    private sealed class Convolutions : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d first = nn.Conv2d(2, 2, 3, padding: 1),
            second;
        private readonly Linear head = nn.Linear(32, 4);

        public Convolutions(bool again, long dilation = 1)
            : base("convolutions")
        {
            second = again ? first : nn.Conv2d(2, 2, 3, padding: 1, dilation: dilation);
            if (!again)
                (second.weight, second.bias) = (first.weight, first.bias);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => head.call(second.call(first.call(x.reshape(-1, 2, 4, 4)).tanh()).flatten(1));
    }

    private sealed class Tables : nn.Module<Tensor, Tensor>
    {
        private readonly Embedding first = nn.Embedding(7, 4),
            second;

        public Tables(bool again)
            : base("tables")
        {
            second = again ? first : nn.Embedding(7, 4);
            if (!again)
                second.weight = first.get_parameter("weight")!;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => (first.call(x.select(1, 0)) * second.call(x.select(1, 1)).tanh());
    }

    public static TheoryData<string> Kinds => ["linear", "convolution", "embedding"];

    [Theory, MemberData(nameof(Kinds))]
    public void Two_layers_of_one_weight_and_bias_are_one_layer_used_twice(string kind)
    {
        (nn.Module<Tensor, Tensor> twins, nn.Module<Tensor, Tensor> again, var x) = kind switch
        {
            "linear" => (new Twins(bias: true), new Again(), randn(6, 4)),
            "convolution" => (new Convolutions(again: false), new Convolutions(again: true), randn(6, 32)),
            _ => (
                (nn.Module<Tensor, Tensor>)new Tables(again: false),
                (nn.Module<Tensor, Tensor>)new Tables(again: true),
                randint(0, 7, [6, 2])
            ),
        };
        using (no_grad())
            foreach (var (name, p) in again.named_parameters())
                p.copy_(twins.get_parameter(name)!);
        var y = randint(0, 4, [6]);
        using (var optimizer = new Kfac(twins))
            Assert.Contains(
                "uses of first and second are summed",
                optimizer.Coverage.Rows.First(r => r.Parameter == "first.weight").Reason,
                StringComparison.Ordinal
            );
        var (mine, theirs) = (Step(twins, new Categorical(), x, y), Step(again, new Categorical(), x, y));
        Assert.Contains(theirs.State.Keys, k => k.StartsWith("first.", StringComparison.Ordinal));
        foreach (string key in theirs.State.Keys.Where(k => k.StartsWith("first.", StringComparison.Ordinal)))
            Assert.InRange(Dense.RelativeError(mine.State[key], theirs.State[key]), 0, 1e-12);
        Assert.InRange(Dense.RelativeError(mine.Steps["first.weight"].Change, theirs.Steps["first.weight"].Change), 0, 1e-10);
    }

    [Fact]
    public void Layers_that_do_another_thing_with_one_weight_have_no_block()
    {
        using var optimizer = new Kfac(new Convolutions(again: false, dilation: 2));
        Assert.All(
            optimizer.Coverage.Rows.Where(r => !r.Parameter.StartsWith("head", StringComparison.Ordinal)),
            r =>
            {
                Assert.Equal("AdamW", r.Block);
                Assert.Contains("do not do the same with it", r.Reason, StringComparison.Ordinal);
            }
        );
    }

    [Fact]
    public void Two_layers_of_one_weight_and_own_biases_share_its_block()
    {
        var model = new Twins(bias: false);
        var (x, y) = (randn(6, 4), randint(0, 4, [6]));
        var layer = (Linear)model.named_children().First().module;
        var rows = cat([x, layer.call(x).tanh().detach()]);
        var (state, _) = Step(model, new Categorical(), x, y);
        Assert.InRange(Dense.RelativeError(state["first.A"], rows.T.mm(rows) / 12), 0, 1e-12);
        using var optimizer = new Kfac(model);
        var coverage = optimizer.Coverage.Rows.ToDictionary(r => r.Parameter);
        Assert.Equal("K-FAC Linear", coverage["first.weight"].Block);
        Assert.Contains("uses of first and second are summed", coverage["first.weight"].Reason, StringComparison.Ordinal);
        Assert.All((string[])["first.bias", "second.bias"], n => Assert.Equal("AdamW", coverage[n].Block));
    }
}
