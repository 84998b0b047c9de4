using Amari.Curvature;
using Amari.Likelihoods;
using static Amari.Tests.Likelihoods.LikelihoodCases;

namespace Amari.Tests.Curvature;

/// <summary>Derivatives of convolutions beyond those that every curvature case needs.</summary>
public sealed class ConvolutionsTests : IDisposable
{
    private readonly DisposeScope _scope = NewDisposeScope();

    public void Dispose() => _scope.Dispose();

    public static TheoryData<string> Layers => ["one dimension", "three dimensions", "transposed", "frozen kernel"];

    private static (nn.Module<Tensor, Tensor> Model, Tensor X) Make(string name)
    {
        var (layer, shape) = name switch
        {
            "one dimension" => ((nn.Module<Tensor, Tensor>)nn.Conv1d(2, 2, 3, stride: 2, padding: 1), (long[])[2, 2, 5]),
            "three dimensions" => (nn.Conv3d(2, 2, 2), [2, 2, 2, 3, 2]),
            "transposed" => (nn.ConvTranspose2d(2, 2, 2, stride: 2, padding: 1, output_padding: 1), [2, 2, 2, 2]),
            _ => (nn.Conv2d(2, 2, 2), [2, 2, 3, 3]),
        };
        if (name == "frozen kernel")
            ((Convolution)layer).weight.requires_grad = false;
        return (
            nn.Sequential(("s", new Scaled()), ("p", nn.Softplus()), ("c", layer), ("t", nn.Tanh()), ("f", nn.Flatten())).to(F64),
            randn(shape, dtype: F64)
        );
    }

    /// <summary>A parameter before the convolution: its input needs derivatives too.</summary>
    private sealed class Scaled : nn.Module<Tensor, Tensor>
    {
        private readonly Parameter scale = nn.Parameter(ones(1));

        public Scaled()
            : base("scaled") => RegisterComponents();

        public override Tensor forward(Tensor x) => x * scale;
    }

    [Theory, MemberData(nameof(Layers))]
    public void Any_convolution_has_its_dense_curvature(string name)
    {
        var (model, x) = Make(name);
        using var off = no_grad();
        var c = new CurvatureCases.Case(model, new Gaussian(), [(x, randn_like(model.call(x)))]);
        using var on = enable_grad();
        var objective = c.Objective();
        IReadOnlyList<Parameter> w = [.. objective.Parameters.Parameters.Select(p => p.Parameter)];
        Assert.True(DenseCurvature.RelativeError(new Hessian(objective).ToDense(), DenseCurvature.Hessian(c, w)) < 1e-10);
        Assert.True(
            DenseCurvature.RelativeError(
                new GaussNewton(objective).ToDense(),
                DenseCurvature.Terms(c, w, (f, _) => DenseCurvature.OutputFisher(c.Likelihood, f))
            ) < 1e-10
        );
    }

    /// <summary>Its output is a derivative with respect to its input.</summary>
    private sealed class Slope : nn.Module<Tensor, Tensor>
    {
        private readonly Conv2d a = nn.Conv2d(1, 2, 2, dtype: F64),
            b = nn.Conv2d(2, 1, 2, dtype: F64);

        public Slope()
            : base("slope") => RegisterComponents();

        public override Tensor forward(Tensor x)
        {
            x = x.detach().requires_grad_();
            var value = b.call(a.call(x).tanh()).tanh();
            return autograd.grad([value.sum()], [x], create_graph: true, retain_graph: true)[0].flatten(1);
        }
    }

    [Fact]
    public void Derivatives_inside_a_model_have_their_curvature()
    {
        var c = new CurvatureCases.Case(new Slope(), new Gaussian(), [(randn(2, 1, 3, 3, dtype: F64), randn(2, 9, dtype: F64))]);
        var objective = c.Objective();
        IReadOnlyList<Parameter> w = [.. objective.Parameters.Parameters.Select(p => p.Parameter)];
        Assert.True(DenseCurvature.RelativeError(new Hessian(objective).ToDense(), DenseCurvature.Hessian(c, w)) < 1e-10);
        Assert.True(
            DenseCurvature.RelativeError(
                new GaussNewton(objective).ToDense(),
                DenseCurvature.Terms(c, w, (f, _) => DenseCurvature.OutputFisher(c.Likelihood, f))
            ) < 1e-10
        );
    }

    [Fact]
    public void Other_hooks_keep_their_order()
    {
        var layer = nn.Conv2d(1, 1, 1, dtype: F64);
        List<string> calls = [];
        layer.register_forward_hook(
            (_, _, y) =>
            {
                calls.Add("first");
                return y * 2;
            }
        );
        layer.register_forward_hook(
            (_, _, y) =>
            {
                calls.Add("second");
                return y.square();
            }
        );
        var model = nn.Sequential(("c", layer), ("f", nn.Flatten()));
        var c = new CurvatureCases.Case(model, new Gaussian(), [(randn(3, 1, 1, 1, dtype: F64), randn(3, 1, dtype: F64))]);
        var objective = c.Objective();
        IReadOnlyList<Parameter> w = [.. objective.Parameters.Parameters.Select(p => p.Parameter)];
        var expected = DenseCurvature.Hessian(c, w);
        calls.Clear();
        Assert.True(DenseCurvature.RelativeError(new Hessian(objective).ToDense(), expected) < 1e-10);
        model.call(c.Batches[0].X);
        Assert.Equal(["first", "second", "first", "second"], calls);
    }
}
