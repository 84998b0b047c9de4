using Amari.Native;
using Amari.Serialization;
using Amari.Training;
using TorchSharp.Modules;

namespace Amari.Reporting;

/// <summary>Writes evaluations as event files for TensorBoard, each run to a sub-folder of its own. TorchSharp's writer closes the file
/// after every value, so that the files are always complete. If one cannot be written, the log ends with a warning and the run
/// continues.</summary>
/// <remarks>Files that exist stay, and a run that continues gets one more. The time of an event is the clock's, in whole seconds, as
/// TorchSharp takes it.</remarks>
internal sealed class TensorBoardLog : IProgress<RunProgress>
{
    private readonly string _folder;
    private readonly bool _hasWorkloads;
    private readonly Dictionary<string, SummaryWriter> _writers = [];
    private bool _hasEnded;

    /// <param name="folder">Created if it does not exist.</param>
    /// <param name="hasWorkloads">Whether there are several workloads, each of which gets a folder around those of its runs.</param>
    /// <exception cref="ArgumentException">The folder cannot be created or written to.</exception>
    public TensorBoardLog(string folder, bool hasWorkloads)
    {
        AtomicFile.Probe(folder);
        (_folder, _hasWorkloads) = (folder, hasWorkloads);
    }

    public void Report(RunProgress value)
    {
        if (_hasEnded)
            return;
        string folder = FolderOf(value);
        try
        {
            if (value.Evaluated)
                Write(folder, value);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _hasEnded = true;
            Warnings.Once($"The files for TensorBoard end with '{folder}' at step {value.Step}: {e.Message.ReplaceLineEndings(" ")}");
        }
        if (value.Status is not null)
            _writers.Remove(folder);
    }

    /// <summary>workload/optimizer-seed, or workload/optimizer-tuning-number.</summary>
    private string FolderOf(RunProgress p)
    {
        string run = p.Stage.Length > 0 ? p.Stage.Split('/')[0].Replace(' ', '-') : FormattableString.Invariant($"{p.Seed}");
        return Path.Combine(_folder, _hasWorkloads ? p.Workload : "", $"{p.Optimizer}-{run}");
    }

    private void Write(string folder, RunProgress p)
    {
        if (!_writers.TryGetValue(folder, out var writer))
            _writers[folder] = writer = utils.tensorboard.SummaryWriter(folder);
        long now = DateTimeOffset.UtcNow.ToUnixTimeSeconds();
        Add("loss/train", p.Loss);
        if (p.HeldOutLoss is { } heldOut && !double.IsNaN(heldOut))
            Add("loss/held-out", heldOut);
        Add($"metric/{p.MetricName}", p.Metric);
        Add("learning rate", p.LearningRate);
        if (p.Step > 0)
            Add("ms/step", p.MillisecondsPerStep);

        void Add(string tag, double value) => writer.add_scalar(tag, (float)value, (int)Math.Min(p.Step, int.MaxValue), now);
    }
}
