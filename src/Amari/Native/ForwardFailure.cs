using System.Runtime.InteropServices;

namespace Amari.Native;

/// <summary>A model's forward pass, with one sentence for what libtorch says of one that it cannot take.</summary>
internal static class ForwardFailure
{
    /// <summary>The model's output.</summary>
    /// <exception cref="ArgumentException">The model cannot take the inputs: of another type than its parameters, or of
    /// another shape.</exception>
    /// <exception cref="InvalidOperationException">It returned null.</exception>
    public static Tensor Call(nn.Module<Tensor, Tensor> model, Tensor inputs)
    {
        try
        {
            return model.call(inputs)
                ?? throw new InvalidOperationException($"The model {model.GetName()} returned null: its forward must return a tensor.");
        }
        catch (ExternalException e)
        {
            throw new ArgumentException(Sentence(model, inputs, DerivativeFailure.Reason(e.Message)), nameof(inputs), e);
        }
    }

    private static string Sentence(nn.Module model, Tensor inputs, string reason)
    {
        ScalarType[] types = [.. model.parameters().Where(p => p.is_floating_point()).Select(p => p.dtype).Distinct()];
        return inputs.is_floating_point() && types.Length > 0 && !types.Contains(inputs.dtype)
            ? $"The inputs are {inputs.dtype} where the model's parameters are {types[0]}: "
                + $"convert the inputs, by to_type(ScalarType.{types[0]}), or the model."
            : $"The model cannot take inputs of {inputs.dtype} [{string.Join(", ", inputs.shape)}]: {reason.TrimEnd('.')}.";
    }
}
