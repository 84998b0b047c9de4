using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>The result of <c>amari landscape</c>.</summary>
/// <param name="Workload">The name of the workload.</param>
/// <param name="Layer">The only layer that varies; null for all parameters.</param>
/// <param name="Weights">The origin of the weights, in words.</param>
/// <param name="Data">The examples of the loss, in words.</param>
/// <param name="Plane">The plane, in words.</param>
/// <param name="Axes">The names of both directions.</param>
/// <param name="A">Steps along the first.</param>
/// <param name="B">Steps along the second.</param>
/// <param name="Losses">[b, a]; NaN for points after an interruption.</param>
/// <param name="Loss">The loss at the weights, (0, 0).</param>
/// <param name="Path">The projected training path. Its losses are those of the whole training set at the unprojected weights.</param>
/// <param name="Interrupted">Whether it was stopped early.</param>
internal sealed record LandscapeResult(
    string Workload,
    string? Layer,
    string Weights,
    string Data,
    string Plane,
    string[] Axes,
    double[] A,
    double[] B,
    double[,] Losses,
    double Loss,
    IReadOnlyList<(double A, double B, long Step, double Loss)> Path,
    bool Interrupted
)
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    /// <summary>The training steps of the weights; null if unknown.</summary>
    public long? TrainedSteps { get; init; }

    public string Headline => $"Loss of {Workload}{(Layer is null ? "" : $", layer {Layer}")}";

    public string Subtitle => $"{Weights}; {Data}; loss {Number.Short(Loss)}; over {Plane}";

    public double Lowest => Losses.Cast<double>().Where(double.IsFinite).DefaultIfEmpty(double.NaN).Min();
    public double Highest => Losses.Cast<double>().Where(double.IsFinite).DefaultIfEmpty(double.NaN).Max();

    /// <summary>The result in words.</summary>
    public string Summary =>
        double.IsNaN(Lowest)
            ? "Stopped before the first result."
            : $"Over {Plane} the loss ranges from {Number.Short(Lowest)} to {Number.Short(Highest)}; at the weights, in the middle, it is "
                + $"{Number.Short(Loss)}."
                + (Path.Count > 0 ? $" The path shows {Path.Count} evaluations during training, projected onto the plane." : "")
                + (Interrupted ? " The command was stopped; these are the results so far." : "");

    /// <summary>The machine-readable result with stable names. Numbers that are not finite are null.</summary>
    public string ToJson() =>
        new JsonObject
        {
            ["workload"] = Workload,
            ["layer"] = Layer,
            ["weights"] = Weights,
            ["trainedSteps"] = TrainedSteps,
            ["data"] = Data,
            ["plane"] = Plane,
            ["axes"] = new JsonArray([.. Axes.Select(a => JsonValue.Create(a))]),
            ["loss"] = Finite(Loss),
            ["a"] = new JsonArray([.. A.Select(x => Finite(x))]),
            ["b"] = new JsonArray([.. B.Select(x => Finite(x))]),
            ["losses"] = new JsonArray([
                .. Enumerable
                    .Range(0, B.Length)
                    .Select(r => new JsonArray([.. Enumerable.Range(0, A.Length).Select(c => Finite(Losses[r, c]))])),
            ]),
            ["path"] = new JsonArray([
                .. Path.Select(p => new JsonObject
                {
                    ["a"] = Finite(p.A),
                    ["b"] = Finite(p.B),
                    ["step"] = p.Step,
                    ["loss"] = Finite(p.Loss),
                }),
            ]),
            ["status"] = Interrupted ? "Interrupted" : "Completed",
        }.ToJsonString(Indented);

    private static JsonValue? Finite(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;
}
