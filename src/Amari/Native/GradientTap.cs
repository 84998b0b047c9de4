namespace Amari.Native;

/// <summary>Identity whose backward pass shows the gradient to a callback.</summary>
/// <remarks>What it returns has the elements of its input, and counts changes of them with it: nothing is copied, an operation that saved
/// the input or the output can still be propagated back,
/// and one in place may follow. (Returned itself and marked as changed, the input would spoil what saved it: LogSoftmax, Tanh and others
/// save their output.)</remarks>
internal sealed class GradientTap : autograd.SingleTensorFunction<GradientTap>
{
    private sealed record Call(Tensor Alias, Action<Tensor> Callback);

    /// <inheritdoc/>
    public override string Name => nameof(GradientTap);

    /// <summary>The identity of a tensor.</summary>
    /// <param name="tensor">Not owned.</param>
    /// <param name="probe">Any tensor that needs a gradient: with it the tap is in the graph whether the tensor needs one or not.</param>
    /// <param name="callback">Shown the gradient, which it does not own; it must not throw.</param>
    public static Tensor On(Tensor tensor, Tensor probe, Action<Tensor> callback)
    {
        using var alias = tensor.detach(); // outlives the native call, which TorchSharp gives no more than its handle
        var result = apply(tensor, probe, new Call(alias, callback));
        GC.KeepAlive(tensor);
        return result;
    }

    /// <inheritdoc/>
    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var call = (Call)vars[2];
        ctx.save_data("callback", call.Callback);
        return call.Alias;
    }

    /// <inheritdoc/>
    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor gradient)
    {
        ((Action<Tensor>)ctx.get_data("callback"))(gradient);
        return HeldGradients.Hold([gradient, null!, null!]);
    }
}
