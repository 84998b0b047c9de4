using Amari.Cli.Commands;
using Amari.Curvature;
using Amari.Tests.KfacOptimizer;
using Amari.Training;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>What is seen of a model, and what is reported of it.</summary>
public sealed class CaptureTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public CaptureTests() => manual_seed(5);

    public void Dispose() => _scope.Dispose();

    private static void Backward(nn.Module<Tensor, Tensor> model, Tensor x) => model.call(x).square().mean().backward();

    private sealed class Net : nn.Module<Tensor, Tensor>
    {
        private readonly Linear first = nn.Linear(4, 4),
            second = nn.Linear(4, 4);
        private readonly PReLU slope = nn.PReLU(4);
        private readonly bool _direct;

        public Net(bool direct)
            : base("net")
        {
            _direct = direct;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) =>
            _direct ? second.forward(slope.call(first.call(x))) : second.call(slope.call(first.call(first.call(x))));
    }

    private sealed class Tied : nn.Module<Tensor, Tensor>
    {
        private readonly Embedding first = nn.Embedding(4, 4);
        private readonly Linear second = nn.Linear(4, 4);

        public Tied()
            : base("tied")
        {
            second.weight = first.get_parameter("weight")!;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => second.call(first.call(x).tanh());
    }

    private sealed class TwoInputs : nn.Module<Tensor, Tensor, Tensor>
    {
        private readonly Linear layer = nn.Linear(4, 2);

        public TwoInputs()
            : base("two") => RegisterComponents();

        public override Tensor forward(Tensor x, Tensor y) => layer.call(x + y);
    }

    [Fact]
    public void Layer_used_twice_sums_its_uses()
    {
        var model = new Net(direct: false);
        using var optimizer = new Kfac(
            model,
            new()
            {
                LearningRate = 0,
                Curvature = new() { Fisher = new FisherOptions.Empirical() },
            }
        );
        var x = randn(6, 4);
        var layer = (Linear)model.named_children().First(c => c.name == "first").module;
        var inner = layer.call(x).detach();
        Backward(model, x);
        optimizer.step();
        using var one = ones(6, 1);
        var rows = cat([cat([x, one], 1), cat([inner, one], 1)]);
        var a = optimizer.Snapshot().Tensors["first.A"];
        Assert.InRange(Dense.RelativeError(a, rows.T.mm(rows) / 12), 0, 1e-6);
    }

    [Fact]
    public void Coverage_names_every_parameter_with_its_reason()
    {
        using var optimizer = new Kfac(new Net(direct: false));
        var rows = optimizer.Coverage.Rows.ToDictionary(r => r.Parameter);
        Assert.Equal(5, rows.Count);
        Assert.Equal("K-FAC Linear", rows["first.weight"].Block);
        Assert.Equal("AdamW", rows["slope.weight"].Block);
        Assert.Contains("PReLU", rows["slope.weight"].Reason, StringComparison.Ordinal);
        Assert.Contains("slope.weight", optimizer.Coverage.ToString(), StringComparison.Ordinal);
        var error = Assert.Throws<ArgumentException>(() => new Kfac(new Net(direct: false), new() { Strict = true }));
        Assert.Contains("slope.weight", error.Message, StringComparison.Ordinal);
    }

    /// <summary>A hook that saw passes would keep every layer's input of a pass that is not propagated back.</summary>
    [Fact]
    public void A_refused_model_is_left_without_hooks()
    {
        var model = new Net(direct: false);
        Assert.Throws<ArgumentException>(() => new Kfac(model, new() { Strict = true }));
        long before = Tensor.TotalCount;
        for (int i = 0; i < 20; i++)
            using (NewDisposeScope())
                model.call(randn(6, 4));
        Assert.InRange(Tensor.TotalCount, 0, before); // fewer when the collector found garbage of other tests
    }

    [Fact]
    public void Layer_called_through_forward_is_handed_to_AdamW_and_logged()
    {
        var model = new Net(direct: true);
        using var optimizer = new Kfac(model);
        for (int i = 0; i < 3; i++)
        {
            optimizer.zero_grad();
            Backward(model, randn(6, 4));
            optimizer.step();
        }
        Assert.Equal("AdamW", optimizer.Coverage.Rows.Single(r => r.Parameter == "second.weight").Block);
        Assert.Equal("K-FAC Linear", optimizer.Coverage.Rows.Single(r => r.Parameter == "first.weight").Block);
        Assert.Single(optimizer.Events, e => e.Subject == "second");
    }

    [Fact]
    public void Model_called_through_forward_is_an_error()
    {
        var model = nn.Sequential(("a", nn.Linear(4, 4)));
        using var optimizer = new Kfac(model);
        model.forward(randn(6, 4)).sum().backward();
        Assert.Contains("call(x)", Assert.Throws<InvalidOperationException>(() => optimizer.step()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Tied_weights_fall_back_with_the_reason()
    {
        using var optimizer = new Kfac(new Tied());
        Assert.All(
            optimizer.Coverage.Rows.Where(r => r.Parameter.EndsWith("weight", StringComparison.Ordinal)),
            r =>
            {
                Assert.Equal("AdamW", r.Block);
                Assert.Contains("tied: used by the layers first and second", r.Reason, StringComparison.Ordinal);
            }
        );
    }

    [Fact]
    public void Two_inputs_in_place_activations_and_a_layer_as_the_model_work()
    {
        var two = new TwoInputs();
        using (var optimizer = new Kfac(two, likelihood: new Gaussian()))
        {
            two.call(randn(5, 4), randn(5, 4)).square().sum().backward();
            optimizer.step();
            Assert.Equal(FisherKind.CurvaturePropagation, optimizer.Fisher);
        }
        var x = randn(5, 4);
        double[] Run(bool inPlace)
        {
            manual_seed(8);
            var model = nn.Sequential(("a", nn.Linear(4, 4)), ("r", nn.ReLU(inPlace)), ("b", nn.Linear(4, 3)));
            using var optimizer = new Kfac(model, new() { Curvature = new() { Fisher = new FisherOptions.Exact() } }, new Gaussian());
            Backward(model, x);
            optimizer.step();
            return Optimizers.Problem.Values(model.parameters());
        }
        Assert.Equal(Run(false), Run(true));
        var layer = nn.Linear(4, 3);
        using var single = new Kfac(layer, new() { Curvature = new() { Fisher = new FisherOptions.Exact() } }, new Gaussian());
        Backward(layer, x);
        single.step();
        Assert.Contains(single.Snapshot().Tensors.Keys, k => k.EndsWith(".A", StringComparison.Ordinal));
    }

    [Theory, InlineData(FisherKind.Exact), InlineData(FisherKind.Empirical)]
    public void Passes_without_a_backward_change_nothing(FisherKind kind)
    {
        double[] Run(bool extra)
        {
            manual_seed(8);
            var model = nn.Sequential(("a", nn.Linear(4, 4)), ("t", nn.Tanh()), ("b", nn.Linear(4, 3)));
            using var optimizer = new Kfac(model, new() { Curvature = new() { Fisher = FisherOptions.Of(kind) } }, new Gaussian());
            using var data = new Generator(1);
            for (int i = 0; i < 3; i++)
            {
                var x = randn([5, 4], generator: data);
                optimizer.zero_grad();
                if (extra)
                {
                    model.call(10 * x);
                    using (no_grad())
                        model.call(x);
                }
                Backward(model, x);
                optimizer.step();
            }
            return Optimizers.Problem.Values(model.parameters());
        }
        Assert.Equal(Run(false), Run(true));
    }

    [Theory]
    [InlineData(FisherKind.Exact, DampingMethod.FactoredTikhonov), InlineData(FisherKind.MonteCarlo, DampingMethod.Eigenbasis)]
    [InlineData(FisherKind.Empirical, DampingMethod.Ekfac), InlineData(FisherKind.Exact, DampingMethod.Ekfac)]
    public void Live_tensors_stay_flat(FisherKind kind, DampingMethod method)
    {
        using var model = nn.Sequential(
            ("e", nn.Embedding(9, 4)),
            ("u", nn.ConvTranspose1d(4, 2, 1)),
            ("g", nn.BatchNorm1d(2)),
            ("v", nn.Unflatten(1, [1, 2])),
            ("c", nn.Conv2d(1, 2, (2, 3))),
            ("f", nn.Flatten()),
            ("n", nn.LayerNorm(4)),
            ("a", nn.Linear(4, 4)),
            ("t", nn.Tanh()),
            ("b", nn.Linear(4, 3))
        );
        using var optimizer = new Kfac(
            model,
            new()
            {
                Curvature = new()
                {
                    Fisher = FisherOptions.Of(kind),
                    Inverse = InverseOptions.Of(method),
                    Refresh = new() { FactorInterval = 2, InverseInterval = 3 },
                },
            },
            new Categorical()
        );
        using var x = randint(0, 9, [5, 4], dtype: ScalarType.Int64);
        using var y = randint(0, 3, [5]);
        long after10 = 0;
        for (int i = 0; i < 110; i++)
        {
            if (i == 10)
                after10 = Tensor.TotalCount;
            using var scope = NewDisposeScope();
            optimizer.zero_grad();
            new Categorical().Loss(model.call(x), y).backward();
            optimizer.step();
        }
        Assert.InRange(Tensor.TotalCount, 0, after10); // fewer when the collector found garbage of other tests
    }
}
