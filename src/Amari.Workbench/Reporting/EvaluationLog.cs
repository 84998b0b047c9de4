using System.Text.Json.Nodes;
using Amari.Native;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>Writes a line of JSON for each evaluation, immediately. Numbers that are not finite are null. If a line cannot be written, the
/// log ends with a warning and the run continues.</summary>
/// <param name="target">Its option and name are part of the warning.</param>
/// <param name="lines">Where lines are appended. Owned.</param>
internal sealed class EvaluationLog(OutputTarget target, LineWriter lines) : IProgress<RunProgress>, IDisposable
{
    private bool _hasEnded;

    public void Report(RunProgress value)
    {
        if (_hasEnded || !value.Evaluated)
            return;
        try
        {
            lines.Write(Of(value).ToJsonString());
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            _hasEnded = true;
            Warnings.Once(
                $"{target.Option} '{target.Name}' ends at step {value.Step} of {value.Optimizer}: {e.Message.ReplaceLineEndings(" ")}"
            );
        }
    }

    private static JsonObject Of(RunProgress p) =>
        new()
        {
            ["workload"] = p.Workload,
            ["optimizer"] = p.Optimizer,
            ["seed"] = p.Seed,
            ["stage"] = p.Stage,
            ["step"] = p.Step,
            ["seconds"] = p.Seconds,
            ["loss"] = Finite(p.Loss),
            ["heldOutLoss"] = Finite(p.HeldOutLoss ?? double.NaN),
            ["metric"] = Finite(p.Metric),
            ["rate"] = Finite(p.LearningRate),
            ["msPerStep"] = Finite(p.MillisecondsPerStep),
        };

    private static JsonValue? Finite(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;

    public void Dispose() => lines.Dispose();
}
