using Amari.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>The blocks of convolutions against dense float64 Fishers made from Jacobians.</summary>
public sealed class ConvolutionBlockTests() : KfacTest(6)
{
    /// <summary>Convolutions with several output positions, and an input.</summary>
    private static readonly Dictionary<string, Func<(nn.Module<Tensor, Tensor> Layer, Tensor X)>> Convolutions = new()
    {
        ["1-D"] = () => (nn.Conv1d(2, 3, 3), randn(2, 2, 6)),
        ["1-D, everything"] = () => (nn.Conv1d(4, 6, 2, stride: 2, padding: 3, dilation: 3, groups: 2), randn(2, 4, 7)),
        ["1-D, same"] = () => (nn.Conv1d(2, 2, 4, padding: Padding.Same, bias: false), randn(2, 2, 5)),
        ["1-D, circular"] = () => (nn.Conv1d(2, 2, 3, padding: 1, padding_mode: PaddingModes.Circular), randn(2, 2, 5)),
        ["2-D, rectangle"] = () => (nn.Conv2d(2, 2, (3, 2), stride: (1, 2), padding: (2, 1), dilation: (2, 1)), randn(2, 2, 4, 5)),
        ["3-D"] = () => (nn.Conv3d(2, 2, 2, bias: false), randn([2, 2, 3, 3, 3])),
        ["3-D, everything"] = () => (nn.Conv3d(2, 4, 2, stride: 2, padding: 1, dilation: 2, groups: 2), randn([2, 2, 3, 4, 3])),
        ["1-D transposed"] = () => (nn.ConvTranspose1d(2, 3, 3, stride: 2, padding: 1, output_padding: 1), randn(2, 2, 4)),
        ["2-D transposed"] = () => (nn.ConvTranspose2d(2, 3, 3), randn(2, 2, 3, 2)),
        ["2-D transposed, everything"] = () =>
            (nn.ConvTranspose2d(4, 6, 3, stride: 3, padding: 1, output_padding: 2, dilation: 2, groups: 2), randn(2, 4, 2, 3)),
        ["2-D transposed, cropped"] = () => (nn.ConvTranspose2d(2, 2, 2, padding: 2, bias: false), randn(2, 2, 5, 4)),
        ["3-D transposed"] = () => (nn.ConvTranspose3d(2, 2, 2, stride: 2, groups: 2), randn([2, 2, 2, 1, 2])),
    };

    public static TheoryData<string> ConvolutionNames => [.. Convolutions.Keys];

    /// <summary>Each row of the Jacobian of one output position is its patch, in the places of its channel.</summary>
    [Theory, MemberData(nameof(ConvolutionNames))]
    public void Convolution_factors_are_those_of_its_patches(string name)
    {
        var (layer, x) = Convolutions[name]();
        var conv = (Convolution)layer;
        var model = nn.Sequential(("c", layer), ("flatten", nn.Flatten()));
        var f = model.call(x);
        var (state, steps) = Step(model, new Gaussian(), x, zeros_like(f));

        long groups = conv.groups,
            outputs = conv.out_channels,
            each = outputs / groups,
            inputs = conv.in_channels / groups,
            positions = f.shape[1] / outputs;
        long kernel = conv.weight!.numel() / (conv.weight.shape[0] * conv.weight.shape[1]);
        var j = Dense.Jacobian(model, x, [conv.weight]);
        // [n, channel of the output, position, group, channel within it, (in, k)]
        j = conv.transposed
            ? j.reshape(2, outputs, positions, groups, inputs, each, kernel)
                .transpose(4, 5)
                .reshape(2, outputs, positions, groups, each, inputs * kernel)
            : j.reshape(2, outputs, positions, groups, each, inputs * kernel);
        for (long group = 0; group < groups; group++)
        {
            var patches = j.select(1, group * each).select(2, group).select(2, 0).reshape(-1, inputs * kernel);
            if (conv.bias is not null)
                patches = cat([patches, ones(patches.shape[0], 1)], 1);
            var (a, g) = groups == 1 ? (state["c.A"], state["c.G"]) : (state["c.A"][group], state["c.G"][group]);
            Assert.InRange(Dense.RelativeError(a, patches.T.mm(patches) / patches.shape[0]), 0, 1e-12);
            Assert.InRange(Dense.RelativeError(g, positions * eye(each)), 0, 1e-12); // Λ = I: each output is its own, at every position

            // G is a multiple of I, so the step is a solve with A for each channel, the weight's gradient laid out like the Jacobian
            var (change, gradient) = steps["c.weight"];
            var (u, v) = (Rows(change), Rows(gradient));
            if (conv.bias is not null)
                (u, v) = (
                    cat([u, steps["c.bias"].Change.view(groups, each, 1)[group]], 1),
                    cat([v, steps["c.bias"].Gradient.view(groups, each, 1)[group]], 1)
                );
            Assert.InRange(Dense.RelativeError(-(positions * u.mm(a) + Plain.Damping * u), v), 0, 1e-9);

            Tensor Rows(Tensor w) =>
                conv.transposed
                    ? w.reshape(groups, inputs, each, kernel)[group].transpose(0, 1).reshape(each, -1)
                    : w.reshape(groups, each, -1)[group];
        }
    }

    /// <summary>64 examples at 36 positions have many more rows than factors of at most 10 dimensions need: every fourth example of those
    /// makes them, whatever their order; a batch size as large as the batch takes all.</summary>
    [Fact]
    public void Factors_are_of_every_fourth_example_where_those_suffice()
    {
        var x = randn(64, 1, 8, 8);
        var y = zeros(64, 72);
        var (some, all, quarter) = (Factors(x, null), Factors(x, 64), Factors(x.slice(0, 0, 64, 4), 16));
        foreach (string name in (string[])["c.A", "c.G"])
        {
            Assert.InRange(Dense.RelativeError(some[name], quarter[name]), 0, 1e-12);
            Assert.True(name == "c.G" || Dense.RelativeError(some[name], all[name]) > 1e-3);
        }
        var patches = nn.functional.unfold(x, 3).transpose(1, 2).reshape(-1, 9);
        patches = cat([patches, ones(patches.shape[0], 1)], 1);
        Assert.InRange(Dense.RelativeError(all["c.A"], patches.T.mm(patches) / patches.shape[0]), 0, 1e-12);

        Dictionary<string, Tensor> Factors(Tensor inputs, long? most)
        {
            manual_seed(7);
            var model = nn.Sequential(("c", nn.Conv2d(1, 2, 3)), ("flatten", nn.Flatten()));
            using var optimizer = new Kfac(
                model,
                new()
                {
                    Curvature = new() { Fisher = new FisherOptions.Exact(), FactorBatchSize = most },
                },
                new Gaussian()
            );
            new Gaussian().Loss(model.call(inputs), y.narrow(0, 0, inputs.shape[0])).backward();
            optimizer.step();
            return optimizer.Snapshot().Tensors.ToDictionary(t => t.Key, t => t.Value.clone());
        }
    }

    /// <summary>One example and one output position: one row, so A ⊗ G is the Fisher itself (within a group).</summary>
    [Fact]
    public void One_position_makes_convolution_blocks_exact()
    {
        foreach (
            var (layer, x) in new (nn.Module<Tensor, Tensor>, Tensor)[]
            {
                (nn.Conv1d(2, 3, 3, dilation: 2), randn(1, 2, 5)),
                (nn.Conv3d(2, 4, 2, groups: 2, padding: 1, stride: 3), randn([1, 2, 2, 2, 2])),
                (nn.ConvTranspose1d(2, 3, 2, padding: 1), randn(1, 2, 2)),
                (nn.ConvTranspose2d(4, 4, 3, stride: 2, padding: 3, groups: 2), randn(1, 4, 3, 3)),
            }
        )
        {
            var model = nn.Sequential(("c", layer), ("t", nn.Tanh()), ("f", nn.Flatten()), ("l", nn.Linear(layer.call(x).numel(), 3)));
            Assert.InRange(layer.call(x).numel(), 3, 4);
            foreach (var kind in (FisherKind[])[FisherKind.Exact, FisherKind.Empirical])
            {
                var objective = new Objective(model, new Categorical(), [(x, tensor(new long[] { 1 }))]);
                using var factored = new KroneckerFactored(objective, kind);
                long size = layer.parameters().Sum(p => p.numel());
                var mine = factored.ToDense().narrow(0, 0, size).narrow(1, 0, size);
                var dense = new Fisher(objective, kind).ToDense().narrow(0, 0, size).narrow(1, 0, size);
                if (((Convolution)layer).groups > 1)
                    dense = where(mine == 0, zeros_like(dense), dense); // between groups K-FAC has zeros
                Assert.InRange(Dense.RelativeError(mine, dense), 0, 1e-12);
            }
        }
    }
}
