namespace Amari.Distributed;

/// <summary>Gradients of several parameters in one contiguous message.</summary>
internal sealed class GradientBucket : IDisposable
{
    private readonly Tensor _flat;
    private readonly long[] _starts,
        _counts;
    private PendingReduction? _pending;

    private GradientBucket(List<Parameter> parameters)
    {
        Parameters = parameters;
        _counts = [.. parameters.Select(p => p.numel())];
        _starts = [.. _counts.Select((_, i) => _counts.AsSpan(0, i).ToArray().Sum())];
        _flat = zeros(_counts.Sum(), dtype: parameters[0].dtype).DetachFromDisposeScope();
    }

    public IReadOnlyList<Parameter> Parameters { get; }

    /// <summary>Buckets in the order of the parameters, each with one element type.</summary>
    public static List<GradientBucket> Of(IEnumerable<Parameter> parameters, int bytes)
    {
        var buckets = new List<GradientBucket>();
        var current = new List<Parameter>();
        long filled = 0;
        foreach (var p in parameters)
        {
            long size = p.numel() * p.ElementSize;
            if (current.Count > 0 && (current[0].dtype != p.dtype || filled + size > bytes))
                Close();
            current.Add(p);
            filled += size;
        }
        if (current.Count > 0)
            Close();
        return buckets;

        void Close()
        {
            buckets.Add(new([.. current]));
            current.Clear();
            filled = 0;
        }
    }

    /// <summary>Packs w g and starts the sum over ranks. A missing gradient is zero.</summary>
    public void Send(Communicator communicator, double weight)
    {
        using var scope = NewDisposeScope();
        for (int i = 0; i < Parameters.Count; i++)
        {
            var place = _flat.narrow(0, _starts[i], _counts[i]);
            var gradient = Parameters[i].grad;
            if (gradient is null)
                place.zero_();
            else
                place.copy_((gradient.is_sparse ? gradient.to_dense() : gradient).reshape(-1));
        }
        if (weight != 1)
            _flat.mul_(weight);
        _pending = communicator.BeginAllReduce(_flat);
    }

    /// <summary>Lets the message progress.</summary>
    public void Move() => _pending?.Test();

    /// <summary>Waits, then writes scale × sum to the gradients that exist on some rank.</summary>
    public void Receive(double scale, ReadOnlySpan<double> present)
    {
        using var scope = NewDisposeScope();
        _pending!.Wait();
        _pending = null;
        if (scale != 1)
            _flat.mul_(scale);
        for (int i = 0; i < Parameters.Count; i++)
        {
            if (present[i] == 0)
                continue;
            var (p, sum) = (Parameters[i], _flat.narrow(0, _starts[i], _counts[i]).view(Parameters[i].shape));
            if (p.grad is { is_sparse: false } gradient)
                gradient.copy_(sum);
            else
                p.grad = sum.clone().DetachFromDisposeScope();
        }
    }

    public void Dispose()
    {
        _pending?.Wait();
        _flat.Dispose();
    }
}
