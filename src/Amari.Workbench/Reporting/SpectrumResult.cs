using System.Text.Json;
using System.Text.Json.Nodes;
using Amari.Spectrum;
using Amari.Workloads;

namespace Amari.Reporting;

/// <summary>The result of <c>amari spectrum</c>. Parts that an interruption left out are null.</summary>
internal sealed record SpectrumResult(
    long Dimension,
    Eigenpairs Largest,
    Estimate? Smallest,
    SpectralDensity? Density,
    Estimate? Trace,
    string TraceEstimator,
    Outliers Outliers,
    bool Interrupted
)
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true };

    public string Workload { get; init; } = "";
    public string Operator { get; init; } = "";
    public string Title { get; init; } = "";
    public string? Layer { get; init; }
    public string Weights { get; init; } = "";

    /// <summary>The training steps of the weights; null if unknown.</summary>
    public long? TrainedSteps { get; init; }
    public string Data { get; init; } = "";
    public double Loss { get; init; }

    /// <summary>The density of the figures.</summary>
    public IReadOnlyList<DensityPoint> Points => field ??= Density?.Smooth() ?? [];

    /// <summary>λ_max / λ_min; null unless both are known.</summary>
    public Estimate? Condition =>
        Largest.Values.Count > 0 && Smallest is { } s ? ConditionNumber.FromEnds(new(Largest.Values[0], Largest.Residuals[0]), s) : null;

    /// <summary>‖C‖_F from the quadrature; no less than the eigenvalues give that are known.</summary>
    public Estimate? FrobeniusNorm =>
        Density?.Trace(x => x * x) is { } square
            ? new(Math.Sqrt(Math.Max(square.Value, Largest.Values.Sum(x => x * x))), square.StandardError / (2 * Math.Sqrt(square.Value)))
            : null;

    /// <summary>The α of the reported effective dimensionality: a thousandth of the largest eigenvalue.</summary>
    public double Alpha => Largest.Values.Count > 0 && Largest.Values[0] > 0 ? Largest.Values[0] / 1000 : double.NaN;

    public Estimate? EffectiveDimension => double.IsNaN(Alpha) ? null : Density?.EffectiveDimension(Alpha);

    /// <summary>The origin of the matrix and the network, in words.</summary>
    public string Subtitle => $"{Weights}; {Data}; loss {Number.Short(Loss)}";

    /// <summary>The heading of figures and pages.</summary>
    public string Headline => $"{Title} of {Workload}{(Layer is null ? "" : $", layer {Layer}")}";

    /// <summary>The result in words.</summary>
    public string Summary
    {
        get
        {
            if (Largest.Values.Count == 0)
                return Interrupted
                    ? "Stopped before the first result."
                    : "A product of the matrix was infinite or NaN: the network has diverged.";
            double top = Largest.Values[0];
            var sentences = new List<string>
            {
                Outliers.IsConclusive
                    ? $"{Outliers.Count} of {Dimension:N0} eigenvalues stand apart from the bulk."
                    : (
                        Outliers.Count > 0
                            ? $"At least {Outliers.Count} eigenvalues stand apart"
                            : "There are too few eigenvalues to separate outliers"
                    ) + " from the bulk; compute more with --top.",
                $"The largest is {Number.Short(top)}"
                    + (
                        Operator == "hessian" && top > 0
                            ? $": plain gradient descent is stable for learning rates below 2 / λ = {Number.Short(2 / top)}."
                            : "."
                    ),
            };
            if (Smallest is { } s && s.Value < -s.StandardError)
                sentences.Add($"The smallest is {Number.Short(s.Value)}: the matrix is indefinite.");
            else if (Condition is { } k)
                sentences.Add(
                    double.IsFinite(k.Value)
                        ? $"The condition number is {Number.Short(k.Value)}."
                        : "The smallest is 0 up to rounding: the matrix is singular."
                );
            if (Density is { } density && top > 0 && density.Mean(x => Math.Abs(x) < top / 100 ? 1 : 0) is var bulk)
                sentences.Add(
                    FormattableString.Invariant($"{bulk.Value:P1} of all eigenvalues are smaller than 1 % of the largest in magnitude.")
                );
            if (Largest.Status == LanczosStatus.ProductLimit)
                sentences.Add("Not every eigenvalue converged; the residuals bound their errors.");
            if (Interrupted)
                sentences.Add("The command was stopped; these are the results so far.");
            return string.Join(" ", sentences);
        }
    }

    /// <summary>The machine-readable result with stable names. Numbers that are not finite are null.</summary>
    public string ToJson() =>
        new JsonObject
        {
            ["workload"] = Workload,
            ["dimension"] = Dimension,
            ["operator"] = Operator,
            ["layer"] = Layer,
            ["weights"] = Weights,
            ["trainedSteps"] = TrainedSteps,
            ["data"] = Data,
            ["loss"] = Finite(Loss),
            ["status"] = Interrupted ? "Interrupted" : Largest.Status.ToString(),
            ["products"] = Largest.Products,
            ["eigenvalues"] = Pairs(Largest),
            ["smallest"] = Smallest is { } least ? Pair(least.Value, least.StandardError) : null,
            ["trace"] = Json(Trace),
            ["traceEstimator"] = TraceEstimator,
            ["frobeniusNorm"] = Json(FrobeniusNorm),
            ["effectiveRank"] = Json(Density?.EffectiveRank()),
            ["effectiveDimension"] = Json(EffectiveDimension),
            ["effectiveDimensionAlpha"] = Finite(Alpha),
            ["conditionNumber"] = Json(Condition),
            ["outliers"] = Outliers.IsConclusive ? Outliers.Count : null,
            ["outliersAtLeast"] = Outliers.Count,
            ["outlierRule"] = Outliers.Rule,
            ["density"] = new JsonArray([.. Points.Select(p => new JsonArray(Finite(p.Lambda), Finite(p.Density.Value)))]),
            ["densityError"] = new JsonArray([.. Points.Select(p => Finite(p.Density.StandardError))]),
            ["nodes"] = Density is null
                ? null
                : new JsonArray([
                    .. Density.Probes.Select(p => new JsonArray([
                        .. p.Nodes.Zip(p.Weights, (x, w) => new JsonArray(Finite(x), Finite(w))),
                    ])),
                ]),
            ["reorthogonalised"] = Density?.Reorthogonalised,
        }.ToJsonString(Indented);

    private static JsonArray Pairs(Eigenpairs pairs) => new([.. pairs.Values.Zip(pairs.Residuals, Pair)]);

    private static JsonObject Pair(double value, double residual) => new() { ["value"] = Finite(value), ["residual"] = Finite(residual) };

    private static JsonObject? Json(Estimate? estimate) =>
        estimate is { } e ? new() { ["value"] = Finite(e.Value), ["standardError"] = Finite(e.StandardError) } : null;

    private static JsonValue? Finite(double value) => double.IsFinite(value) ? JsonValue.Create(value) : null;
}
