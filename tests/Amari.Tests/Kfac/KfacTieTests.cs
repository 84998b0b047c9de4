namespace Amari.Tests.Kfac;

/// <summary>Layers that share a weight.</summary>
public sealed class KfacTieTests() : KfacTest(6)
{
    internal sealed class Twins : nn.Module<Tensor, Tensor>
    {
        private readonly Linear first = nn.Linear(4, 4), second = nn.Linear(4, 4);

        public Twins(bool bias) : base("twins")
        {
            second.weight = first.weight;
            if (bias) second.bias = first.bias;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => second.call(first.call(x).tanh());
    }

    private sealed class Again : nn.Module<Tensor, Tensor>
    {
        private readonly Linear first = nn.Linear(4, 4);

        public Again() : base("again") => RegisterComponents();

        public override Tensor forward(Tensor x) => first.call(first.call(x).tanh());
    }

    [Fact]
    public void Two_layers_of_one_weight_and_bias_are_one_layer_used_twice()
    {
        var (twins, again) = (new Twins(bias: true), new Again());
        using (no_grad())
            foreach (var (p, q) in again.parameters().Zip(twins.parameters())) p.copy_(q);
        var (x, y) = (randn(6, 4), randint(0, 4, [6]));
        var (mine, theirs) = (Step(twins, new Categorical(), x, y), Step(again, new Categorical(), x, y));
        foreach (string key in theirs.State.Keys.Where(k => k.StartsWith("first.", StringComparison.Ordinal)))
            Assert.InRange(Dense.RelativeError(mine.State[key], theirs.State[key]), 0, 1e-12);
        Assert.InRange(Dense.RelativeError(mine.Steps["first.weight"].Change, theirs.Steps["first.weight"].Change), 0, 1e-10);
    }

    [Fact]
    public void Two_layers_of_one_weight_with_their_own_biases_have_a_block_of_the_weight()
    {
        var model = new Twins(bias: false);
        var (x, y) = (randn(6, 4), randint(0, 4, [6]));
        var layer = (Linear)model.named_children().First().module;
        var rows = cat([x, layer.call(x).tanh().detach()]);
        var (state, _) = Step(model, new Categorical(), x, y);
        Assert.InRange(Dense.RelativeError(state["first.A"], rows.T.mm(rows) / 12), 0, 1e-12);
        using var optimizer = new Amari.Kfac(model);
        var coverage = optimizer.Coverage.Rows.ToDictionary(r => r.Parameter);
        Assert.Equal("K-FAC Linear", coverage["first.weight"].Block);
        Assert.Contains("uses of first and second are summed", coverage["first.weight"].Reason, StringComparison.Ordinal);
        Assert.All((string[])["first.bias", "second.bias"], n => Assert.Equal("AdamW", coverage[n].Block));
    }
}
