using Amari.Cli.Commands;
using Amari.Curvature;
using Amari.Native;
using Amari.Verification;

namespace Amari.Tests.Kronecker;

/// <summary>Models as people write them: what K-FAC sees of them changes no bit of the gradient that autograd alone gives.</summary>
public sealed class CaptureModelTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public CaptureModelTests() => manual_seed(11);

    public void Dispose() => _scope.Dispose();

    private static readonly Dictionary<string, Func<nn.Module<Tensor, Tensor>>> Activations = new()
    {
        ["CELU"] = () => nn.CELU(),
        ["ELU"] = () => nn.ELU(),
        ["GELU"] = () => nn.GELU(),
        ["GLU"] = () => nn.GLU(-1),
        ["Hardshrink"] = () => nn.Hardshrink(),
        ["Hardsigmoid"] = () => nn.Hardsigmoid(),
        ["Hardswish"] = () => nn.Hardswish(),
        ["LeakyReLU"] = () => nn.LeakyReLU(),
        ["LogSigmoid"] = () => nn.LogSigmoid(),
        ["LogSoftmax"] = () => nn.LogSoftmax(1),
        ["Mish"] = () => nn.Mish(),
        ["PReLU"] = () => nn.PReLU(1),
        ["ReLU"] = () => nn.ReLU(),
        ["ReLU6"] = () => nn.ReLU6(),
        ["RReLU"] = () => nn.RReLU(0.2, 0.2),
        ["SELU"] = () => nn.SELU(),
        ["Sigmoid"] = () => nn.Sigmoid(),
        ["SiLU"] = () => nn.SiLU(),
        ["Softmax"] = () => nn.Softmax(1),
        ["Softmin"] = () => nn.Softmin(1),
        ["Softplus"] = () => nn.Softplus(),
        ["Softshrink"] = () => nn.Softshrink(),
        ["Softsign"] = () => nn.Softsign(),
        ["Tanh"] = () => nn.Tanh(),
        ["Tanhshrink"] = () => nn.Tanhshrink(),
        ["Threshold"] = () => nn.Threshold(0.1, 0.2),
        ["ReLU in place"] = () => nn.ReLU(inplace: true),
        ["ELU in place"] = () => nn.ELU(1, inplace: true),
        ["Hardtanh in place"] = () => nn.Hardtanh(inplace: true),
        ["LeakyReLU in place"] = () => nn.LeakyReLU(0.1, inplace: true),
        ["Identity"] = () => nn.Identity(),
        ["Dropout"] = () => nn.Dropout(0.5),
        ["Dropout in place"] = () => nn.Dropout(0.5, inplace: true),
    };

    public static TheoryData<string> Names => [.. Activations.Keys];

    /// <summary>The gradients of a model that K-FAC sees are those of the same one alone, and the step moves it.</summary>
    private static void SameGradients(
        Func<nn.Module<Tensor, Tensor>> make,
        Func<Tensor>? input = null,
        Func<Tensor, Tensor>? loss = null,
        Likelihood? likelihood = null
    )
    {
        foreach (var kind in new[] { FisherKind.CurvaturePropagation, FisherKind.Empirical, FisherKind.ForwardOnly })
        {
            var (alone, seen) = (Run(null), Run(kind));
            Assert.Equal(alone, seen);
            Assert.Contains(alone, g => g.Length > 0);
        }

        List<double[]> Run(FisherKind? kind)
        {
            manual_seed(5);
            var model = make();
            var x = input?.Invoke() ?? randn(6, 4);
            using var optimizer = kind is null
                ? null
                : new Kfac(model, new() { Curvature = new() { Fisher = FisherOptions.Of(kind.Value) } }, likelihood ?? new Gaussian());
            manual_seed(7); // of dropout
            (loss ?? (f => f.square().sum()))(model.call(x)).backward();
            var gradients = model.parameters().Select(p => p.grad is { } g ? g.Elements<double>() : []).ToList();
            var before = Optimizers.Problem.Values(model.parameters());
            optimizer?.step();
            if (optimizer is not null)
                Assert.NotEqual(before, Optimizers.Problem.Values(model.parameters()));
            return gradients;
        }
    }

    [Theory, MemberData(nameof(Names))]
    public void Every_activation_may_come_last(string name) =>
        SameGradients(() => nn.Sequential(("a", nn.Linear(4, 6)), ("t", nn.Tanh()), ("b", nn.Linear(6, 4)), ("last", Activations[name]())));

    [Theory, MemberData(nameof(Names))]
    public void Every_activation_may_come_between(string name) =>
        SameGradients(() =>
            nn.Sequential(("a", nn.Linear(4, 6)), ("last", Activations[name]()), ("b", nn.Linear(name == "GLU" ? 3 : 6, 2)))
        );

    [Theory, MemberData(nameof(Names))]
    public void Every_activation_may_be_the_whole_loss(string name) =>
        SameGradients(() => nn.Sequential(("a", nn.Linear(4, 4))), loss: f => Activations[name]().call(f).square().sum());

    /// <summary>A model from a function of its layers.</summary>
    private sealed class Model : nn.Module<Tensor, Tensor>
    {
        private readonly Func<Model, Tensor, Tensor> _forward;
        public readonly Linear First = nn.Linear(4, 4),
            Second = nn.Linear(4, 4);
        public readonly Parameter Free = nn.Parameter(randn(6, 4));

        public Model(Func<Model, Tensor, Tensor> forward)
            : base("model")
        {
            _forward = forward;
            register_module("first", First);
            register_module("second", Second);
            register_parameter("free", Free);
        }

        public override Tensor forward(Tensor x) => _forward(this, x);
    }

    /// <summary>A layer of one's own that is a Linear in a module.</summary>
    private sealed class Wrapped : nn.Module<Tensor, Tensor>
    {
        private readonly Func<Linear, Tensor, Tensor> _forward;
        private readonly Linear inner = nn.Linear(4, 4);

        public Wrapped(Func<Linear, Tensor, Tensor> forward)
            : base("wrapped")
        {
            _forward = forward;
            RegisterComponents();
        }

        public override Tensor forward(Tensor x) => _forward(inner, x);
    }

    public static TheoryData<string> Forms => [.. Forwards.Keys];

    private static readonly Dictionary<string, Func<Model, Tensor, Tensor>> Forwards = new()
    {
        ["the output is a layer's"] = (m, x) => m.Second.call(m.First.call(x)),
        ["the output is a view of a layer's"] = (m, x) => m.Second.call(m.First.call(x)).view(3, 8),
        ["the output is one part of a split"] = (m, x) => m.Second.call(m.First.call(x)).split(2, 1)[0],
        ["the output is an expanded one"] = (m, x) => m.Second.call(m.First.call(x)).unsqueeze(1).expand(6, 3, 4),
        ["the output is changed in place"] = (m, x) => m.Second.call(m.First.call(x).tanh_()).relu_(),
        ["a part of a layer's output is changed in place"] = (m, x) =>
        {
            var s = m.First.call(x);
            s.narrow(1, 0, 2).mul_(2);
            return m.Second.call(s);
        },
        ["a layer is used twice"] = (m, x) => m.First.call(m.First.call(x).tanh()),
        ["a layer's output is used twice"] = (m, x) =>
        {
            var s = m.First.call(x);
            return m.Second.call(s.tanh()) + s.exp();
        },
        ["a residual in place"] = (m, x) => m.Second.call(x).add_(m.First.call(x)),
        ["a part under no_grad"] = (m, x) =>
        {
            Tensor t;
            using (no_grad())
                t = m.First.call(x);
            return m.Second.call(t) + m.First.call(x);
        },
        ["a parameter of no layer"] = (m, x) => m.Second.call(m.First.call(x) * m.Free),
        ["the output depends on a sum of outputs"] = (m, x) => m.Second.call(m.First.call(x)).softmax(1).log(),
    };

    [Theory, MemberData(nameof(Forms))]
    public void Every_form_of_forward(string form) => SameGradients(() => new Model(Forwards[form]));

    public static TheoryData<string> Layers => [.. Wraps.Keys];

    private static readonly Dictionary<string, Func<Linear, Tensor, Tensor>> Wraps = new()
    {
        ["saved by its own backward"] = (l, x) => l.call(x).tanh(),
        ["in place"] = (l, x) => l.call(x).sigmoid_(),
        ["a view"] = (l, x) => l.call(x).view(2, 3, 4).view(6, 4),
        ["one part of a chunk"] = (l, x) => cat([l.call(x), x], 1).chunk(2, 1)[0],
        ["its input"] = (l, x) => x.alias(), // the input itself, TorchSharp's Sequential disposes
        ["its parameter"] = (l, x) => l.weight!.narrow(0, 0, 1).expand(x.shape[0], 4),
        ["transposed"] = (l, x) => l.call(x).t().contiguous().t(),
    };

    [Theory, MemberData(nameof(Layers))]
    public void Every_output_of_a_registered_layer(string output)
    {
        BlockCatalog.Register<Wrapped>(l => new("wrapped", "inner.weight", "inner.bias", x => x.unsqueeze(1), g => g.unsqueeze(1)));
        SameGradients(() =>
            nn.Sequential(
                ("a", nn.Linear(4, 4)),
                ("w", new Wrapped(Wraps[output])),
                ("r", nn.ReLU(inplace: output is "a view" or "transposed")),
                ("b", nn.Linear(4, 3))
            )
        );
    }

    [Fact]
    public void Normalisations_an_embedding_with_a_largest_norm_and_modules_in_modules()
    {
        SameGradients(() =>
            nn.Sequential(
                ("a", nn.Linear(4, 4)),
                ("n", nn.LayerNorm(4)),
                ("r", nn.ReLU(inplace: true)),
                ("b", nn.BatchNorm1d(4)),
                ("t", nn.Tanh())
            )
        );
        SameGradients(
            () =>
                nn.Sequential(
                    ("e", nn.Embedding(9, 4, max_norm: 0.5)),
                    ("f", nn.Flatten()),
                    ("r", nn.ReLU(inplace: true)),
                    ("b", nn.Linear(12, 3)),
                    ("s", nn.LogSoftmax(1))
                ),
            () => randint(0, 9, [5, 3]),
            likelihood: new Categorical()
        );
        SameGradients(() =>
            nn.Sequential(
                ("in", nn.Sequential(("in", nn.Sequential(("a", nn.Linear(4, 4)), ("s", nn.Sigmoid()))), ("d", nn.Identity()))),
                ("out", nn.Sequential(("b", nn.Linear(4, 2)), ("s", nn.Softmax(1))))
            )
        );
    }

    /// <summary>The model of TorchSharp's own MNIST example.</summary>
    private static nn.Module<Tensor, Tensor> LeNet() =>
        nn.Sequential(
            ("conv1", nn.Conv2d(1, 8, 3)),
            ("relu1", nn.ReLU()),
            ("conv2", nn.Conv2d(8, 16, 3)),
            ("relu2", nn.ReLU()),
            ("pool1", nn.MaxPool2d([2L, 2L])),
            ("dropout1", nn.Dropout(0.25)),
            ("flatten", nn.Flatten()),
            ("fc1", nn.Linear(16 * 4, 16)),
            ("relu3", nn.ReLU()),
            ("dropout2", nn.Dropout(0.5)),
            ("fc2", nn.Linear(16, 10)),
            ("logsm", nn.LogSoftmax(1))
        );

    [Fact]
    public void LeNet_of_the_example_trains_and_is_verified()
    {
        Func<Tensor> images = () => randn(32, 1, 8, 8);
        SameGradients(LeNet, images, f => nn.functional.nll_loss(f, arange(32, dtype: ScalarType.Int64) % 10), new Categorical());
        manual_seed(3);
        var model = LeNet();
        var (x, y) = (images(), randint(0, 10, [32]));
        using var optimizer = new Kfac(model, new() { Step = new AutoStep { KlClip = 1e-2 } }, new Categorical());
        double Loss()
        {
            model.eval();
            using var off = no_grad();
            double loss = nn.functional.nll_loss(model.call(x), y).ToDouble();
            model.train();
            return loss;
        }
        double before = Loss();
        for (int i = 0; i < 40; i++)
        {
            optimizer.zero_grad();
            nn.functional.nll_loss(model.call(x), y).backward();
            optimizer.step();
        }
        Assert.InRange(Loss(), 0, 0.5 * before);
        Assert.DoesNotContain(optimizer.Events, e => e.Message.Contains("likelihood", StringComparison.Ordinal));
        var report = Amari.Verification.Verifier.Verify(model, new Categorical(), x, y, new() { Examples = 4 });
        Assert.All(report.Checks, c => Assert.True(c.Outcome != Amari.Verification.CheckOutcome.Failed, $"{c}"));
    }

    /// <summary>Computes a layer without a graph, and again in the backward pass, which writes the layer's gradients itself.</summary>
    private sealed class Recomputed : autograd.SingleTensorFunction<Recomputed>
    {
        public override string Name => nameof(Recomputed);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var (x, layer) = ((Tensor)vars[0], (nn.Module<Tensor, Tensor>)vars[1]);
            ctx.save_data("layer", layer);
            ctx.save_for_backward([x]);
            return layer.call(x);
        }

        private static List<Tensor>? _held;

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor gradient)
        {
            var layer = (nn.Module<Tensor, Tensor>)ctx.get_data("layer");
            using var on = enable_grad();
            var x = ctx.get_saved_variables()[0].detach().requires_grad_();
            autograd.backward([layer.call(x)], [gradient]);
            return _held = [x.grad!, null!];
        }
    }

    /// <summary>K-FAC's own backward passes go through it as well, and leave the gradients as they were; of the layer it sees
    /// nothing.</summary>
    [Fact]
    public void A_layer_that_is_computed_again_in_the_backward_pass()
    {
        Func<nn.Module<Tensor, Tensor>> make = () => new Model((m, x) => Recomputed.apply(m.First.call(x).tanh(), m.Second).tanh());
        SameGradients(make);
        foreach (int before in new[] { 0, 1 })
        {
            double[] Run(bool seen)
            {
                manual_seed(5);
                var model = make();
                using var optimizer = seen
                    ? new Kfac(model, new() { Curvature = new() { Fisher = new FisherOptions.Exact() } }, new Gaussian())
                    : null;
                for (int i = 0; i <= before; i++)
                    model.call(randn(6, 4)).square().sum().backward(); // micro-batches
                var gradients = model.parameters().SelectMany(p => p.grad is { } g ? g.Elements<double>() : []).ToArray();
                optimizer?.step();
                if (optimizer is not null)
                    Assert.Contains(
                        optimizer.Events,
                        e => e.Subject == "second" && e.Message.Contains("not seen", StringComparison.Ordinal)
                    );
                return gradients;
            }
            Assert.Equal(Run(false), Run(true));
        }
    }
}
