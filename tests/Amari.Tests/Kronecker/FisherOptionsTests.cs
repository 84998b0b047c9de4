using Amari.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>The forward-only Fisher.</summary>
public sealed class FisherOptionsTests() : KfacTest(51)
{
    [Theory, InlineData(true, 1), InlineData(false, 2)]
    public void Input_only_solves_with_the_second_moment_of_the_inputs(bool likelihood, int micro)
    {
        var model = TwoLayers();
        using var optimizer = new Kfac(
            model,
            Plain with
            {
                Curvature = Plain.Curvature with { Fisher = new FisherOptions.ForwardOnly() },
            },
            likelihood ? new Categorical() : null
        );
        var (x, y) = (randn(8, 4), randint(0, 3, [8]));
        var hidden = ((Linear)model[0]).call(x).tanh().detach();
        var before = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach().clone());
        foreach (var (xs, ys) in x.chunk(micro).Zip(y.chunk(micro)))
            (new Categorical().Loss(model.call(xs), ys) / micro).backward();
        optimizer.step();
        foreach (var (layer, rows) in new[] { ("a", x), ("b", hidden) })
        {
            var a = cat([rows, ones(8, 1)], 1);
            var expected = a.T.mm(a) / 8;
            var state = optimizer.Snapshot().Tensors;
            Assert.InRange(Dense.RelativeError(state[$"{layer}.A"], expected), 0, 1e-12);
            Assert.InRange(Dense.RelativeError(state[$"{layer}.G"], eye(state[$"{layer}.G"].shape[0])), 0, 1e-12);
            var (w, b) = (model.get_parameter($"{layer}.weight")!, model.get_parameter($"{layer}.bias")!);
            var v = cat([w.grad!, b.grad!.unsqueeze(1)], 1);
            var change = cat([w.detach() - before[$"{layer}.weight"], (b.detach() - before[$"{layer}.bias"]).unsqueeze(1)], 1);
            Assert.InRange(Dense.RelativeError(change, -v.mm(linalg.inv(expected + 0.03 * eye(a.shape[1])))), 0, 1e-10);
        }
        Assert.All(optimizer.Coverage.Rows, r => Assert.EndsWith("ForwardOnly Fisher", r.Reason, StringComparison.Ordinal));
    }

    [Fact]
    public void Input_only_of_other_layers_has_unit_gradients()
    {
        var model = nn.Sequential(
            ("e", nn.Embedding(6, 4)),
            ("c", nn.Conv1d(3, 4, 2, groups: 1)),
            ("n", nn.LayerNorm(3)),
            ("f", nn.Flatten()),
            ("l", nn.Linear(12, 3))
        );
        using var optimizer = new Kfac(
            model,
            Plain with
            {
                Curvature = Plain.Curvature with { Fisher = new FisherOptions.ForwardOnly() },
            },
            new Categorical()
        );
        var x = randint(0, 6, [5, 3]);
        var normal = nn.functional.layer_norm(((Conv1d)model[1]).call(((Embedding)model[0]).call(x)), [3]).detach();
        Changes(model, optimizer, x, randint(0, 3, [5]));
        var state = optimizer.Snapshot().Tensors;
        Assert.All((string[])["e.G", "c.G", "l.G"], k => Assert.InRange(Dense.RelativeError(state[k], eye(state[k].shape[0])), 0, 1e-12));
        for (int unit = 0; unit < 3; unit++)
        {
            var p = stack([normal.select(2, unit).flatten(), ones(20)], 1);
            Assert.InRange(Dense.RelativeError(state["n.F"][unit], p.T.mm(p) / 20), 0, 1e-10);
        }
    }

    [Fact]
    public void Forward_only_is_refused_without_layers_or_where_gradients_are_needed()
    {
        Assert.Throws<ArgumentException>(() =>
            new Kfac(
                TwoLayers(),
                Plain with
                {
                    Curvature = Plain.Curvature with
                    {
                        Fisher = new FisherOptions.ForwardOnly(),
                        Inverse = new InverseOptions.EigenvalueCorrection(),
                    },
                }
            )
        );
        var objective = new Objective(TwoLayers(), new Categorical(), [(randn(8, 4), randint(0, 3, [8]))]);
        Assert.Throws<ArgumentOutOfRangeException>(() => new Fisher(objective, FisherKind.ForwardOnly));
        Assert.Throws<ArgumentOutOfRangeException>(() => new NaturalGradient.Options { Fisher = FisherKind.ForwardOnly });
        using var factored = new KroneckerFactored(objective, FisherKind.ForwardOnly);
        Assert.All(factored.Factors, f => Assert.InRange(Dense.RelativeError(f.G, eye(f.G.shape[0])), 0, 1e-12));
    }
}
