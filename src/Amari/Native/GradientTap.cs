namespace Amari.Native;

/// <summary>Identity whose backward pass shows the gradient to a callback: <c>apply(tensor, probe, (Action&lt;Tensor&gt;)callback)</c>.</summary>
/// <remarks>The probe is any tensor that needs a gradient: with it the tap is in the graph whether the tensor needs one or not.</remarks>
internal sealed class GradientTap : autograd.SingleTensorFunction<GradientTap>
{
    /// <inheritdoc/>
    public override string Name => nameof(GradientTap);

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var s = (Tensor)vars[0];
        ctx.save_data("callback", vars[2]);
        ctx.mark_dirty([s]);
        return s;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor gradient)
    {
        ((Action<Tensor>)ctx.get_data("callback"))(gradient);
        return HeldGradients.Hold([gradient, null!, null!]);
    }
}
