using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>The blocks of normalisations against dense float64 Fishers made from Jacobians.</summary>
public sealed class NormBlockTests() : KfacTest(6)
{
    private static Sequential Norm(nn.Module<Tensor, Tensor> norm, long features) =>
        nn.Sequential(("n", norm), ("f", nn.Flatten()), ("a", nn.Linear(features, 4)), ("t", nn.Tanh()), ("b", nn.Linear(4, 3)));

    private static readonly Dictionary<string, Func<(nn.Module<Tensor, Tensor> Norm, Tensor X)>> Norms = new()
    {
        ["LayerNorm"] = () => (nn.LayerNorm(5), randn(4, 5)),
        ["LayerNorm of positions"] = () => (nn.LayerNorm(3), randn(4, 2, 3)),
        ["LayerNorm of two dimensions"] = () => (nn.LayerNorm([2, 3]), randn(4, 2, 2, 3)),
        ["GroupNorm"] = () => (GroupNorm(2, 4), randn(4, 4, 2, 2)),
        ["BatchNorm1d"] = () => (nn.BatchNorm1d(5), randn(4, 5)),
        ["BatchNorm1d of positions"] = () => (nn.BatchNorm1d(3), randn(4, 3, 2)),
        ["BatchNorm2d"] = () => (nn.BatchNorm2d(3), randn(4, 3, 2, 2)),
        ["BatchNorm3d"] = () => (nn.BatchNorm3d(2), randn([4, 2, 2, 1, 2])),
    };

    public static TheoryData<string, bool> NormNames =>
        new(from n in Norms.Keys from training in (bool[])[false, true] select (n, training));

    [Theory, MemberData(nameof(NormNames))]
    public void Normalisations_have_the_exact_unit_wise_blocks_and_step(string name, bool training)
    {
        var (norm, x) = Norms[name]();
        var model = Norm(norm, x.numel() / 4);
        var parameters = norm.parameters().ToArray();
        using (no_grad())
            foreach (var p in parameters)
                p.add_(0.3 * randn_like(p));
        if (!training)
        {
            model.call(3 * x + 1); // running statistics unlike those of x
            model.eval();
        }
        var f = model.call(x); // the Jacobians of all examples in their batch
        Tensor dense = zeros(2 * parameters[0].numel(), 2 * parameters[0].numel());
        for (int n = 0; n < 4; n++)
        {
            var j = stack([
                .. Enumerable
                    .Range(0, 3)
                    .Select(c => cat([.. autograd.grad([f[n, c]], parameters, retain_graph: true).Select(g => g.flatten())])),
            ]);
            dense += j.T.mm(Dense.CategoricalFisher(f[n])).mm(j) / 4;
        }
        var (state, steps) = Step(model, new Categorical(), x, tensor(new long[] { 0, 1, 2, 1 }));
        long units = parameters[0].numel();
        for (int i = 0; i < units; i++)
        {
            var index = tensor(new long[] { i, units + i });
            var block = dense.index_select(0, index).index_select(1, index);
            Assert.InRange(Dense.RelativeError(state["n.F"][i], block), 0, 1e-10);
            var gradient = stack([steps["n.weight"].Gradient.flatten()[i], steps["n.bias"].Gradient.flatten()[i]]);
            var change = stack([steps["n.weight"].Change.flatten()[i], steps["n.bias"].Change.flatten()[i]]);
            Assert.InRange(Dense.RelativeError(change, -linalg.solve(block + Plain.Damping * eye(2), gradient)), 0, 1e-9);
        }
    }

    [Fact]
    public void Positions_that_are_terms_have_blocks_of_their_own_gradients()
    {
        // two terms an example: as many examples of one term each
        var model = nn.Sequential(("n", nn.LayerNorm(4)), ("l", nn.Linear(4, 3)));
        var (x, y) = (randn(3, 2, 4), randint(0, 3, [3, 2]));
        var whole = Step(model, new Categorical(), x, y, Plain with { LearningRate = 0 }).State["n.F"];
        var apart = Step(model, new Categorical(), x.reshape(6, 4), y.flatten(), Plain with { LearningRate = 0 }).State["n.F"];
        Assert.InRange(Dense.RelativeError(whole, apart), 0, 1e-12);
    }

    [Fact]
    public void A_normalisation_without_trained_shift_has_a_block_of_its_scale()
    {
        var norm = nn.LayerNorm(4);
        var model = nn.Sequential(("n", norm), ("l", nn.Linear(4, 3)));
        var (x, y) = (randn(5, 4), randint(0, 3, [5]));
        var both = Step(model, new Categorical(), x, y, Plain with { LearningRate = 0 }).State["n.F"];
        norm.bias!.requires_grad = false;
        using var alone = new Kfac(model, Plain with { LearningRate = 0 }, new Categorical());
        new Categorical().Loss(model.call(x), y).backward();
        alone.step();
        var f = alone.Snapshot().Tensors["n.F"];
        Assert.Equal([4, 1, 1], f.shape);
        Assert.InRange(Dense.RelativeError(f, both.narrow(1, 0, 1).narrow(2, 0, 1)), 0, 1e-12);
    }
}
