namespace Amari.Native;

/// <summary>Puts the gradients of parameters aside, and back when it is disposed: a backward pass of ours asks for none, but one that a
/// model makes inside it, as where layers are
/// computed again to save memory, writes them.</summary>
internal sealed class KeptGradients : IDisposable
{
    private readonly List<(Parameter Parameter, Tensor? Gradient)> _kept = [];

    /// <param name="parameters">Of the model.</param>
    public KeptGradients(IEnumerable<Parameter> parameters)
    {
        foreach (var p in parameters)
        {
            Tensor? gradient = LibTorch.Gradient(p.Handle) == 0 ? null : p.grad;
            if (gradient is not null)
                p.grad = null;
            _kept.Add((p, gradient));
        }
    }

    public void Dispose()
    {
        foreach (var (p, gradient) in _kept)
        {
            if (gradient is not null || LibTorch.Gradient(p.Handle) != 0)
                p.grad = gradient;
            gradient?.Dispose();
        }
    }
}
