using Amari.Native;

namespace Amari.Curvature;

/// <summary>Chosen parameters of a model as one flat vector w in R^d, with conversions in both directions.</summary>
/// <remarks>A tensor with several names (tied weights) is included once. Parameters are in the model's order, row-major.</remarks>
public sealed class ParameterLayout
{
    private readonly long[] _offsets;

    /// <param name="parameters">At least one, all of the same real floating-point dtype and device. Not owned.</param>
    /// <exception cref="ArgumentException">There is none, or dtypes or devices differ.</exception>
    public ParameterLayout(IEnumerable<(string Name, Parameter Parameter)> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        Parameters = [.. parameters.DistinctBy(p => p.Parameter.Handle)];
        if (Parameters.Count == 0)
            throw new ArgumentException("There is no trainable parameter; the curvature needs at least one.", nameof(parameters));
        foreach (var (name, parameter) in Parameters)
            Require.Real(name, parameter);
        (Type, Device) = (Parameters[0].Parameter.dtype, Parameters[0].Parameter.device);
        if (Parameters.FirstOrDefault(p => p.Parameter.dtype != Type || !p.Parameter.IsOn(Device)) is { Name: not null } other)
            throw new ArgumentException(
                $"{other.Name} is {other.Parameter.dtype} on {other.Parameter.device}, {Parameters[0].Name} is {Type} on {Device}; all "
                    + "must have the same dtype and device.",
                nameof(parameters)
            );
        Shapes = [.. Parameters.Select(p => p.Parameter.shape)];
        _offsets = new long[Parameters.Count + 1];
        for (int i = 0; i < Parameters.Count; i++)
            _offsets[i + 1] = _offsets[i] + Parameters[i].Parameter.numel();
        if (Dimension == 0)
            throw new ArgumentException("The trainable parameters have no elements, so there is nothing to train.", nameof(parameters));
    }

    /// <summary>The trainable parameters of a model, optionally filtered by name.</summary>
    public static ParameterLayout Of(nn.Module model, Func<string, bool>? filter = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        return new(model.named_parameters().Where(p => p.parameter.requires_grad && filter?.Invoke(p.name) != false));
    }

    /// <summary>The parameters with their names.</summary>
    public IReadOnlyList<(string Name, Parameter Parameter)> Parameters { get; }

    /// <summary>Their shapes.</summary>
    public IReadOnlyList<long[]> Shapes { get; }

    /// <summary>d: the total number of elements.</summary>
    public long Dimension => _offsets[^1];

    /// <summary>Their dtype.</summary>
    public ScalarType Type { get; }

    /// <summary>Their device.</summary>
    public Device Device { get; }

    /// <summary>The index in the vector at which the i-th parameter starts.</summary>
    public long Offset(int i) => _offsets[i];

    /// <summary>Tensors with the shapes of the parameters → one vector [d]; a missing one counts as zeros.</summary>
    public Tensor Flatten(IReadOnlyList<Tensor?> tensors)
    {
        ArgumentNullException.ThrowIfNull(tensors);
        using var scope = NewDisposeScope();
        Tensor[] parts =
        [
            .. tensors.Select(
                (t, i) =>
                    t is null
                        ? zeros(_offsets[i + 1] - _offsets[i], dtype: Type, device: Device)
                        : (t.is_sparse ? t.to_dense() : t).reshape(-1)
            ),
        ];
        // TorchSharp's cat of one tensor returns that tensor.
        return (parts.Length == 1 ? parts[0].clone() : cat(parts)).MoveToOuterDisposeScope();
    }

    /// <summary>A vector [d] → views of it with the shapes of the parameters.</summary>
    public IReadOnlyList<Tensor> Split(Tensor v) =>
        [.. Shapes.Select((shape, i) => v.narrow(0, _offsets[i], _offsets[i + 1] - _offsets[i]).view(shape))];

    /// <summary>A copy of the parameters' values, [d].</summary>
    public Tensor Read()
    {
        using var off = no_grad();
        return Flatten([.. Parameters.Select(p => p.Parameter)]);
    }

    /// <summary>w ← v.</summary>
    public void Write(Tensor v)
    {
        RequireMemory();
        using var off = no_grad();
        using var scope = NewDisposeScope();
        foreach (var ((_, w), part) in Parameters.Zip(Split(v)))
            w.copy_(part);
    }

    /// <summary>w ← w + α v.</summary>
    public void Add(Tensor v, double alpha = 1)
    {
        RequireMemory();
        using var off = no_grad();
        using var scope = NewDisposeScope();
        foreach (var ((_, w), part) in Parameters.Zip(Split(v)))
            w.add_(part, alpha: alpha);
    }

    /// <summary>The tensors with respect to which autograd differentiates.</summary>
    internal List<Tensor> Tensors => [.. Parameters.Select(p => (Tensor)p.Parameter)];

    /// <summary>Throws one sentence when a parameter cannot be written to.</summary>
    internal void RequireMemory()
    {
        foreach (var (name, w) in Parameters)
            Require.Separate(name, w);
    }

    /// <summary>Throws one sentence when a derivative with respect to a parameter cannot be taken.</summary>
    internal void RequireGradients()
    {
        foreach (var (name, w) in Parameters)
        {
            if (w.IsInvalid)
                throw new InvalidOperationException(
                    $"The parameter {name} was disposed, for example by module.to(...): create the layout after the module has moved."
                );
            if (!w.requires_grad)
                throw new InvalidOperationException(
                    $"The parameter {name} is frozen (requires_grad is false): exclude it from the layout or set requires_grad to true."
                );
        }
    }
}
