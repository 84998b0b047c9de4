using Amari.Native;

namespace Amari.Curvature;

/// <summary>Detects inputs that are one example without a batch dimension: the model's outputs would be taken for examples.</summary>
internal static class Unbatched
{
    /// <summary>The model's output.</summary>
    /// <exception cref="ArgumentException">A layer of the model took the inputs for one example, or the model cannot take them.</exception>
    public static Tensor Refuse(nn.Module<Tensor, Tensor> model, Tensor inputs)
    {
        long dimensions = inputs.dim();
        var layers = model
            .modules()
            .Append(model)
            .OfType<nn.Module<Tensor, Tensor>>()
            .Where(m => ExampleDimensions(m) == dimensions)
            .ToList();
        if (layers.Count == 0 || !inputs.is_floating_point())
            return ForwardFailure.Call(model, inputs);
        bool unbatched = false;
        string shape = string.Join(", ", inputs.shape);
        var hooks = layers.ConvertAll(l =>
            l.register_forward_pre_hook(
                (_, x) =>
                {
                    unbatched |= x.shape.AsSpan().SequenceEqual(inputs.shape);
                    return x;
                }
            )
        );
        try
        {
            var output = ForwardFailure.Call(model, inputs);
            return !unbatched
                ? output
                : throw new ArgumentException(
                    $"The inputs are one example, [{shape}], without a batch dimension: pass [1, {shape}], and targets likewise.",
                    nameof(inputs)
                );
        }
        finally
        {
            foreach (var hook in hooks)
                hook.remove();
        }
    }

    private static int ExampleDimensions(nn.Module layer) =>
        layer switch
        {
            Linear => 1,
            Conv1d or ConvTranspose1d => 2,
            Conv2d or ConvTranspose2d => 3,
            Conv3d or ConvTranspose3d => 4,
            _ => 0,
        };
}
