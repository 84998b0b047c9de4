using Amari.Native;

namespace Amari.Curvature;

/// <summary>The graphs of an objective's batches, kept between products as far as they fit into a budget.</summary>
/// <remarks>A graph holds the activations of its batch. It is valid as long as the parameters and buffers of the model have the versions
/// and the values with which it was made: fused kernels write values without a new version, and autograd refuses old values with a new
/// version. A batch whose forward pass draws random numbers is not kept, because each product draws again.</remarks>
/// <param name="objective">Not owned.</param>
/// <param name="budget">In bytes; 0 keeps none.</param>
internal sealed class BatchGraphs(Objective objective, long budget) : IDisposable
{
    /// <param name="Batch">With its output.</param>
    /// <param name="Products">One for each block of parameters.</param>
    /// <param name="Tensors">Of the graph, owned.</param>
    private sealed record Graph(Objective.Batch Batch, List<BatchProduct?> Products, List<IDisposable> Tensors)
    {
        /// <summary>Of the tensors that are known: not what autograd saved.</summary>
        public long Bytes => Tensors.OfType<Tensor>().Sum(t => t.numel() * t.element_size());

        public void Dispose() => Tensors.ForEach(t => t.Dispose());
    }

    private readonly SortedDictionary<int, Graph> _graphs = [];
    private IReadOnlyList<int[]>? _blocks;
    private ModelState? _state; // of the model when the graphs were made
    private bool _whole, // whether every batch is kept
        _full; // whether no further batch is
    private Graph? _candidate;
    private long _before; // resident bytes of the process without it
    private Tensor? _draws; // the state of the random numbers before it

    /// <summary>The derivatives of convolutions in these graphs.</summary>
    public Convolutions Convolutions { get; } = new(objective.Model);

    /// <summary>How many batches are kept.</summary>
    public int Count => _graphs.Count;

    /// <summary>The memory of the graphs, as far as the process grew by it: holes that earlier graphs left in the heap do not
    /// count.</summary>
    public long Bytes { get; private set; }

    /// <summary>Why a batch is not kept; null if all are.</summary>
    public string? Fallback { get; private set; }

    /// <summary>The batches, if each is kept: the data need not be walked again. Null otherwise.</summary>
    public IEnumerable<Objective.Batch>? Whole => _whole ? _graphs.Values.Select(g => g.Batch) : null;

    /// <summary>Discards graphs that are not of these blocks of parameters, or not of the model as it is now.</summary>
    public void Require(IReadOnlyList<int[]> blocks)
    {
        Discard(ref _candidate);
        if (budget == 0)
            return;
        if (_graphs.Count > 0 && ReferenceEquals(blocks, _blocks) && _state!.IsCurrent())
            return;
        Clear();
        _blocks = blocks;
        Fallback =
            objective.Model is null ? "a plain function is evaluated for each product, because it may depend on more than its parameters"
            : objective.Parameters.Device.type != DeviceType.CPU
                ? $"graphs are made for each product on {objective.Parameters.Device}, because their memory is only measured on the CPU"
            : null;
        _full = Fallback is not null;
        if (!_full)
            _state = new(objective.Model!, objective.Parameters);
    }

    /// <summary>The batch as it is kept, or as it may come to be; null if it is not.</summary>
    public Objective.Batch? Kept(Objective.Batch batch)
    {
        if (_graphs.TryGetValue(batch.Index, out var graph))
            return graph.Batch;
        if (budget == 0 || _full)
            return null;
        _before = Environment.WorkingSet;
        _draws = get_rng_state().DetachFromDisposeScope();
        List<IDisposable> tensors = [];
        var own = batch.Outliving(tensors.Add);
        _candidate = new(own, [], tensors);
        return own;
    }

    /// <summary>The product with a block of a batch's curvature.</summary>
    /// <param name="batch">The batch.</param>
    /// <param name="block">The number of the block, in turn.</param>
    /// <param name="make">Makes it, with its graph in the current dispose scope.</param>
    public BatchProduct? Product(Objective.Batch batch, int block, Func<BatchProduct?> make)
    {
        if (_graphs.TryGetValue(batch.Index, out var graph))
            return graph.Products[block];
        if (_candidate is not { } candidate)
            return make();
        using var scope = NewDisposeScope();
        candidate.Products.Add(make());
        var made = scope.DisposablesView.ToList();
        scope.Detach(made);
        candidate.Tensors.AddRange(made);
        return candidate.Products[^1];
    }

    /// <summary>Keeps the last batch, if it fits. Its dispose scope has ended.</summary>
    public void Settle()
    {
        if (_candidate is not { } candidate)
            return;
        using var draws = get_rng_state();
        // What the process grows by is what counts, and asking the allocator instead takes milliseconds in a long process.
        long bytes = Math.Max(candidate.Bytes, Environment.WorkingSet - _before);
        if (!draws.Equals(_draws!))
            Fallback = "graphs are made for each product, because the forward pass draws random numbers";
        else if (Bytes + bytes + _state!.Bytes > budget)
        {
            Fallback =
                $"graphs of some batches are made for each product, because they exceed the {nameof(Objective.GraphBudget)} of "
                + $"{budget >> 20} MiB";
            Warnings.Once($"{Fallback}: raise it if there is more memory.");
        }
        else
        {
            Bytes += bytes;
            _graphs.Add(candidate.Batch.Index, candidate);
            _candidate = null;
        }
        _full |= _candidate is not null;
        Discard(ref _candidate);
    }

    /// <summary>The walk has visited all batches.</summary>
    public void Complete() => _whole = budget > 0 && !_full && _graphs.Count > 0;

    private void Discard(ref Graph? graph)
    {
        graph?.Dispose();
        _draws?.Dispose();
        (graph, _draws) = (null, null);
    }

    private void Clear()
    {
        foreach (var graph in _graphs.Values)
            graph.Dispose();
        _graphs.Clear();
        _state?.Dispose();
        (_state, _whole, Bytes) = (null, false, 0);
    }

    public void Dispose()
    {
        Discard(ref _candidate);
        Clear();
        Convolutions.Dispose();
    }
}
