using Amari.Curvature;
using Amari.Native;

namespace Amari.Verification;

/// <summary>A float64 model with its batch, and the plain derivatives for oracles: forward and backward passes, without the library's
/// operators.</summary>
internal sealed class Problem(
    nn.Module<Tensor, Tensor> model,
    Likelihood likelihood,
    Tensor inputs,
    Tensor targets,
    VerificationOptions options,
    Generator generator
) : IDisposable
{
    private Tensor? _jacobian;

    public nn.Module<Tensor, Tensor> Model => model;
    public Likelihood Likelihood => likelihood;
    public Tensor Inputs => inputs;
    public Tensor Targets => targets;
    public VerificationOptions Options => options;
    public Generator Generator => generator;
    public ParameterLayout Layout { get; } = ParameterLayout.Of(model);
    public Objective Objective => field ??= new(model, likelihood, [(inputs, targets)], Layout);

    /// <summary>f without a graph.</summary>
    public Tensor Output
    {
        get
        {
            using var off = no_grad();
            return ForwardFailure.Call(model, inputs);
        }
    }

    /// <summary>The number of terms in the output, including ignored ones, of C outputs each.</summary>
    public long Positions => field != 0 ? field : field = likelihood.Terms(Output);

    /// <summary>A tensor with the shape of the output f, set to 0 at ignored terms.</summary>
    public Tensor OfCounted(Tensor f, Tensor x) => likelihood.Counted(f, targets) is { } counted ? x * counted : x;

    /// <summary>M: the number of terms that count.</summary>
    public long Terms => field != 0 ? field : field = likelihood.Terms(Output, targets);

    public long Outputs => field != 0 ? field : field = likelihood.Outputs(Output);

    /// <summary>L(w), a scalar tensor without a graph.</summary>
    public Tensor Loss => likelihood.SumNegativeLogLikelihood(Output, targets).detach() / Terms;

    /// <summary>∇L(w) by one backward pass.</summary>
    public Tensor Gradient => Pull(likelihood.SumNegativeLogLikelihood(ForwardFailure.Call(model, inputs), targets), null) / Terms;

    /// <summary>J's, by one backward pass, for s shaped as the output.</summary>
    public Tensor TransposedProduct(Tensor s) => Pull(ForwardFailure.Call(model, inputs), s);

    /// <summary>J for every output of every term, [M C, d], one backward pass per row. Null if it would be too large.</summary>
    public Tensor? Jacobian
    {
        get
        {
            if (_jacobian is not null || (double)Positions * Outputs * Layout.Dimension > options.MaxJacobian)
                return _jacobian;
            using var scope = NewDisposeScope();
            var f = ForwardFailure.Call(model, inputs).reshape(-1);
            return _jacobian = stack([.. Enumerable.Range(0, (int)f.shape[0]).Select(i => Pull(f[i], null, again: true))])
                .DetachFromDisposeScope();
        }
    }

    /// <summary>The derivative of a value with respect to variables: tensors with their shapes.</summary>
    public static IReadOnlyList<Tensor> Derivative(Tensor value, Tensor? cotangent, IReadOnlyList<Tensor> variables, bool again)
    {
        if (!value.requires_grad)
            return [.. variables.Select(v => zeros_like(v))];
        return
        [
            .. ReverseMode
                .Derivative([value], [.. variables], cotangent is null ? null : [cotangent], again)
                .Zip(variables, (g, v) => g?.detach() ?? zeros_like(v)),
        ];
    }

    private Tensor Pull(Tensor value, Tensor? cotangent, bool again = false) =>
        cat([.. Derivative(value, cotangent, [.. Layout.Parameters.Select(p => (Tensor)p.Parameter)], again).Select(g => g.reshape(-1))])
            .detach();

    /// <summary>A random vector [d] with norm 1 for each parameter's part.</summary>
    public Tensor Direction() => cat([.. Layout.Shapes.Select(s => Unit(s).reshape(-1))]);

    /// <summary>A random tensor of norm 1.</summary>
    public Tensor Unit(long[] shape)
    {
        var u = randn(shape, dtype: ScalarType.Float64, generator: generator).to(Layout.Device);
        return u / u.norm();
    }

    /// <summary>The i-th parameter's part of a vector [d].</summary>
    public Tensor Part(Tensor v, int i) => v.narrow(0, Layout.Offset(i), Layout.Offset(i + 1) - Layout.Offset(i));

    /// <summary>The scale of relative errors: this part of the whole, if a parameter's own part is smaller.</summary>
    public static double Floor(Tensor whole) => 1e-4 * whole.norm().ToDouble() / Math.Sqrt(whole.numel());

    public void Dispose() => _jacobian?.Dispose();
}
