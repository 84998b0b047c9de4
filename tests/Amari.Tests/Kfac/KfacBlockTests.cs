using Amari.Curvature;
using Amari.Tests.Curvature;

namespace Amari.Tests.Kfac;

/// <summary>The block of every layer kind against dense float64 Fishers made from Jacobians.</summary>
public sealed class KfacBlockTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public KfacBlockTests()
    {
        manual_seed(6);
        set_default_dtype(ScalarType.Float64);
    }

    public void Dispose()
    {
        set_default_dtype(ScalarType.Float32);
        _scope.Dispose();
    }

    private static readonly Amari.Kfac.Options Plain = new()
    {
        Fisher = FisherKind.Exact, DampingMethod = DampingMethod.Eigenbasis, Damping = 0.03, Momentum = 0, KlClip = null, LearningRate = 1, InverseInterval = 1,
    };

    /// <summary>One step: the state, and the change and gradient of every parameter by name.</summary>
    private static (Dictionary<string, Tensor> State, Dictionary<string, (Tensor Change, Tensor Gradient)> Steps) Step(
        nn.Module<Tensor, Tensor> model, Likelihood likelihood, Tensor x, Tensor y, Amari.Kfac.Options? options = null)
    {
        using var optimizer = new Amari.Kfac(model, options ?? Plain, likelihood);
        var before = model.named_parameters().ToDictionary(p => p.name, p => p.parameter.detach().clone());
        optimizer.zero_grad();
        likelihood.Loss(model.call(x), y).backward();
        optimizer.step();
        return (optimizer.Snapshot().Tensors.ToDictionary(t => t.Key, t => t.Value.clone()),
            model.named_parameters().ToDictionary(p => p.name, p => (p.parameter.detach() - before[p.name], p.parameter.grad!.clone())));
    }

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
        ["2-D transposed, everything"] = () => (nn.ConvTranspose2d(4, 6, 3, stride: 3, padding: 1, output_padding: 2, dilation: 2, groups: 2), randn(2, 4, 2, 3)),
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

        long groups = conv.groups, outputs = conv.out_channels, each = outputs / groups, inputs = conv.in_channels / groups, positions = f.shape[1] / outputs;
        long kernel = conv.weight!.numel() / (conv.weight.shape[0] * conv.weight.shape[1]);
        var j = Dense.Jacobian(model, x, [conv.weight]);
        // [n, channel of the output, position, group, channel within it, (in, k)]
        j = conv.transposed
            ? j.reshape(2, outputs, positions, groups, inputs, each, kernel).transpose(4, 5).reshape(2, outputs, positions, groups, each, inputs * kernel)
            : j.reshape(2, outputs, positions, groups, each, inputs * kernel);
        for (long group = 0; group < groups; group++)
        {
            var patches = j.select(1, group * each).select(2, group).select(2, 0).reshape(-1, inputs * kernel);
            if (conv.bias is not null) patches = cat([patches, ones(patches.shape[0], 1)], 1);
            var (a, g) = groups == 1 ? (state["c.A"], state["c.G"]) : (state["c.A"][group], state["c.G"][group]);
            Assert.InRange(Dense.RelativeError(a, patches.T.mm(patches) / patches.shape[0]), 0, 1e-12);
            Assert.InRange(Dense.RelativeError(g, positions * eye(each)), 0, 1e-12);     // Λ = I: each output is its own, at every position

            // G is a multiple of I, so the step is a solve with A for each channel, the weight's gradient laid out like the Jacobian
            var (change, gradient) = steps["c.weight"];
            var (u, v) = (Rows(change), Rows(gradient));
            if (conv.bias is not null)
                (u, v) = (cat([u, steps["c.bias"].Change.view(groups, each, 1)[group]], 1), cat([v, steps["c.bias"].Gradient.view(groups, each, 1)[group]], 1));
            Assert.InRange(Dense.RelativeError(-(positions * u.mm(a) + Plain.Damping * u), v), 0, 1e-9);

            Tensor Rows(Tensor w) => conv.transposed
                ? w.reshape(groups, inputs, each, kernel)[group].transpose(0, 1).reshape(each, -1)
                : w.reshape(groups, each, -1)[group];
        }
    }

    /// <summary>One example and one output position: one row, so A ⊗ G is the Fisher itself (within a group).</summary>
    [Fact]
    public void One_position_makes_convolution_blocks_exact()
    {
        foreach (var (layer, x) in new (nn.Module<Tensor, Tensor>, Tensor)[]
        {
            (nn.Conv1d(2, 3, 3, dilation: 2), randn(1, 2, 5)),
            (nn.Conv3d(2, 4, 2, groups: 2, padding: 1, stride: 3), randn([1, 2, 2, 2, 2])),
            (nn.ConvTranspose1d(2, 3, 2, padding: 1), randn(1, 2, 2)),
            (nn.ConvTranspose2d(4, 4, 3, stride: 2, padding: 3, groups: 2), randn(1, 4, 3, 3)),
        })
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
                if (((Convolution)layer).groups > 1) dense = where(mine == 0, zeros_like(dense), dense);    // between groups K-FAC has zeros
                Assert.InRange(Dense.RelativeError(mine, dense), 0, 1e-12);
            }
        }
    }

    /// <summary>With squared loss and linear layers the output gradients do not depend on the input: A ⊗ G is the Fisher.</summary>
    [Fact]
    public void Embedding_of_a_linear_network_has_the_exact_block()
    {
        var model = nn.Sequential(("e", nn.Embedding(5, 3)), ("l", nn.Linear(3, 2)));
        var x = tensor(new long[] { 0, 3, 3, 1, 0, 3 });
        var y = randn(6, 2);
        var embedding = (Embedding)model[0];
        var dense = Dense.Fisher(model, x, [embedding.weight!], f => eye(2));
        var objective = new Objective(model, new Gaussian(), [(x, y)], ParameterLayout.Of(model, n => n == "e.weight"));
        foreach (bool corrected in (bool[])[false, true])
        {
            using var factored = new KroneckerFactored(objective, corrected: corrected);
            Assert.InRange(Dense.RelativeError(factored.ToDense(), dense), 0, 1e-12);
            foreach (var method in Enum.GetValues<DampingMethod>().Where(m => corrected || m != DampingMethod.Ekfac))
            {
                using var inverse = factored.Inverse(0.1, method);
                var damped = dense + 0.1 * eye(15);
                if (method == DampingMethod.FactoredTikhonov)
                {
                    var (_, a, g) = factored.Factors.Single();
                    double pi = Math.Sqrt(a.mean().ToDouble() / (g.trace().ToDouble() / 3)), root = Math.Sqrt(0.1);
                    damped = kron((a + pi * root).diag(), g + root / pi * eye(3));        // the table's rows come first
                }
                Assert.InRange(Dense.RelativeError(inverse.ToDense(), linalg.inv(damped)), 0, 1e-10);
            }
        }
        var (state, steps) = Step(model, new Gaussian(), x, y);
        Assert.InRange(Dense.RelativeError(state["e.A"], tensor([2, 1, 0, 3, 0.0]) / 6), 0, 1e-12);
        var expected = -linalg.solve(dense + Plain.Damping * eye(15), steps["e.weight"].Gradient.flatten());
        Assert.InRange(Dense.RelativeError(steps["e.weight"].Change.flatten(), expected), 0, 1e-10);
    }

    /// <summary>TorchSharp leaves the parameters of a GroupNorm uninitialised.</summary>
    private static GroupNorm GroupNorm(long groups, long channels)
    {
        var norm = nn.GroupNorm(groups, channels);
        nn.init.ones_(norm.weight!);
        nn.init.zeros_(norm.bias!);
        return norm;
    }

    private static Sequential Norm(nn.Module<Tensor, Tensor> norm, long features) => nn.Sequential(
        ("n", norm), ("f", nn.Flatten()), ("a", nn.Linear(features, 4)), ("t", nn.Tanh()), ("b", nn.Linear(4, 3)));

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

    public static TheoryData<string, bool> NormNames => new(from n in Norms.Keys from training in (bool[])[false, true] select (n, training));

    [Theory, MemberData(nameof(NormNames))]
    public void Normalisations_have_the_exact_unit_wise_blocks_and_step(string name, bool training)
    {
        var (norm, x) = Norms[name]();
        var model = Norm(norm, x.numel() / 4);
        var parameters = norm.parameters().ToArray();
        using (no_grad())
            foreach (var p in parameters) p.add_(0.3 * randn_like(p));
        if (!training)
        {
            model.call(3 * x + 1);                              // running statistics unlike those of x
            model.eval();
        }
        var f = model.call(x);                                  // the Jacobians of all examples in their batch
        Tensor dense = zeros(2 * parameters[0].numel(), 2 * parameters[0].numel());
        for (int n = 0; n < 4; n++)
        {
            var j = stack([.. Enumerable.Range(0, 3).Select(c => cat([.. autograd.grad([f[n, c]], parameters, retain_graph: true).Select(g => g.flatten())]))]);
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
    public void A_normalisation_without_shift_or_with_a_frozen_one_has_a_block_of_its_scale()
    {
        var norm = nn.LayerNorm(4);
        var model = nn.Sequential(("n", norm), ("l", nn.Linear(4, 3)));
        var (x, y) = (randn(5, 4), randint(0, 3, [5]));
        var both = Step(model, new Categorical(), x, y, Plain with { LearningRate = 0 }).State["n.F"];
        norm.bias!.requires_grad = false;
        using var alone = new Amari.Kfac(model, Plain with { LearningRate = 0 }, new Categorical());
        new Categorical().Loss(model.call(x), y).backward();
        alone.step();
        var f = alone.Snapshot().Tensors["n.F"];
        Assert.Equal([4, 1, 1], f.shape);
        Assert.InRange(Dense.RelativeError(f, both.narrow(1, 0, 1).narrow(2, 0, 1)), 0, 1e-12);
    }

    [Fact]
    public void Operator_of_all_kinds_is_symmetric_and_its_inverse_inverts_it()
    {
        var model = nn.Sequential(("c", nn.Conv1d(2, 4, 2)), ("g", GroupNorm(2, 4)), ("u", nn.ConvTranspose1d(4, 2, 2, groups: 2)), ("n", nn.LayerNorm(5)),
            ("f", nn.Flatten()), ("l", nn.Linear(10, 3)));
        var objective = new Objective(model, new Categorical(), [(randn(4, 2, 5), randint(0, 3, [4]))]);
        foreach (bool corrected in (bool[])[false, true])
        {
            using var factored = new KroneckerFactored(objective, corrected: corrected);
            Assert.All(factored.Coverage.Rows, r => Assert.NotEqual("none", r.Block));
            var dense = factored.ToDense();
            Assert.InRange(Dense.RelativeError(dense, dense.T), 0, 1e-12);
            using var inverse = factored.Inverse(0.05, corrected ? DampingMethod.Ekfac : DampingMethod.Eigenbasis);
            Assert.InRange(Dense.RelativeError(inverse.ToDense(), linalg.inv(dense + 0.05 * eye(dense.shape[0]))), 0, 1e-9);
        }
    }

    [Fact]
    public void Diagonal_and_unit_wise_state_resumes_bit_for_bit()
    {
        static Sequential Model() => nn.Sequential(("e", nn.Embedding(7, 4)), ("n", nn.LayerNorm(4)), ("f", nn.Flatten()), ("l", nn.Linear(8, 3)));
        var (ids, labels) = (randint(0, 7, [12, 5, 2]), randint(0, 3, [12, 5]));
        foreach (var method in Enum.GetValues<DampingMethod>())
        {
            var options = Plain with { DampingMethod = method, InverseInterval = 5, FactorInterval = 2, Momentum = 0.9 };
            var (whole, second) = (Model(), Model());
            using var straight = new Amari.Kfac(whole, options, new Categorical());
            using var resumed = new Amari.Kfac(second, new(), new Categorical());
            for (int i = 0; i < 12; i++)
            {
                if (i == 7)
                {
                    using (no_grad())
                        foreach (var (p, q) in second.parameters().Zip(whole.parameters())) p.copy_(q);
                    resumed.Restore(straight.Snapshot());
                }
                Train(whole, straight, i);
                if (i >= 7) Train(second, resumed, i);
            }
            Assert.Equal(Optimizers.Problem.Values(whole.parameters()), Optimizers.Problem.Values(second.parameters()));
            using var other = new Amari.Kfac(nn.Sequential(("e", nn.Embedding(7, 4)), ("n", nn.LayerNorm([2, 4])), ("f", nn.Flatten()), ("l", nn.Linear(8, 3))), new(), new Categorical());
            Assert.Throws<InvalidDataException>(() => other.Restore(straight.Snapshot()));
        }

        void Train(Sequential model, Amari.Kfac optimizer, int i)
        {
            optimizer.zero_grad();
            new Categorical().Loss(model.call(ids[i]), labels[i]).backward();
            optimizer.step();
        }
    }

    private sealed class Pooled : nn.Module<Tensor, Tensor>
    {
        private readonly nn.Module<Tensor, Tensor> a, b;
        private readonly bool _channelsSecond;

        public Pooled(nn.Module<Tensor, Tensor> a, nn.Module<Tensor, Tensor> b, bool channelsSecond = true) : base("pooled")
        {
            (this.a, this.b, _channelsSecond) = (a, b, channelsSecond);
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var y = b.call(a.call(x));
            return _channelsSecond ? y.flatten(2).mean([2]) : y.mean([1]);
        }
    }

    /// <summary>Eschenhagen et al. 2023, propositions 1 and 2: in deep linear networks of squared loss, expand is exact where each position has its
    /// term, reduce where positions are averaged.</summary>
    [Fact]
    public void Sharing_is_exact_in_its_own_setting_and_not_in_the_other()
    {
        var positions = nn.Sequential(("a", nn.Linear(4, 3)), ("b", nn.Linear(3, 2)));
        Assert.InRange(Error(positions, randn(5, 3, 4), randn(5, 3, 2), Sharing.Expand), 0, 1e-12);
        Assert.InRange(Error(positions, randn(5, 3, 4), randn(5, 3, 2), Sharing.Reduce), 0.05, 10);
        var pooled = new Pooled(nn.Linear(4, 3), nn.Linear(3, 2), channelsSecond: false);
        Assert.InRange(Error(pooled, randn(5, 3, 4), randn(5, 2), Sharing.Reduce), 0, 1e-12);
        Assert.InRange(Error(pooled, randn(5, 3, 4), randn(5, 2), Sharing.Expand), 0.05, 10);
        foreach (var (convolutional, x) in new (Pooled, Tensor)[]
        {
            (new(nn.Conv2d(2, 3, 1), nn.Conv2d(3, 2, 2)), randn(4, 2, 3, 3)),
            (new(nn.Conv1d(2, 3, 1), nn.ConvTranspose1d(3, 2, 2, stride: 2)), randn(4, 2, 5)),
        })
            Assert.InRange(Error(convolutional, x, randn(4, 2), Sharing.Reduce, n => n.StartsWith('b')), 0, 1e-12);    // a position of the last layer is like any other

        static double Error(nn.Module<Tensor, Tensor> model, Tensor x, Tensor y, Sharing sharing, Func<string, bool>? filter = null)
        {
            var objective = new Objective(model, new Gaussian(), [(x, y)], ParameterLayout.Of(model, filter));
            using var factored = new KroneckerFactored(objective, sharing: sharing);
            return Dense.RelativeError(factored.ToDense(), new BlockDiagonal(new Fisher(objective)).ToDense());
        }
    }

    [Fact]
    public void Corrected_eigenvalues_come_closer_to_the_dense_blocks()
    {
        foreach (string name in (string[])["mlp", "bernoulli", "weight sharing, pooled", "no bias", "rectified"])
            foreach (var kind in (FisherKind[])[FisherKind.Exact, FisherKind.Empirical])
                foreach (var sharing in Enum.GetValues<Sharing>())
                {
                    var objective = CurvatureCases.Make(name).Objective();
                    var dense = new BlockDiagonal(new Fisher(objective, kind)).ToDense();
                    using var plain = new KroneckerFactored(objective, kind, sharing: sharing);
                    using var corrected = new KroneckerFactored(objective, kind, sharing: sharing, corrected: true);
                    double before = Dense.RelativeError(plain.ToDense(), dense), after = Dense.RelativeError(corrected.ToDense(), dense);
                    Assert.True(after < before, $"{name}, {kind}, {sharing}: {after} against {before}");
                    Assert.Equal(dense.trace().ToDouble(), corrected.ToDense().trace().ToDouble(), 1e-9 * dense.trace().ToDouble());
                }
    }

    [Fact]
    public void Corrected_eigenvalues_follow_the_basis()
    {
        // S in an old basis, at a refresh without news: the diagonal of Q S Q' in the new one
        var (a, g) = (randn(6, 4), randn(5, 3));
        var (a2, g2) = (a.T.mm(a), g.T.mm(g));
        using var first = KroneckerInverse.Of(a2, g2, DampingMethod.Ekfac, 0, null).Inverse;
        first.Values!.copy_(rand(3, 4));
        using var second = KroneckerInverse.Of(a2 + 0.3 * eye(4, dtype: ScalarType.Float64) * arange(4), g2 + 0.2 * eye(3) * arange(3), DampingMethod.Ekfac, 0, first).Inverse;
        var basis = kron(second.Left, second.Right);
        var matrix = kron(first.Left, first.Right).mm(first.Values.flatten().diag()).mm(kron(first.Left, first.Right).T);
        Assert.InRange(Dense.RelativeError(second.Values!.flatten(), basis.T.mm(matrix).mm(basis).diag()), 0, 1e-12);
    }

    /// <summary>Over a whole run on the same batch, with a fixed basis: the optimizer's S is the mean of squares of rotated gradients.</summary>
    [Fact]
    public void Optimizer_corrects_with_the_gradients_of_its_batches()
    {
        var model = nn.Sequential(("a", nn.Linear(3, 4)), ("t", nn.Tanh()), ("b", nn.Linear(4, 3)));
        var (x, y) = (randn(5, 3), randint(0, 3, [5]));
        using var optimizer = new Amari.Kfac(model, Plain with { LearningRate = 0, DampingMethod = DampingMethod.Ekfac, InverseInterval = 100, FactorDecay = 0 }, new Categorical());
        for (int i = 0; i < 2; i++)
        {
            optimizer.zero_grad();
            new Categorical().Loss(model.call(x), y).backward();
            optimizer.step();
        }
        var state = optimizer.Snapshot().Tensors;
        foreach (string layer in (string[])["a", "b"])
        {
            var linear = (Linear)model.named_children().First(c => c.name == layer).module;
            var dense = Dense.Fisher(model, x, [linear.weight!, linear.bias!], Dense.CategoricalFisher);
            var order = arange(dense.shape[0]);                 // rows of [W b]
            long o = linear.weight!.shape[0], n = linear.weight.shape[1];
            order = cat([order.narrow(0, 0, o * n).view(o, n), order.narrow(0, o * n, o).view(o, 1)], 1).flatten();
            dense = dense.index_select(0, order).index_select(1, order);
            var basis = kron(state[$"{layer}.Left"], state[$"{layer}.Right"]);
            Assert.InRange(Dense.RelativeError(state[$"{layer}.Values"].flatten(), basis.T.mm(dense).mm(basis).diag()), 0, 1e-10);
        }
    }

    [Fact]
    public void Conditions_of_diagonal_factors_and_corrected_eigenvalues()
    {
        var model = nn.Sequential(("e", nn.Embedding(3, 2)), ("n", nn.LayerNorm(2)), ("l", nn.Linear(2, 2)));
        using var optimizer = new Amari.Kfac(model, Plain with { LearningRate = 0, DampingMethod = DampingMethod.Ekfac }, new Categorical());
        for (int i = 0; i < 2; i++)
        {
            optimizer.zero_grad();
            new Categorical().Loss(model.call(tensor(new long[] { 0, 1, 1, 1, 2, 2 })), randint(0, 2, [6])).backward();
            optimizer.step();
        }
        var conditions = optimizer.FactorConditions();
        Assert.Equal(["e", "l"], conditions.Select(c => c.Layer));
        Assert.Equal(3, conditions[0].A, 1e-10);                // 3 uses of one row, 1 of another
        var s = optimizer.Snapshot().Tensors["l.Values"];
        Assert.Equal(((s.max() + Plain.Damping) / (s.min() + Plain.Damping)).ToDouble(), conditions[1].Damped, 1e-10);
    }

    private sealed class Twins : nn.Module<Tensor, Tensor>
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

    [Fact]
    public void Verifier_passes_all_kinds_and_ties()
    {
        set_default_dtype(ScalarType.Float32);
        var conv = nn.Sequential(("c", nn.Conv1d(2, 4, 2, stride: 2, groups: 2)), ("g", GroupNorm(2, 4)), ("t", nn.Tanh()), ("u", nn.ConvTranspose1d(4, 2, 2, stride: 2, groups: 2)),
            ("b", nn.BatchNorm1d(2)), ("n", nn.LayerNorm([2, 6])), ("f", nn.Flatten()), ("l", nn.Linear(12, 3)));
        Passes(conv, randn(5, 2, 6), 3);
        Passes(nn.Sequential(("c", nn.Conv3d(1, 2, 2)), ("t", nn.Tanh()), ("u", nn.ConvTranspose3d(2, 1, 2)), ("f", nn.Flatten()), ("l", nn.Linear(27, 3))), randn([4, 1, 3, 3, 3]), 3);
        Passes(nn.Sequential(("e", nn.Embedding(7, 4)), ("f", nn.Flatten()), ("n", nn.LayerNorm(8)), ("l", nn.Linear(8, 3))), randint(0, 7, [5, 2]), 3);
        Passes(new Twins(bias: true), randn(5, 4), 4);
        Passes(new Twins(bias: false), randn(5, 4), 4);

        static void Passes(nn.Module<Tensor, Tensor> model, Tensor x, int classes)
        {
            var report = Amari.Verification.Verifier.Verify(model, new Categorical(), x, randint(0, classes, [x.shape[0]], dtype: ScalarType.Int64));
            Assert.True(report.Checks.All(c => c.Outcome == Amari.Verification.CheckOutcome.Passed), report.ToString());
        }
    }
}
