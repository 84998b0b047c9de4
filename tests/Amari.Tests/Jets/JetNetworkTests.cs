using Amari.Jets;
using Amari.Native;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.Jets;

/// <summary>Jets of networks against nested autograd.</summary>
public sealed class JetNetworkTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public JetNetworkTests() => manual_seed(3);

    public void Dispose() => _scope.Dispose();

    private static readonly Dictionary<string, Func<nn.Module<Tensor, Tensor>>> Networks = new()
    {
        ["tanh"] = () => Two(nn.Tanh()),
        ["sigmoid"] = () => Two(nn.Sigmoid()),
        ["softplus"] = () => Two(nn.Softplus()),
        ["sharp softplus"] = () => Two(nn.Softplus(beta: 3)),
        ["softplus beyond its threshold"] = () => Two(nn.Softplus(beta: 2, threshold: 0.5)),
        ["gelu"] = () => Two(nn.GELU()),
        ["gelu by tanh"] = () => Two(nn.GELU(GELU.Approximate.tanh)),
        ["silu"] = () => Two(nn.SiLU()),
        ["sin"] = () => Two(new Sin()),
        ["fast sin"] = () => Two(new Sin(2.5)),
        ["linear"] = () => nn.Linear(3, 2),
        ["identity"] = () => nn.Identity(),
        ["no bias"] = () => nn.Sequential(nn.Linear(3, 5, hasBias: false), nn.Tanh(), nn.Linear(5, 2, hasBias: false)),
        ["deep"] = () =>
            nn.Sequential(
                nn.Sequential(nn.Linear(3, 7), nn.Tanh(), nn.Linear(7, 6)),
                nn.SiLU(),
                nn.Linear(6, 5),
                nn.GELU(),
                nn.Linear(5, 2)
            ),
        ["residual"] = () =>
            nn.Sequential(
                nn.Linear(3, 6),
                new Residual(nn.Sequential(nn.Tanh(), nn.Linear(6, 6), nn.Tanh())),
                new Residual(nn.Linear(6, 6)),
                nn.Linear(6, 2)
            ),
        ["fourier"] = () => nn.Sequential(new FourierFeatures(3, 4, 1.5), nn.Linear(8, 5), nn.Tanh(), nn.Linear(5, 2)),
        ["scaled"] = () => nn.Sequential(new InputScaling([0, -1, 2], [1, 3, 5]), nn.Linear(3, 5), nn.Tanh(), nn.Linear(5, 2)),
        ["own module"] = () => nn.Sequential(nn.Linear(3, 4), new Cube(), nn.Linear(4, 2)),
    };

    private static Sequential Two(nn.Module<Tensor, Tensor> activation) =>
        nn.Sequential(nn.Linear(3, 6), activation, nn.Linear(6, 5), activation, nn.Linear(5, 2));

    public static TheoryData<string> Names => [.. Networks.Keys];

    private static JetSpec[] Specs =>
        [
            JetSpec.Value(3),
            JetSpec.Value(3).With(1),
            JetSpec.Gradient(3),
            JetSpec.Laplacian(3),
            JetSpec.Hessian(3),
            JetSpec.Value(3).With(0).With(2, 2),
            JetSpec.Value(3).With(2, 0).WithLaplacian(1, 2),
            JetSpec.Hessian(3).WithLaplacian(0, 2),
        ];

    [Theory, MemberData(nameof(Names))]
    public void Every_component_equals_nested_autograd(string name)
    {
        var module = Networks[name]().to(F64);
        var points = randn(5, 3, dtype: F64);
        foreach (var spec in Specs)
        {
            using var jet = new JetNetwork(module).At(points, spec);
            var expected = NestedJet.Stack(module.call, points, spec);
            for (int c = 0; c < spec.Components; c++)
                Near(jet.Stack[c], expected[c], 1e-12);
        }
    }

    [Theory, MemberData(nameof(Names))]
    public void Gradient_in_the_parameters_equals_nested_autograd(string name)
    {
        var module = Networks[name]().to(F64);
        Tensor[] w = [.. module.parameters()];
        var points = randn(4, 3, dtype: F64);
        var spec = JetSpec.Hessian(3).WithLaplacian(0, 2);
        Tensor weights = randn(spec.Components, 4, name == "identity" ? 3 : 2, dtype: F64);
        using var jet = new JetNetwork(module).At(points, spec);
        if (w.Length == 0)
            return;
        var actual = ReverseMode.Derivative([(weights * jet.Stack).square().sum()], w);
        var expected = ReverseMode.Derivative([(weights * NestedJet.Stack(module.call, points, spec)).square().sum()], w);
        foreach (var (a, e) in actual.Zip(expected))
            Near(a!, e!, 1e-12);
    }

    [Fact]
    public void Residuals_are_twice_differentiable_in_the_parameters()
    {
        var module = Two(nn.Tanh()).to(F64);
        var w = module.parameters().First();
        var points = randn(4, 3, dtype: F64);
        Tensor Second(Tensor stack)
        {
            var g = ReverseMode.Derivative([stack.square().sum()], [w], createGraph: true)[0]!;
            return ReverseMode.Derivative([g.square().sum()], [w])[0]!;
        }
        using var jet = new JetNetwork(module).At(points, JetSpec.Laplacian(3));
        Near(Second(jet.Stack), Second(NestedJet.Stack(module.call, points, JetSpec.Laplacian(3))), 1e-12);
    }

    [Fact]
    public void Float32_networks_give_float32_jets()
    {
        var module = Two(nn.Tanh());
        var points = randn(5, 3);
        using var jet = new JetNetwork(module).At(points, JetSpec.Laplacian(3));
        Assert.Equal(ScalarType.Float32, jet.Laplacian.dtype);
        var stack = jet.Stack.to_type(F64);
        Near(stack, NestedJet.Stack(module.to(F64).call, points.to_type(F64), JetSpec.Laplacian(3)), 1e-5);
    }

    [Fact]
    public void An_ansatz_of_points_and_network_is_differentiated()
    {
        var module = Two(nn.Tanh()).to(F64);
        JetNetwork u = new(module)
        {
            Ansatz = (x, net) => 0.5 * (x * x).Sum() + x[0] * (1 - x[0]) * net[1] - (x[2] + 3).Map(z => (z.exp(), z.exp(), z.exp())),
        };
        Tensor Plain(Tensor x)
        {
            var (x0, x2) = (x.narrow(1, 0, 1), x.narrow(1, 2, 1));
            return x.square().sum([1L], keepdim: true) / 2 + x0 * (1 - x0) * module.call(x).narrow(1, 1, 1) - (x2 + 3).exp();
        }
        var points = randn(5, 3, dtype: F64);
        foreach (var spec in Specs)
        {
            using var jet = u.At(points, spec);
            Near(jet.Stack, NestedJet.Stack(Plain, points, spec), 1e-12);
        }
    }

    [Fact]
    public void Layers_are_shown_with_inputs_and_outputs_in_the_graph()
    {
        var module = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1)).to(F64);
        List<(Linear Layer, Tensor A, Tensor S)> seen = [];
        Tensor f;
        using (
            new LayerObserver(
                (layer, a, s) =>
                {
                    seen.Add((layer, a.DetachFromDisposeScope(), s.DetachFromDisposeScope()));
                    return s;
                }
            )
        )
            f = new JetNetwork(module).At(randn(5, 3, dtype: F64), JetSpec.Laplacian(3)).Laplacian.sum();
        Assert.Equal(["0", "2"], seen.Select(s => module.named_children().First(c => ReferenceEquals(c.module, s.Layer)).name));
        foreach (var (layer, a, s) in seen)
        {
            var delta = ReverseMode.Derivative([f], [s, layer.weight!, layer.bias!], again: true);
            Near(einsum("cno,cni->oi", delta[0]!, a), delta[1]!, 1e-13);
            if (delta[2] is { } bias)
                Near(delta[0]![0].sum([0L]), bias, 1e-13);
        }
        using var after = new JetNetwork(module).At(randn(2, 3, dtype: F64), JetSpec.Value(3));
        Assert.Equal(2, seen.Count);
    }

    [Fact]
    public void Layers_without_second_derivatives_are_named_with_a_remedy()
    {
        var e = Assert.Throws<ArgumentException>(() => new JetNetwork(nn.Sequential(("a", nn.Linear(2, 3)), ("kink", nn.ReLU()))));
        Assert.Equal(
            "Jets cannot pass the layer kink of type ReLU: it has no second derivative; use Tanh, SiLU, GELU, Softplus or Sin. "
                + "(Parameter 'module')",
            e.Message
        );
        Assert.Contains("implement IJetModule", Assert.Throws<ArgumentException>(() => new JetNetwork(nn.LayerNorm(3))).Message);
    }

    [Fact]
    public void Points_that_do_not_fit_are_refused_in_one_sentence()
    {
        JetNetwork u = new(nn.Linear(3, 1));
        Assert.Contains("[5, 2]; the jet needs real numbers [n, 3]", Refused(() => u.At(randn(5, 2), JetSpec.Value(3))));
        Assert.Contains("takes Float32 of 3 features; it was given Float32 of 2", Refused(() => u.At(randn(5, 2), JetSpec.Value(2))));
        Assert.Contains("it was given Float64 of 3", Refused(() => u.At(randn(5, 3, dtype: F64), JetSpec.Value(3))));

        static string Refused(Action action) => Assert.Throws<ArgumentException>(action).Message;
    }

    [Theory, InlineData(4, 1), InlineData(1, 4)]
    public void Residual_connections_need_outputs_of_the_shape_of_inputs(int from, int to)
    {
        var module = nn.Sequential(nn.Linear(2, from), new Residual(nn.Linear(from, to)));
        string jet = Assert.Throws<ArgumentException>(() => new JetNetwork(module).At(randn(3, 2), JetSpec.Laplacian(2))).Message;
        Assert.StartsWith($"The inner module of a residual connection makes {to} of {from} features; its outputs must have", jet);
        string plain = Assert.Throws<ArgumentException>(() => module.call(randn(3, 2))).Message;
        Assert.Contains($"makes [3, {to}] of [3, {from}]; its outputs must have the shape of its inputs.", plain);
    }

    [Fact]
    public void Passes_leave_no_tensors()
    {
        var module = Networks["residual"]().to(F64);
        JetNetwork u = new(module) { Ansatz = (x, net) => x[0] * net };
        var points = randn(5, 3, dtype: F64);
        long live = 0;
        for (int i = 0; i < 20; i++)
        {
            using (NewDisposeScope())
            using (var jet = u.At(points, JetSpec.Hessian(3)))
                jet.D(0, 1).sum().backward();
            if (i == 4)
                live = DisposeScopeManager.Statistics.ThreadTotalLiveCount;
        }
        Assert.Equal(live, DisposeScopeManager.Statistics.ThreadTotalLiveCount);
    }

    /// <summary>z³.</summary>
    private sealed class Cube() : nn.Module<Tensor, Tensor>(nameof(Cube)), IJetModule
    {
        public override Tensor forward(Tensor input) => input.pow(3);

        public Jet Push(Jet x) => x.Map(z => (z.pow(3), 3 * z.square(), 6 * z));
    }
}
