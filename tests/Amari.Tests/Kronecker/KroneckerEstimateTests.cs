using Amari.Cli.Lecture;
using Amari.Curvature;
using Amari.Tests.KfacOptimizer;

namespace Amari.Tests.Kronecker;

/// <summary>Factors and steps against dense float64 Fishers made from per-example Jacobians.</summary>
public sealed class KroneckerEstimateTests() : KfacTest(3)
{
    /// <summary>Runs one step and gives the factors, and the change and the gradient of the parameters in order.</summary>
    private static (Dictionary<string, Tensor> State, Tensor[] Change, Tensor[] Gradients) Step(
        nn.Module<Tensor, Tensor> model,
        Kfac.Options options,
        Likelihood likelihood,
        Tensor x,
        Tensor y
    )
    {
        var (state, steps) = Step(model, likelihood, x, y, options);
        return (state, [.. steps.Values.Select(s => s.Change)], [.. steps.Values.Select(s => s.Gradient)]);
    }

    [Fact]
    public void Deep_linear_network_with_squared_loss_has_exact_blocks()
    {
        var model = nn.Sequential(("a", nn.Linear(4, 3)), ("b", nn.Linear(3, 5)), ("c", nn.Linear(5, 2)));
        var x = randn(7, 4);
        var (state, _, _) = Step(model, Plain with { LearningRate = 0 }, new Gaussian(), x, randn(7, 2));
        foreach (var (name, layer) in model.named_children())
        {
            var dense = Dense.Fisher(model, x, [.. layer.parameters()], f => eye(2));
            Assert.InRange(Dense.RelativeError(Dense.Kronecker(state[$"{name}.A"], state[$"{name}.G"], bias: true), dense), 0, 1e-12);
        }
    }

    [Theory, InlineData(true), InlineData(false)]
    public void One_example_makes_the_block_exact_for_a_nonlinear_network(bool bias)
    {
        var model = nn.Sequential(("a", nn.Linear(4, 3, hasBias: bias)), ("t", nn.Tanh()), ("b", nn.Linear(3, 3, hasBias: bias)));
        var x = randn(1, 4);
        var (state, _, _) = Step(model, Plain with { LearningRate = 0 }, new Categorical(), x, tensor(new long[] { 2 }));
        foreach (string name in (string[])["a", "b"])
        {
            var layer = model.named_children().First(c => c.name == name).module;
            var dense = Dense.Fisher(model, x, [.. layer.parameters()], Dense.CategoricalFisher);
            Assert.InRange(Dense.RelativeError(Dense.Kronecker(state[$"{name}.A"], state[$"{name}.G"], bias), dense), 0, 1e-12);
        }
    }

    [Theory, InlineData(DampingMethod.Eigenbasis), InlineData(DampingMethod.FactoredTikhonov)]
    public void Step_solves_the_damped_dense_system(DampingMethod method)
    {
        var model = nn.Sequential(("a", nn.Linear(4, 3)), ("b", nn.Linear(3, 3)));
        var (state, change, gradients) = Step(
            model,
            Plain with
            {
                Curvature = Plain.Curvature with { Inverse = InverseOptions.Of(method) },
            },
            new Categorical(),
            randn(6, 4),
            tensor(new long[] { 0, 1, 2, 0, 1, 2 })
        );
        for (int layer = 0; layer < 2; layer++)
        {
            string name = layer == 0 ? "a" : "b";
            var (a, g) = (state[$"{name}.A"], state[$"{name}.G"]);
            var matrix = Dense.Kronecker(a, g, bias: true);
            if (method == DampingMethod.Eigenbasis)
                matrix += Plain.Damping * eye(matrix.shape[0]);
            else
            {
                double pi = Math.Sqrt(a.trace().ToDouble() / a.shape[0] / (g.trace().ToDouble() / g.shape[0])),
                    root = Math.Sqrt(Plain.Damping);
                matrix = Dense.Kronecker(a + pi * root * eye(a.shape[0]), g + root / pi * eye(g.shape[0]), bias: true);
            }
            var gradient = cat([gradients[2 * layer].flatten(), gradients[2 * layer + 1]]);
            var expected = -linalg.solve(matrix, gradient);
            var actual = cat([change[2 * layer].flatten(), change[2 * layer + 1]]);
            Assert.InRange(Dense.RelativeError(actual, expected), 0, 1e-9);
        }
    }

    public static TheoryData<int, int, int, int, PaddingModes, bool> Convolutions =>
        new()
        {
            { 1, 0, 1, 1, PaddingModes.Zeros, true },
            { 2, 1, 1, 1, PaddingModes.Zeros, true },
            { 1, 2, 2, 1, PaddingModes.Zeros, false },
            { 2, 1, 2, 2, PaddingModes.Zeros, true },
            { 1, 1, 1, 4, PaddingModes.Zeros, false },
            { 1, 1, 1, 1, PaddingModes.Circular, true },
            { 1, 1, 1, 2, PaddingModes.Reflect, true },
        };

    /// <summary>With the output summed over positions and squared loss the factors are sums over patches: both are rebuilt from autograd's
    /// own Jacobians.</summary>
    [Theory, MemberData(nameof(Convolutions))]
    public void Convolution_factors_are_those_of_its_patches(
        int stride,
        int padding,
        int dilation,
        int groups,
        PaddingModes mode,
        bool bias
    )
    {
        var conv = nn.Conv2d(4, 8, 3, stride: stride, padding: padding, dilation: dilation, padding_mode: mode, groups: groups, bias: bias);
        var model = nn.Sequential(("conv", conv), ("flatten", nn.Flatten()));
        var x = randn(2, 4, 7, 7);
        var f = model.call(x);
        var (state, _, _) = Step(model, Plain, new Gaussian(), x, zeros_like(f));

        // each row of the Jacobian of one output position is its patch, in the row of its channel
        long channels = 8,
            positions = f.shape[1] / channels,
            width = 4 / groups * 9;
        var j = Dense.Jacobian(model, x, [conv.weight!]).reshape(2, channels, positions, channels, width);
        for (long group = 0; group < groups; group++)
        {
            long channel = group * channels / groups;
            var patches = j.select(1, channel).select(2, channel).reshape(-1, width);
            if (bias)
                patches = cat([patches, ones(patches.shape[0], 1)], 1);
            var expected = patches.T.mm(patches) / patches.shape[0];
            var actual = groups == 1 ? state["conv.A"] : state["conv.A"][group];
            Assert.InRange(Dense.RelativeError(actual, expected), 0, 1e-12);
            var g = groups == 1 ? state["conv.G"] : state["conv.G"][group]; // Λ = I: each output is its own, at every position
            Assert.InRange(Dense.RelativeError(g, positions * eye(channels / groups)), 0, 1e-12);
        }
    }

    [Theory, InlineData(FisherKind.MonteCarlo), InlineData(FisherKind.CurvaturePropagation)]
    public void Draws_converge_to_the_exact_factor(FisherKind kind)
    {
        var model = nn.Sequential(("a", nn.Linear(3, 4)), ("t", nn.Tanh()), ("b", nn.Linear(4, 3)));
        var (x, y) = (randn(5, 3), tensor(new long[] { 0, 1, 2, 0, 1 }));
        var zero = Plain with { LearningRate = 0 };
        var exact = Step(model, zero, new Categorical(), x, y).State["a.G"];
        double Error(int samples) =>
            Dense.RelativeError(
                Step(
                    model,
                    zero with
                    {
                        Seed = 5,
                        Curvature = zero.Curvature with
                        {
                            Fisher =
                                kind == FisherKind.MonteCarlo
                                    ? new FisherOptions.MonteCarlo { Samples = samples }
                                    : new FisherOptions.CurvaturePropagation { Samples = samples },
                        },
                    },
                    new Categorical(),
                    x,
                    y
                ).State["a.G"],
                exact
            );
        Assert.InRange(Error(4000), 0, 0.08);
        Assert.InRange(Error(10), 0.08, 3);
    }

    [Fact]
    public void Curvature_propagation_sees_what_no_drawn_label_shows()
    {
        var model = nn.Sequential(("a", nn.Linear(3, 4)));
        using (no_grad())
            // other labels have a probability of about e^-30
            _ = ((Linear)model.children().Single()).bias!.copy_(tensor(new[] { 30.0, 0, 0, 0 }));
        var (x, y) = (randn(64, 3), zeros(64, ScalarType.Int64));
        double Trace(FisherKind kind) =>
            Step(
                model,
                Plain with
                {
                    LearningRate = 0,
                    Seed = 5,
                    Curvature = Plain.Curvature with { Fisher = FisherOptions.Of(kind) },
                },
                new Categorical(),
                x,
                y
            )
                .State["a.G"]
                .trace()
                .ToDouble();
        double exact = Trace(FisherKind.Exact);
        Assert.InRange(Trace(FisherKind.CurvaturePropagation) / exact, 0.5, 2);
        Assert.InRange(Trace(FisherKind.MonteCarlo) / exact, 0, 1e-6);
    }

    [Fact]
    public void Empirical_factor_is_of_the_data_gradients()
    {
        var model = nn.Sequential(("a", nn.Linear(3, 4)));
        var (x, y) = (randn(6, 3), tensor(new long[] { 0, 1, 2, 3, 1, 0 }));
        var g = model.call(x).softmax(1).detach() - nn.functional.one_hot(y, 4).to(ScalarType.Float64);
        var (state, _, _) = Step(
            model,
            Plain with
            {
                Curvature = Plain.Curvature with { Fisher = new FisherOptions.Empirical() },
            },
            new Categorical(),
            x,
            y
        );
        Assert.InRange(Dense.RelativeError(state["a.G"], g.T.mm(g) / 6), 0, 1e-12);
    }
}
