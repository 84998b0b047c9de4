using System.Diagnostics;
using Amari.Native;

namespace Amari.Distributed;

/// <summary>Data-parallel training: every rank has the whole model and a part of each batch, and gradients are averaged before the
/// step.</summary>
/// <remarks><code>
/// g = Σ_r n_r g_r / Σ_r n_r         n_r: terms in rank r's loss, which is their mean:
///                                  g is the gradient of the mean over the whole batch
/// </code>
/// Gradients of one element type are sent in buckets of a few MiB, the later layers' first. Packing, sending and unpacking of successive
/// buckets overlap; with <see cref="Options.Overlap"/> buckets are sent during the backward pass. A parameter without a gradient on some
/// ranks counts as zero there. If it has none on any rank, it keeps none. Buffers (BatchNorm's statistics) differ between ranks: see
/// <see cref="AverageBuffers"/>.</remarks>
public sealed class DataParallel : IDisposable
{
    private readonly nn.Module _model;
    private readonly Options _options;
    private readonly Communicator _communicator;
    private readonly BackwardOrder? _order;
    private List<GradientBucket> _buckets = [];
    private List<nint> _handles = [];
    private int _sent;

    /// <summary>How gradients are communicated.</summary>
    public sealed record Options
    {
        /// <summary>Maximum bytes of a bucket, ≥ 1. A larger gradient has its own bucket.</summary>
        public int BucketBytes
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 4 << 20;

        /// <summary>Whether each rank's loss is the mean or the sum over its terms. Gradients of sums are added.</summary>
        public LossReduction Reduction
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>Whether buckets are sent during the backward pass, as soon as their gradients are complete. It helps if the MPI library
        /// or the network transfers data while the cores compute. Set <see cref="Weight"/> between the forward and the backward pass; a
        /// step may have only one backward pass. Parameters must be used only through their layer's call().</summary>
        public bool Overlap { get; init; }
    }

    /// <summary>Copies the parameters and buffers of rank 0 to every rank.</summary>
    /// <param name="model">The same shapes on all ranks. Not owned.</param>
    /// <param name="communicator">Not owned.</param>
    /// <param name="options">Defaults if null.</param>
    /// <exception cref="ArgumentException">Ranks have different options, or parameters and buffers of different names, types or
    /// shapes.</exception>
    public DataParallel(nn.Module model, Communicator communicator, Options? options = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(communicator);
        (_model, _communicator, _options) = (model, communicator, options ?? new());
        if (communicator.Size == 1)
            return;
        Fingerprint().Agree(communicator);
        using var off = no_grad();
        foreach (var t in model.parameters().Cast<Tensor>().Concat(model.buffers()).DistinctBy(t => t.Handle))
            communicator.BroadcastAny(t, 0);
        if (_options.Overlap)
            _order = new(model, Send);
    }

    private Fingerprint Fingerprint()
    {
        var result = new Fingerprint()
            .Add(nameof(Options.BucketBytes), _options.BucketBytes)
            .Add(nameof(Options.Reduction), _options.Reduction)
            .Add(nameof(Options.Overlap), _options.Overlap);
        foreach (var (name, tensor) in _model.state_dict())
            result.Add(name, $"{tensor.dtype}[{string.Join(", ", tensor.shape)}]");
        return result;
    }

    /// <summary>n_r of the next backward pass, ≥ 0. Setting it starts sending during that pass if <see cref="Options.Overlap"/> is
    /// on.</summary>
    public double Weight
    {
        get;
        set
        {
            field = Require.NonNegative(value);
            if (_order is not null)
                _order.IsArmed = true;
        }
    } = 1;

    /// <summary>Seconds in which this rank only packed, sent or waited for gradients.</summary>
    public double Seconds { get; private set; }

    /// <summary>Averages each gradient over ranks. Call it after backward() and before the optimizer's step.</summary>
    /// <param name="weight">n_r, ≥ 0: the number of terms in this rank's loss, or 0 if it has no example of the batch. Null for
    /// <see cref="Weight"/>.</param>
    public void AverageGradients(double? weight = null)
    {
        if (_communicator.Size == 1)
            return;
        long start = Stopwatch.GetTimestamp();
        using var off = no_grad();
        using var scope = NewDisposeScope();
        double mine = Require.NonNegative(weight ?? Weight, nameof(weight));
        if (_order is not null && mine != Weight && _sent > 0)
            throw new InvalidOperationException($"Gradients were sent with the weight {Weight}; set {nameof(Weight)} before backward().");
        Weight = mine;
        Arrange();
        var parameters = _buckets.SelectMany(b => b.Parameters).ToList();
        var header = torch.tensor([mine, .. parameters.Select(p => p.grad is null ? 0.0 : 1.0)]);
        while (_sent < _buckets.Count)
            SendNext();
        var pending = _communicator.BeginAllReduce(header); // last: ranks that had a backward pass have already sent buckets
        pending.Wait();
        double[] sums = header.Elements<double>();
        double scale =
            _options.Reduction == LossReduction.Sum ? 1
            : sums[0] > 0 ? 1 / sums[0]
            : throw new InvalidOperationException("No rank had an example: the weights are all 0.");
        int next = 1;
        foreach (var bucket in _buckets)
        {
            bucket.Receive(scale, sums.AsSpan(next, bucket.Parameters.Count));
            next += bucket.Parameters.Count;
        }
        _sent = 0;
        _order?.Reset();
        Seconds += Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>Averages each floating-point buffer over ranks. Call it before an evaluation or a checkpoint, because each rank's running
    /// statistics come from its own part of the data.</summary>
    public void AverageBuffers()
    {
        if (_communicator.Size == 1)
            return;
        using var off = no_grad();
        foreach (var buffer in _model.buffers().Where(b => b.dtype is ScalarType.Float32 or ScalarType.Float64 or ScalarType.BFloat16))
        {
            using var whole = buffer.contiguous();
            _communicator.AllReduce(whole);
            whole.div_(_communicator.Size);
            if (!buffer.is_contiguous())
                buffer.copy_(whole);
        }
    }

    /// <summary>Makes the buckets of the current parameters: module.to(...) creates new ones.</summary>
    private void Arrange()
    {
        var parameters = _model.parameters().Where(p => p.requires_grad).DistinctBy(p => p.Handle).Reverse().ToList();
        if (parameters.Select(p => p.Handle).SequenceEqual(_handles))
            return;
        if (_sent > 0)
            throw new InvalidOperationException("The parameters changed during the backward pass.");
        foreach (var bucket in _buckets)
            bucket.Dispose();
        _handles = [.. parameters.Select(p => p.Handle)];
        _buckets = GradientBucket.Of(parameters, _options.BucketBytes);
    }

    private void SendNext() => _buckets[_sent++].Send(_communicator, _options.Reduction == LossReduction.Sum ? 1 : Weight);

    /// <summary>Called during the backward pass with the parameters that have complete gradients.</summary>
    private void Send(IReadOnlySet<nint> complete)
    {
        using var off = no_grad();
        if (_buckets.Count == 0 || _sent == 0)
            Arrange();
        while (_sent < _buckets.Count && _buckets[_sent].Parameters.All(p => complete.Contains(p.Handle)))
            SendNext();
        for (int i = 0; i < _sent; i++)
            _buckets[i].Move();
    }

    /// <summary>Frees the buckets. The model and the communicator are not owned.</summary>
    public void Dispose()
    {
        foreach (var bucket in _buckets)
            bucket.Dispose();
        (_buckets, _handles) = ([], []);
        _order?.Dispose();
    }
}
