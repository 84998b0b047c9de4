namespace Amari;

/// <summary>Which layer kind gets which block; every other parameter gets the reason why it has none.</summary>
internal static class BlockCatalog
{
    /// <summary>The block of a layer, or why there is none.</summary>
    /// <param name="name">The layer's name in the model.</param>
    /// <param name="layer">Not owned.</param>
    /// <param name="isChosen">Whether a parameter is meant.</param>
    private static (KroneckerBlock? Block, string Reason) For(string name, nn.Module layer, Func<Parameter?, bool> isChosen) => layer switch
    {
        Linear linear when isChosen(linear.weight) => (new LinearBlock(name, linear, isChosen(linear.bias)), "linear layer"),
        Conv2d conv when isChosen(conv.weight) => (new Conv2dBlock(name, conv, isChosen(conv.bias)), "2-D convolution"),
        Linear { weight.requires_grad: false } or Conv2d { weight.requires_grad: false } => (null, "the layer's weight is frozen"),
        Linear or Conv2d => (null, "the layer's weight is left out"),
        _ => (null, $"no K-FAC block for a parameter of {layer.GetType().Name}"),
    };

    /// <summary>The blocks of a model's layers, and a row for every chosen parameter, by name: its block, or the reason why it has none.</summary>
    /// <param name="model">Not owned.</param>
    /// <param name="parameters">The chosen parameters, each once.</param>
    /// <param name="otherwise">What stands for a block where there is none.</param>
    public static (List<(KroneckerBlock Block, nn.Module<Tensor, Tensor> Layer)> Layers, Dictionary<string, CoverageRow> Rows) Match(
        nn.Module model, IReadOnlyList<(string Name, Parameter Parameter)> parameters, string otherwise)
    {
        var byHandle = parameters.ToDictionary(p => p.Parameter.Handle, p => p.Name);
        var modules = model.named_modules().Select(m => (m.name, m.module)).Append((name: "", module: model))
            .DistinctBy(m => m.module, ReferenceEqualityComparer.Instance).ToList();
        var owners = modules.SelectMany(m => m.module.named_parameters(recurse: false).Select(p => (p.parameter.Handle, m.name)))
            .ToLookup(p => p.Handle, p => p.name);
        var rows = new Dictionary<string, CoverageRow>();
        var layers = new List<(KroneckerBlock, nn.Module<Tensor, Tensor>)>();
        foreach (var (name, module) in modules)
        {
            var own = module.named_parameters(recurse: false).Select(p => p.parameter.Handle).Where(byHandle.ContainsKey).ToList();
            if (own.Count == 0) continue;
            var (block, reason) = For(name, module, p => p is { requires_grad: true } && byHandle.ContainsKey(p.Handle));
            if (block is not null && own.Find(h => owners[h].Count() > 1) is var tied and not 0)
            {
                reason = $"tied: used by the layers {string.Join(" and ", owners[tied].Order(StringComparer.Ordinal))}";
                block.Dispose();
                block = null;
            }
            foreach (nint handle in own)
                rows[byHandle[handle]] = new(byHandle[handle], block?.Kind ?? otherwise, reason);
            if (block is not null) layers.Add((block, (nn.Module<Tensor, Tensor>)module));
        }
        foreach (var (name, _) in parameters) rows.TryAdd(name, new(name, otherwise, "a parameter of no layer"));
        return (layers, rows);
    }
}
