namespace Amari.Partitioned;

/// <summary>The rules by which <see cref="PartitionedOptimizer"/> sends a parameter to the matrix method or to AdamW.</summary>
internal sealed class Routing
{
    private readonly HashSet<nint> _embeddings = [];
    private readonly nint _output; // the last matrix that is no embedding
    private readonly Dictionary<nint, nn.Module> _owners = [];

    /// <param name="model">Not owned.</param>
    public Routing(nn.Module model)
    {
        foreach (var module in model.named_modules().Select(m => m.module).Append(model))
        foreach (var (_, p) in module.named_parameters(recurse: false))
        {
            _owners.TryAdd(p.Handle, module);
            if (module is Embedding or EmbeddingBag)
                _embeddings.Add(p.Handle);
        }
        // parameters come in the order of layers, whatever their depth; modules do not
        foreach (var (_, p) in model.named_parameters())
            if (p.dim() >= 2 && p.NumberOfElements > 0 && !_embeddings.Contains(p.Handle))
                _output = p.Handle;
    }

    /// <summary>The rows of a group: its parameters that go to AdamW have it as their block.</summary>
    /// <param name="model">Not owned.</param>
    /// <param name="parameters">The group's.</param>
    /// <param name="options">The group's.</param>
    public IReadOnlyList<CoverageRow> Rows(
        nn.Module model,
        IReadOnlyList<(string Name, Parameter Parameter)> parameters,
        PartitionedOptimizer.Options options
    )
    {
        string method = options.MatrixOptimizer.GetType().DeclaringType!.Name;
        bool output = options.OutputLayer ?? options.MatrixOptimizer is not Muon.Options;
        var rows = parameters.ToDictionary(p => p.Name, p => Row(p.Name, p.Parameter));
        if (options.MatrixOptimizer is Kfac.Options)
        {
            // a bias goes where the matrix of its layer goes; a layer without a matrix, or without a block, to AdamW
            var routed = parameters
                .Where(p => rows[p.Name].Block == method)
                .Select(p => _owners.GetValueOrDefault(p.Parameter.Handle))
                .OfType<nn.Module>()
                .ToHashSet(ReferenceEqualityComparer.Instance);
            var chosen = parameters
                .Where(p =>
                    rows[p.Name].Block == method
                    || (p.Parameter.dim() < 2 && _owners.TryGetValue(p.Parameter.Handle, out var owner) && routed.Contains(owner))
                )
                .ToList();
            var (layers, blocks) = BlockCatalog.Match(model, chosen, nameof(AdamW));
            foreach (var block in layers.Select(l => l.Block).Distinct())
                block.Dispose();
            foreach (var (name, _) in chosen)
                rows[name] = blocks[name];
        }
        return [.. parameters.Select(p => rows[p.Name])];

        CoverageRow Row(string name, Parameter p)
        {
            long rows = p.dim() < 2 ? 0 : p.shape[0],
                columns = rows == 0 ? 0 : p.NumberOfElements / rows,
                longest = Math.Max(rows, columns);
            string? reason =
                options.FallbackOnly ? "its group says so"
                : p.dim() < 2 || longest == 0 ? "not a matrix"
                : _embeddings.Contains(p.Handle) && !options.Embeddings ? "an embedding"
                : p.Handle == _output && !output ? "the output layer"
                : longest > options.MaxDimension ? FormattableString.Invariant($"a side of {longest} is longer than MaxDimension")
                : null;
            return reason is null
                ? new(name, method, FormattableString.Invariant($"a matrix [{rows}, {columns}]"))
                : new(name, nameof(AdamW), reason);
        }
    }
}
