using System.Diagnostics;
using Amari.Native;

namespace Amari.Distributed;

/// <summary>Data-parallel training: every rank has the whole model and a part of each batch; gradients are averaged before the
/// step.</summary>
/// <remarks><code>
/// g = Σ_r n_r g_r / Σ_r n_r         n_r: terms of rank r's loss, which is the mean over them:
///                                   g is the gradient of the mean over the whole batch
/// </code>
/// The gradients of one element type go in buckets of a few MiB, the later layers' first. While one bucket is on its way the next is packed
/// and the last unpacked; with <see cref="Options.Overlap"/> buckets leave during the backward pass. A parameter without a gradient on some
/// ranks counts as zero there; without one on any rank it is left without. Buffers (BatchNorm's statistics) are of each rank's own part:
/// see <see cref="AverageBuffers"/>.</remarks>
public sealed class DataParallel : IDisposable
{
    private readonly nn.Module _model;
    private readonly Options _options;
    private readonly Communicator _communicator;
    private readonly BackwardOrder? _order;
    private List<GradientBucket> _buckets = [];
    private List<nint> _handles = [];
    private int _sent;

    /// <summary>How gradients travel.</summary>
    public sealed record Options
    {
        /// <summary>Bytes of a bucket, ≥ 1; a larger gradient has one of its own.</summary>
        public int BucketBytes
        {
            get;
            init => field = Require.AtLeast(1, value);
        } = 4 << 20;

        /// <summary>Whether each rank's loss is the mean over its terms or the sum; gradients of sums are added.</summary>
        public LossReduction Reduction
        {
            get;
            init => field = Require.Defined(value);
        }

        /// <summary>Whether buckets leave during the backward pass, as soon as their gradients are there. It helps where the MPI library or
        /// the network moves data while the cores compute. Set <see cref="Weight"/> between the forward and the backward pass, of which a
        /// step has one; every use of a parameter must be through its layer's call().</summary>
        public bool Overlap { get; init; }
    }

    /// <summary>Gives every rank the parameters and buffers of rank 0.</summary>
    /// <param name="model">Of the same shapes on all ranks. Not owned.</param>
    /// <param name="communicator">Not owned.</param>
    /// <param name="options">Defaults if null.</param>
    /// <exception cref="ArgumentException">Ranks differ in the names, types or shapes of parameters and buffers, or in the
    /// options.</exception>
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

    /// <summary>n_r of the backward pass to come, ≥ 0. Setting it lets buckets leave during that pass if <see cref="Options.Overlap"/> is
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

    /// <summary>Seconds in which this rank did nothing but pack, send and wait for gradients.</summary>
    public double Seconds { get; private set; }

    /// <summary>Makes each gradient the average over ranks; call it after backward(), before the optimizer's step.</summary>
    /// <param name="weight">n_r, ≥ 0: the terms of this rank's loss, or 0 when it had no example of the batch. Null:
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
            throw new InvalidOperationException($"Gradients left with the weight {Weight}; set {nameof(Weight)} before backward().");
        Weight = mine;
        Arrange();
        var parameters = _buckets.SelectMany(b => b.Parameters).ToList();
        var header = torch.tensor([mine, .. parameters.Select(p => p.grad is null ? 0.0 : 1.0)]);
        while (_sent < _buckets.Count)
            SendNext();
        var told = _communicator.BeginAllReduce(header); // last: on ranks that had a backward pass some buckets have left before
        told.Wait();
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

    /// <summary>Makes each floating-point buffer the mean over ranks: before an evaluation or a checkpoint, for running statistics are of
    /// each rank's own part of the data.</summary>
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

    /// <summary>The buckets of the parameters as they are now: module.to(...) makes new ones.</summary>
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

    /// <summary>During the backward pass: the gradients of these parameters are complete.</summary>
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

    /// <summary>Frees the buckets; the model and the communicator stay.</summary>
    public void Dispose()
    {
        foreach (var bucket in _buckets)
            bucket.Dispose();
        (_buckets, _handles) = ([], []);
        _order?.Dispose();
    }
}
