using Amari.Curvature;
using Amari.Native;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary>The subject of a curvature command: a model, examples, and the loss as a function of all or some of the parameters. Owns all of
/// them.</summary>
internal sealed class Subject : IDisposable
{
    private readonly List<(LossPoint Point, Tensor Weights)> _path = [];
    private readonly Dataset _examples;
    private int _stride = 1,
        _seen;

    /// <exception cref="ArgumentException">The layer does not exist. The message lists the layers.</exception>
    public Subject(Trainer trainer, nn.Module<Tensor, Tensor> model, Dataset examples, int batch, string? layer)
    {
        (Trainer, Model, _examples, Layer) = (trainer, model, examples, layer);
        Require.Parameters(model, "measure");
        long all = trainer.Data.Train.Count;
        var names = model.named_parameters().Where(p => p.parameter.requires_grad).Select(p => p.name).ToList();
        if (layer is not null && !names.Exists(Inside))
            throw new ArgumentException(
                $"--layer is '{layer}'; it must be one of " + $"{string.Join(", ", names.Select(LayerOf).Distinct())}."
            );
        Objective = new(model, Workload.Likelihood, examples.Batches(batch), ParameterLayout.Of(model, Inside));
        Data =
            examples.Count == all
                ? FormattableString.Invariant($"all {all:N0} training examples")
                : FormattableString.Invariant($"{examples.Count:N0} of {all:N0} training examples");

        static string LayerOf(string name) => name.LastIndexOf('.') is > 0 and var end ? name[..end] : name;

        bool Inside(string name) => layer is null || name == layer || name.StartsWith(layer + ".", StringComparison.Ordinal);
    }

    public Trainer Trainer { get; }
    public Workload Workload => Trainer.Workload;
    public nn.Module<Tensor, Tensor> Model { get; }
    public Objective Objective { get; }
    public string? Layer { get; }

    /// <summary>The origin of the weights, in words.</summary>
    public string Origin { get; set; } = "";

    /// <summary>The training steps of the weights; null if unknown.</summary>
    public long? TrainedSteps { get; set; }

    /// <summary>The examples, in words.</summary>
    public string Data { get; }

    /// <summary>The weights [d] at evaluations during training, thinned out to limit memory. The last are the model's.</summary>
    public IReadOnlyList<(LossPoint Point, Tensor Weights)> Path => _path;

    /// <summary>Copies the weights and adds them to the path of at most the given number of points.</summary>
    public void Take(nn.Module<Tensor, Tensor> model, LossPoint point, int maxPoints)
    {
        using var off = no_grad();
        var from = model.state_dict();
        foreach (var (name, tensor) in Model.state_dict())
            tensor.copy_(from[name]);
        if (maxPoints == 0)
            return;
        if (_path.Count > 1 && _seen++ % _stride != 0)
            Drop(_path.Count - 1); // the new point replaces the newest one
        if (_path.Count == maxPoints)
        {
            for (int i = _path.Count - 2; i > 0; i -= 2)
                Drop(i);
            _stride *= 2;
        }
        _path.Add((point, Objective.Parameters.Read()));

        void Drop(int i)
        {
            _path[i].Weights.Dispose();
            _path.RemoveAt(i);
        }
    }

    public void Dispose()
    {
        foreach (var (_, weights) in _path)
            weights.Dispose();
        _examples.Dispose();
        Model.Dispose();
        Trainer.Dispose();
    }
}
