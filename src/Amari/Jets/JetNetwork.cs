using Amari.Native;

namespace Amari.Jets;

/// <summary>A network u(x) whose derivatives with respect to its inputs come in one forward pass, next to its value.</summary>
/// <remarks>It reads an ordinary model: Linear, Tanh, Sigmoid, Softplus, GELU, SiLU, Identity and <see cref="Sin"/>, in any nesting of
/// Sequential and <see cref="Residual"/>, and what implements <see cref="IJetModule"/>, as <see cref="FourierFeatures"/> and
/// <see cref="InputScaling"/> do. All components travel as one tensor [C, n, features], of plain torch operations: one backward pass
/// differentiates a loss of derivatives with respect to the parameters.</remarks>
/// <example><code>
/// using Amari.Jets;
///
/// JetNetwork u = new(nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 1)));
/// Tensor points = rand(100, 2), f = ones(100, 1);
/// using var jet = u.At(points, JetSpec.Laplacian(2));
/// var loss = (jet.Laplacian + f).square().mean();         // -Δu = f
/// loss.backward();
/// </code></example>
public sealed class JetNetwork
{
    private readonly Func<Jet, Jet> _push;

    /// <param name="module">Maps [n, d] to [n, out]. Not owned; its parameters are read at every pass.</param>
    /// <exception cref="ArgumentException">A layer has no second derivative, or is of a kind that is not known.</exception>
    public JetNetwork(nn.Module<Tensor, Tensor> module)
    {
        ArgumentNullException.ThrowIfNull(module);
        (Module, _push) = (module, Rule(module, ""));
    }

    /// <summary>The network itself.</summary>
    public nn.Module<Tensor, Tensor> Module { get; }

    /// <summary>u composed of the points and the network, e.g. to meet boundary conditions exactly; null for the network alone.</summary>
    /// <remarks>
    /// <code>
    /// Ansatz = (x, network) => x[0] * (1 - x[0]) * network      zero at both ends of [0, 1]
    /// Ansatz = (x, network) => 0.5 * (x * x).Sum() + network    near a paraboloid at the start
    /// </code></remarks>
    public Func<Jet, Jet, Jet>? Ansatz { get; init; }

    /// <summary>u and its derivatives at points; the caller disposes it.</summary>
    /// <param name="points">[n, d], of the dtype and on the device of the parameters.</param>
    /// <param name="spec">Which derivatives.</param>
    /// <exception cref="ArgumentException">The points do not fit the spec or the network.</exception>
    public Jet At(Tensor points, JetSpec spec)
    {
        ArgumentNullException.ThrowIfNull(points);
        ArgumentNullException.ThrowIfNull(spec);
        if (points.dim() != 2 || points.shape[1] != spec.Dimensions || !points.is_floating_point())
            throw new ArgumentException(
                $"The points are {points.dtype} [{string.Join(", ", points.shape)}]; the jet needs real numbers [n, {spec.Dimensions}].",
                nameof(points)
            );
        using var scope = NewDisposeScope();
        var x = Jet.Of(points, spec);
        var u = _push(x);
        return (Ansatz is null ? u : Ansatz(x, u)).MoveToOuterDisposeScope();
    }

    private static Func<Jet, Jet> Rule(nn.Module module, string name)
    {
        switch (module)
        {
            case IJetModule own:
                return own.Push;
            case Linear linear:
                return x => Push(linear, name, x);
            case Identity:
                return x => x;
            case Residual residual:
                var inner = Rule(residual.Inner, Join(name, "inner"));
                return x => Residual.Push(x, inner);
            case Sequential sequence:
                Func<Jet, Jet>[] rules = [.. sequence.named_children().Select(c => Rule(c.module, Join(name, c.name)))];
                return x => rules.Aggregate(x, (jet, rule) => rule(jet));
            case nn.Module<Tensor, Tensor> activation when Activation.Of(module) is { } derivatives:
                return x => x.Spec.Components == 1 ? new(x.Spec, [activation.forward(x.Orders[0])]) : x.Map(derivatives);
            default:
                string which = $"the layer{(name.Length > 0 ? " " : "")}{name} of type {module.GetType().Name}";
                throw new ArgumentException(
                    Activation.HasKink(module)
                        ? $"Jets cannot pass {which}: it has no second derivative; use Tanh, SiLU, GELU, Softplus or Sin."
                        : $"Jets cannot pass {which}: use Sequential, Residual, Linear and smooth activations, "
                            + "or implement IJetModule in it.",
                    nameof(module)
                );
        }
    }

    private static string Join(string parent, string child) => parent.Length == 0 ? child : $"{parent}.{child}";

    /// <summary>s = W z for every component; b is added to the value alone.</summary>
    private static Jet Push(Linear layer, string name, Jet x)
    {
        var (value, weight, bias) = (x.Orders[0], layer.weight!, layer.bias);
        if (value.shape[2] != layer.in_features || value.dtype != weight.dtype)
            throw new ArgumentException(
                $"The layer {name} takes {weight.dtype} of {layer.in_features} features; it was given {value.dtype} of {value.shape[2]}.",
                nameof(x)
            );
        if (!LayerObserver.IsPresent && (x.IsAffine || x.Spec.Components == 1))
            return new(x.Spec, [.. x.Orders.Select((o, order) => nn.functional.linear(o, weight, order == 0 ? bias : null))])
            {
                IsAffine = x.IsAffine,
            };
        Jet s = new(x.Spec, LayerObserver.Show(layer, x.Stack, nn.functional.linear(x.Stack, weight)));
        return bias is null ? s : new(x.Spec, [s.Orders[0] + bias, .. s.Orders[1..]]);
    }
}
