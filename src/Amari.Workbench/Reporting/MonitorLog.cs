using System.Text.Json.Nodes;
using Amari.Native;
using Amari.Solvers;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>Appends the rows of monitors to <c>monitor.jsonl</c> immediately, one JSON object per line, so that readers see complete lines.
/// If a line cannot be written, the log ends with a warning and the run continues.</summary>
internal sealed class MonitorLog(ResultFolder folder) : IProgress<MonitorLine>, IDisposable
{
    /// <summary>The name of the file.</summary>
    public const string FileName = "monitor.jsonl";

    private FileStream? _file = folder.Append(FileName);

    public void Report(MonitorLine value)
    {
        var line = new JsonObject { ["optimizer"] = value.Optimizer, ["seed"] = value.Seed };
        foreach (var (name, node) in Of(value.Row))
            line[name] = node?.DeepClone();
        try
        {
            _file?.Write(System.Text.Encoding.UTF8.GetBytes(line.ToJsonString() + "\n"));
            _file?.Flush();
        }
        catch (IOException e)
        {
            Warnings.Once($"{FileName} ends at step {value.Row.Step} of {value.Optimizer}: {e.Message}");
            Dispose();
            _file = null;
        }
    }

    public void Dispose()
    {
        try
        {
            _file?.Dispose();
        }
        catch (IOException) // the rest could not be written
        { }
    }

    /// <summary>A row with its measured quantities. Numbers that are not finite are null.</summary>
    public static JsonObject Of(MonitorRow row)
    {
        var json = new JsonObject { ["step"] = row.Step, ["seconds"] = row.Seconds };
        Add("learningRate", row.LearningRate);
        Add("sharpness", row.Sharpness);
        Add("sharpnessResidual", row.SharpnessResidual);
        Add("stabilityBound", row.StabilityBound);
        if (row.Eigenvalues is { } eigenvalues)
            json["eigenvalues"] = new JsonArray([.. eigenvalues.Select(e => Finite(e))]);
        if (row.NoiseScale is { } noise)
            json["noiseScale"] = new JsonObject { ["value"] = Finite(noise.Value), ["standardError"] = Finite(noise.StandardError) };
        Add("kl", row.Kl);
        if (row.KlSteps is { } steps)
            json["klSteps"] = steps;
        if (row.Factors is { } factors)
            json["factors"] = new JsonArray([
                .. factors.Select(f => new JsonObject
                {
                    ["layer"] = f.Layer,
                    ["a"] = Finite(f.A),
                    ["g"] = Finite(f.G),
                    ["damped"] = Finite(f.Damped),
                }),
            ]);
        if (row.Report is { } report)
            json["report"] = Of(report);
        return json;

        void Add(string name, double? value)
        {
            if (value is { } number)
                json[name] = Finite(number);
        }
    }

    private static JsonObject Of(StepReport report)
    {
        var json = new JsonObject
        {
            ["step"] = report.Step,
            ["outcome"] = report.Outcome.ToString(),
            ["lossBefore"] = Finite(report.LossBefore),
            ["lossAfter"] = Finite(report.LossAfter),
            ["gradientNorm"] = Finite(report.GradientNorm),
            ["stepSize"] = Finite(report.StepSize),
            ["stepNorm"] = Finite(report.StepNorm),
        };
        foreach (
            var (name, value) in ((string, double?)[])
                [
                    ("predictedReduction", report.PredictedReduction),
                    ("reductionRatio", report.ReductionRatio),
                    ("damping", report.Damping),
                    ("radius", report.Radius),
                    ("cgIterations", report.CgIterations),
                    ("askedKl", report.TargetKl),
                    ("achievedKl", report.AchievedKl),
                ]
        )
            if (value is { } number)
                json[name] = Finite(number);
        foreach (
            var (name, value) in ((string, Enum?)[])
                [("cgStatus", report.CgStatus), ("steihaugStatus", report.SteihaugStatus), ("solver", report.Solver)]
        )
            if (value is not null)
                json[name] = value.ToString();
        if (report.NegativeCurvature is { } negative)
            json["negativeCurvature"] = negative;
        return json;
    }

    private static JsonValue? Finite(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;
}
