namespace Amari.Training;

/// <summary>BatchNorm's running statistics for evaluation weights that differ from the training weights: the plain mean over some batches,
/// in place of the training statistics.</summary>
/// <remarks>Disposal restores the training statistics bit by bit. Dropout is off during the computation, so that nothing is
/// drawn.</remarks>
internal sealed class RecomputedStatistics : IDisposable
{
    private readonly List<(Tensor Live, Tensor Kept)> _buffers = [];

    /// <summary>Whether the model has such layers.</summary>
    public bool Any => _buffers.Count > 0;

    /// <summary>Whether a model has layers with running statistics.</summary>
    public static bool AppliesTo(nn.Module<Tensor, Tensor> model) => Layers(model).Any();

    private static IEnumerable<TorchSharp.Modules.BatchNorm> Layers(nn.Module<Tensor, Tensor> model) =>
        model.modules().Append(model).OfType<TorchSharp.Modules.BatchNorm>().Where(l => l.track_running_stats).Distinct();

    /// <param name="model">Left in evaluation mode. Not owned.</param>
    /// <param name="count">Number of batches.</param>
    /// <param name="inputs">Returns a batch by index in a dispose scope. Called only if there is such a layer.</param>
    public RecomputedStatistics(nn.Module<Tensor, Tensor> model, int count, Func<int, Tensor> inputs)
    {
        var layers = Layers(model).Select(l => (Layer: l, l.momentum)).ToList();
        model.eval();
        if (layers.Count == 0)
            return;
        using var off = no_grad();
        foreach (var (layer, _) in layers)
        {
            layer.train();
            foreach (var b in layer.buffers())
                _buffers.Add((b, b.clone().DetachFromDisposeScope()));
        }
        for (int i = 0; i < count; i++)
        {
            using var scope = NewDisposeScope();
            foreach (var (layer, _) in layers)
                layer.momentum = 1.0 / (i + 1);
            model.call(inputs(i));
        }
        foreach (var (layer, momentum) in layers)
            layer.momentum = momentum;
        model.eval();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        using var off = no_grad();
        foreach (var (live, kept) in _buffers)
        {
            live.copy_(kept);
            kept.Dispose();
        }
        _buffers.Clear();
    }
}
