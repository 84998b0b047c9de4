using Amari.LeastSquares;
using Amari.Native;
using Amari.Workloads;

namespace Amari.Training;

/// <summary>Records the error of a network over a plane at evaluations of a run, for figures.</summary>
internal sealed class SolutionRecorder : IDisposable
{
    private const int Size = 41, // points per axis
        MaxFrames = 24;

    private readonly PdeWorkload _workload;
    private readonly Tensor _points;
    private readonly double[] _solution;
    private readonly List<SolutionFrame> _frames = [];
    private SolutionFrame? _last;
    private int _stride = 1,
        _evaluations;

    private SolutionRecorder(PdeWorkload workload)
    {
        _workload = workload;
        _points = workload.Slice(Size).DetachFromDisposeScope();
        using var solution = workload.SolutionAt(_points);
        _solution = solution.Elements<double>();
    }

    /// <summary>Null for a workload without a plane to show.</summary>
    public static SolutionRecorder? Of(Workload workload) =>
        workload is PdeWorkload { Domain.Axes.Count: > 1 } equation ? new(equation) : null;

    /// <summary>Adds a frame. When there are too many, every second one is dropped.</summary>
    public void Record(nn.Module<Tensor, Tensor> model, LossPoint at)
    {
        using var values = ((PdeModel)model).Evaluate(_points);
        _last = new(at.Step, at.Seconds, [.. values.Elements<double>().Zip(_solution, (u, exact) => (float)(u - exact))]);
        if (_evaluations++ % _stride != 0)
            return;
        _frames.Add(_last);
        if (_frames.Count < MaxFrames)
            return;
        for (int i = MaxFrames - 1; i > 0; i -= 2)
            _frames.RemoveAt(i);
        _stride *= 2;
    }

    /// <summary>What was recorded; null if nothing was.</summary>
    public SolutionField? Result
    {
        get
        {
            var axes = _workload.Domain.Axes;
            return _last is null
                ? null
                : new(
                    [axes[0].Name, axes[1].Name],
                    axes[0].Points(Size),
                    axes[1].Points(Size),
                    string.Join(", ", axes.Skip(2).Select(a => FormattableString.Invariant($"{a.Name} = {a.At(0.5)}"))),
                    [.. _solution.Select(u => (float)u)],
                    ReferenceEquals(_frames[^1], _last) ? [.. _frames] : [.. _frames, _last]
                );
        }
    }

    /// <inheritdoc/>
    public void Dispose() => _points.Dispose();
}
