using System.Runtime.ExceptionServices;
using Amari.Native;

namespace Amari.Curvature;

/// <summary>Derivatives of convolutions of their own: as a convolution is bilinear, its derivatives of any order are sums of its three
/// products, and only those that are needed are computed.</summary>
/// <remarks><code>
/// y = x ∗ W + b      backward, g ↦       g_x = X(W, g),  g_W = D(x, g),  g_b = Σ g     X, D: the gradients of ⟨x ∗ W, g⟩
/// g_x = X(W, g)      backward, c ↦       ∂_g = c ∗ W,   ∂_W = D(c, g)
/// g_W = D(x, g)      backward, V ↦       ∂_g = x ∗ V,   ∂_x = X(V, g)
/// </code>
/// Libtorch's double backward of a convolution computes all three results whichever is asked for, ∂_W by a convolution with a kernel as
/// large as the image. Layers with padding other than zeros use it nevertheless.</remarks>
internal sealed class Convolutions : IDisposable
{
    private readonly List<(Convolution Layer, ConvolutionProducts Products)> _layers = [];
    private ExceptionDispatchInfo? _failure; // in our backward pass: exceptions must not cross autograd's native frames

    /// <param name="model">Not owned. May be null.</param>
    public Convolutions(nn.Module? model)
    {
        foreach (var layer in model?.modules().Append(model).OfType<Convolution>().Distinct() ?? [])
            if (ConvolutionProducts.TryOf(layer) is { } products)
                _layers.Add((layer, products));
    }

    /// <summary>Until it is disposed, calls of the model's convolutions have these derivatives. Graphs that were made meanwhile keep
    /// them.</summary>
    public IDisposable Watch() => new Hooks(this);

    /// <summary>Whether backward passes with a graph are of a cotangent u = 0 and are only differentiated with respect to it. Then g_x and
    /// g_W are zeros, and cost nothing.</summary>
    public bool OfZeros { get; set; }

    /// <summary>Throws the exception of our backward passes, if any. The derivatives since then must not be used.</summary>
    public void ThrowFailure()
    {
        var failure = _failure;
        _failure = null;
        failure?.Throw();
    }

    /// <summary>No graph with these derivatives can be used any more.</summary>
    public void Dispose()
    {
        foreach (var (_, products) in _layers)
            products.Dispose();
    }

    private sealed class Hooks : IDisposable
    {
        private readonly List<Action> _remove = [];

        public Hooks(Convolutions owner)
        {
            foreach (var (layer, products) in owner._layers)
                if (FirstHook.TryAdd(layer, (_, x, y) => OfLayer.Instead(y, x, layer, new(owner, products))) is { } remove)
                    _remove.Add(remove);
        }

        public void Dispose()
        {
            foreach (var remove in _remove)
                remove();
            _remove.Clear();
        }
    }

    /// <summary>What the backward passes of a layer need to know.</summary>
    private sealed record Use(Convolutions Owner, ConvolutionProducts Products)
    {
        public List<Tensor> Guarded(int arguments, Func<List<Tensor?>> backward)
        {
            try
            {
                return HeldGradients.Hold(backward()!);
            }
            catch (Exception e)
            {
                Owner._failure ??= ExceptionDispatchInfo.Capture(e);
                return [.. new Tensor[arguments]];
            }
        }
    }

    /// <summary>(x, W, b) → y, whose value is known.</summary>
    private sealed class OfLayer : autograd.SingleTensorFunction<OfLayer>
    {
        /// <summary>y with this graph, if it has one and its batch a dimension.</summary>
        public static Tensor Instead(Tensor y, Tensor x, Convolution layer, Use use)
        {
            if (!y.requires_grad || x.dim() != layer.weight.dim())
                return y;
            using var value = y.detach(); // outlives the native call, which TorchSharp gives no more than its handle
            return apply(value, x, layer.weight, (object?)layer.bias ?? false, use);
        }

        public override string Name => "Convolution";

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var y = (Tensor)vars[0];
            ctx.save_for_backward([(Tensor)vars[1], (Tensor)vars[2]]);
            ctx.save_data("use", vars[4]);
            ctx.save_data("bias", vars[3] is Tensor { requires_grad: true });
            ctx.mark_dirty([y]); // otherwise it is a view, and in-place activations after it fail
            return y;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor g)
        {
            var use = (Use)ctx.get_data("use");
            return use.Guarded(
                5,
                () =>
                {
                    var saved = ctx.get_saved_variables();
                    var (gx, gw) = OfGradient.Both(g, saved[0], saved[1], use);
                    long[] others = [0, .. Enumerable.Range(2, (int)g.dim() - 2).Select(i => (long)i)];
                    return [null, gx, gw, (bool)ctx.get_data("bias") ? g.sum(others) : null, null];
                }
            );
        }
    }

    /// <summary>(g, W) → g_x, or (g, x) → g_W, whose value is known.</summary>
    private sealed class OfGradient : autograd.SingleTensorFunction<OfGradient>
    {
        /// <param name="Use">Of the layer.</param>
        /// <param name="OfX">Whether the result is g_x, and the other argument W.</param>
        /// <param name="OfZeros">Whether g is 0 and the only argument to differentiate.</param>
        private sealed record Call(Use Use, bool OfX, bool OfZeros);

        /// <summary>Those of g_x and g_W that are needed, with a graph if gradients are enabled.</summary>
        public static (Tensor? OfX, Tensor? OfW) Both(Tensor g, Tensor x, Tensor w, Use use)
        {
            bool graph = is_grad_enabled(),
                zeros = graph && use.Owner.OfZeros,
                ofX = x.requires_grad,
                ofW = w.requires_grad;
            var (gx, gw) = Values();
            return graph ? (Graph(gx, w, true), Graph(gw, x, false)) : (gx, gw);

            (Tensor?, Tensor?) Values()
            {
                using var off = no_grad();
                return zeros ? (ofX ? zeros_like(x) : null, ofW ? zeros_like(w) : null) : use.Products.Gradients(g, x, w, ofX, ofW);
            }

            Tensor? Graph(Tensor? value, Tensor other, bool ofX) =>
                value is null ? null : apply(value, g, zeros ? other.detach() : other, new Call(use, ofX, zeros));
        }

        public override string Name => "ConvolutionGradient";

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var value = (Tensor)vars[0];
            ctx.save_for_backward([(Tensor)vars[1], (Tensor)vars[2]]);
            ctx.save_data("call", vars[3]);
            ctx.mark_dirty([value]);
            return value;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor cotangent)
        {
            var (use, ofX, ofZeros) = (Call)ctx.get_data("call");
            return use.Guarded(
                4,
                () =>
                {
                    var saved = ctx.get_saved_variables();
                    var (g, other, products) = (saved[0], saved[1], use.Products);
                    bool both = !ofZeros && other.requires_grad;
                    return ofX
                        ?
                        [
                            null,
                            products.Convolve(cotangent, other),
                            both ? products.Gradients(g, cotangent, other, false, true).OfW : null,
                            null,
                        ]
                        :
                        [
                            null,
                            products.Convolve(other, cotangent),
                            both ? products.Gradients(g, other, cotangent, true, false).OfX : null,
                            null,
                        ];
                }
            );
        }
    }
}
