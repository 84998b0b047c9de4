using Amari.Native;

namespace Amari.Curvature;

/// <summary>The parameters and buffers of a model at one time: which tensors they are, their versions and their values.</summary>
internal sealed class ModelState : IDisposable
{
    // An error in this text would end the process, and so would a missing end of line.
    private static readonly Lazy<jit.CompilationUnit> Unit = new(() =>
        jit.compile(
            """
            def versions(tensors: List[Tensor]) -> Tensor:
                found: List[int] = []
                for t in tensors:
                    found.append(t._version())
                return torch.tensor(found)

            """
        )
    );

    private readonly nn.Module _model;
    private readonly ParameterLayout _layout;
    private readonly Tensor[] _tensors,
        _values;
    private readonly Tensor _versions;

    /// <param name="model">Not owned.</param>
    /// <param name="layout">Parameters that may not be the model's. Not owned.</param>
    public ModelState(nn.Module model, ParameterLayout layout)
    {
        (_model, _layout) = (model, layout);
        using var off = no_grad();
        _tensors = Tensors();
        _values = [.. _tensors.Select(t => t.detach().clone().DetachFromDisposeScope())];
        _versions = Versions(_tensors).DetachFromDisposeScope();
        Bytes = _values.Sum(t => t.numel() * t.element_size());
    }

    /// <summary>The memory of the copied values.</summary>
    public long Bytes { get; }

    /// <summary>Whether the model is still as it was.</summary>
    public bool IsCurrent()
    {
        using var scope = NewDisposeScope();
        var now = Tensors();
        return now.Length == _tensors.Length
            && now.Zip(_tensors).All(t => ReferenceEquals(t.First, t.Second) && !t.First.IsInvalid)
            && Versions(now).Equals(_versions)
            && now.Zip(_values).All(t => t.First.Equals(t.Second));
    }

    private Tensor[] Tensors() => [.. _layout.Tensors.Concat(_model.parameters()).Concat(_model.buffers()).DistinctBy(t => t.Handle)];

    private static Tensor Versions(Tensor[] tensors)
    {
        var versions = (Tensor)Unit.Value.invoke("versions", [tensors]);
        GC.KeepAlive(tensors); // TorchSharp passes no more than their handles
        return versions;
    }

    public void Dispose()
    {
        foreach (var value in _values)
            value.Dispose();
        _versions.Dispose();
    }
}
