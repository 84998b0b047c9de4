using System.Runtime.ExceptionServices;
using Amari.Kronecker;
using Amari.Native;

namespace Amari.Curvature;

/// <summary>While it is active, gradients through 2-D convolutions are differentiated with respect to the cotangent g only, in which they
/// are linear. Products with a Jacobian need no more.</summary>
/// <remarks>Libtorch's double backward of a convolution always computes its two other results as well, at the same cost again.
/// <code>
/// y = x ∗ W + b          backward, g ↦  g_x = X(W, g),  g_W = D(x, g),  g_b = Σ g          X, D: the gradients of ⟨x ∗ W, g⟩
/// ⟨g_x, c⟩ = ⟨c ∗ W, g⟩  backward, c ↦  ∂_g = c ∗ W
/// ⟨g_W, V⟩ = ⟨x ∗ V, g⟩  backward, V ↦  ∂_g = x ∗ V
/// </code>
/// It costs one more forward pass of these layers. Layers with padding other than zeros, or with an output that another hook has changed,
/// use libtorch's double backward.</remarks>
internal sealed class Convolutions : IDisposable
{
    private readonly List<Action> _unhook = [];
    private ExceptionDispatchInfo? _failure; // in our backward pass: exceptions must not cross autograd's native frames
    private readonly List<Tensor> _held = []; // tensors that backward passes need: a forward() may dispose its intermediates

    /// <param name="model">Not owned. May be null.</param>
    public Convolutions(nn.Module? model)
    {
        foreach (var layer in model?.modules().Append(model).OfType<Conv2d>().Distinct() ?? [])
            if (layer is { padding_mode: PaddingModes.Zeros, padding_type: null, padding.Length: 2 })
                _unhook.Add(layer.register_forward_hook((_, x, y) => y.requires_grad && x.dim() == 4 ? Replace(layer, x, y) : y).remove);
    }

    /// <summary>Disposes the tensors that the backward passes of the batch needed.</summary>
    public void Release()
    {
        foreach (var t in _held)
            t.Dispose();
        _held.Clear();
    }

    /// <summary>Throws the exception of our backward passes, if any. The derivatives since then must not be used.</summary>
    public void ThrowFailure() => _failure?.Throw();

    public void Dispose()
    {
        foreach (var remove in _unhook)
            remove();
        _unhook.Clear();
        Release();
    }

    private Tensor?[] Guarded(int count, Func<Tensor?[]> backward)
    {
        try
        {
            return backward();
        }
        catch (Exception e)
        {
            _failure ??= ExceptionDispatchInfo.Capture(e);
            return new Tensor?[count];
        }
    }

    private Tensor Replace(Conv2d layer, Tensor x, Tensor y)
    {
        using var scope = NewDisposeScope();
        var (w, b) = (layer.weight!, layer.bias);
        Tensor xLeaf = Leaf(x),
            wLeaf = Leaf(w),
            own = Forward(layer, xLeaf, wLeaf, b?.detach()); // a graph of this layer only
        if (!own.detach().equal(y.detach()).all().ToBoolean())
            return y;
        Tensor[] held = [xLeaf, wLeaf, own];
        scope.Detach(held);
        _held.AddRange(held);
        return CustomBackward
            .Apply(
                y.detach(),
                [x, w, .. b is null ? (Tensor[])[] : [b]],
                g =>
                    Guarded(
                        b is null ? 2 : 3,
                        () =>
                        {
                            Tensor[] leaves = [.. new[] { xLeaf, wLeaf }.Where(t => t.requires_grad)];
                            var gradients = new Queue<Tensor?>(ReverseMode.Derivative([own], leaves, [g.detach()], again: true));
                            var gx = xLeaf.requires_grad ? gradients.Dequeue() : null;
                            var gw = wLeaf.requires_grad ? gradients.Dequeue() : null;
                            if (g.requires_grad && is_grad_enabled())
                            {
                                var cotangent = g.alias();
                                if (gx is not null)
                                    gx = CustomBackward.Apply(gx, [cotangent], c => Guarded(1, () => [Product(c, wLeaf)]));
                                if (gw is not null)
                                    gw = CustomBackward.Apply(gw, [cotangent], v => Guarded(1, () => [Product(xLeaf, v)]));
                            }
                            return [gx, gw, .. b is null ? (Tensor?[])[] : [b.requires_grad ? g.sum([0, 2, 3]) : null]];
                        }
                    )
            )
            .MoveToOuterDisposeScope();

        static Tensor Leaf(Tensor t) => t.detach().requires_grad_(t.requires_grad);

        Tensor Product(Tensor image, Tensor kernel)
        {
            using var off = no_grad();
            return Forward(layer, image, kernel, null);
        }
    }

    private static Tensor Forward(Conv2d layer, Tensor x, Tensor w, Tensor? b) =>
        nn.functional.conv2d(x, w, b, layer.stride, layer.padding, layer.dilation, layer.groups);

    /// <summary>A known value with a custom backward pass.</summary>
    private sealed class CustomBackward : autograd.SingleTensorFunction<CustomBackward>
    {
        public static Tensor Apply(Tensor value, Tensor[] inputs, Func<Tensor, Tensor?[]> backward) => apply([value, backward, .. inputs]);

        public override string Name => nameof(CustomBackward);

        public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
        {
            var value = (Tensor)vars[0];
            ctx.save_data("backward", vars[1]);
            ctx.mark_dirty([value]); // otherwise it is a view, and in-place activations after it fail
            return value;
        }

        public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor gradient)
        {
            var gradients = HeldGradients.Hold([
                null!,
                null!,
                .. ((Func<Tensor, Tensor?[]>)ctx.get_data("backward"))(gradient).Select(t => t!),
            ]);
            GC.KeepAlive(gradient);
            return gradients;
        }
    }
}
