namespace Amari.Workloads;

/// <summary>Draws the weights of a <see cref="WeightInit"/> from torch's generator, layer by layer in the model's order.</summary>
/// <remarks>A unit is an output of a linear layer or an output channel of a convolution; the weights of a unit are those of one position.
/// Fan in and fan out are PyTorch's: the second and the first dimension of the weight times the size of the kernel, also for transposed
/// convolutions.</remarks>
internal static class WeightInits
{
    private const long Connections = 15; // nonzero weights per unit in a sparse initialisation

    /// <summary>The name on the command line, in checkpoints and in results.</summary>
    public static string NameOf(WeightInit start) => start.ToString().ToLowerInvariant();

    /// <summary>Parses a name; <c>default</c> and <c>xavier</c> are aliases.</summary>
    /// <exception cref="ArgumentException">The name is unknown. The message lists the names.</exception>
    public static WeightInit Parse(string name) =>
        name.ToLowerInvariant() switch
        {
            "default" => WeightInit.Workload,
            "xavier" => WeightInit.Glorot,
            var n => Enum.GetValues<WeightInit>().Cast<WeightInit?>().FirstOrDefault(s => NameOf(s!.Value) == n)
                ?? throw new ArgumentException(
                    $"The weight initialisation is '{name}'; it must be one of "
                        + $"{string.Join(", ", Enum.GetValues<WeightInit>().Select(NameOf))}."
                ),
        };

    /// <summary>Initialises a model's linear layers and convolutions again. <see cref="WeightInit.Workload"/> draws nothing.</summary>
    public static void Apply(WeightInit start, nn.Module model)
    {
        if (start == WeightInit.Workload)
            return;
        using var scope = NewDisposeScope();
        foreach (var layer in model.modules().Append(model).Distinct())
            if (layer is Linear linear)
                Draw(start, linear.weight!, linear.bias, [linear.weight!]);
            else if (layer is Convolution conv)
                Draw(start, conv.weight!, conv.bias, Units(conv));
    }

    /// <summary>The sparse initialisation of weights [units, inputs..], in place.</summary>
    public static void Sparse(Tensor units)
    {
        using var off = no_grad();
        using var scope = NewDisposeScope();
        long inputs = units.numel() / units.shape[0],
            some = Math.Min(Connections, inputs);
        var index = stack([.. Enumerable.Range(0, (int)units.shape[0]).Select(_ => randperm(inputs).narrow(0, 0, some))]);
        var drawn = zeros(units.shape[0], inputs, dtype: units.dtype);
        units.copy_(drawn.scatter_(1, index, randn(units.shape[0], some).to_type(units.dtype)).view(units.shape));
    }

    private static void Draw(WeightInit start, Parameter weight, Parameter? bias, IReadOnlyList<Tensor> units)
    {
        using var off = no_grad();
        if (start == WeightInit.Sparse)
            foreach (var some in units)
                Sparse(some);
        else if (start == WeightInit.Glorot) // xavier_normal_ of TorchSharp 0.107 draws from a uniform distribution
            weight.normal_(0, Math.Sqrt(2.0 / (weight.numel() / weight.shape[0] + weight.numel() / weight.shape[1])));
        else
            nn.init.kaiming_uniform_(weight, a: Math.Sqrt(5));
        if (bias is null)
            return;
        double bound = start == WeightInit.PyTorch ? 1 / Math.Sqrt((double)weight.numel() / weight.shape[0]) : 0;
        if (bound > 0)
            nn.init.uniform_(bias, -bound, bound);
        else
            nn.init.zeros_(bias);
    }

    /// <summary>Views of a convolution's weights with the output channel first. The weight of a transposed convolution is [in, out/groups,
    /// k..], one view per group.</summary>
    private static IReadOnlyList<Tensor> Units(Convolution conv) =>
        conv.transposed ? [.. conv.weight!.chunk(conv.groups, 0).Select(group => group.transpose(0, 1))] : [conv.weight!];
}
