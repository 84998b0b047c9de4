using Amari.Solvers;
using Amari.Training;

namespace Amari.Reporting;

/// <summary>Reads the rows of monitors that <see cref="MonitorLog.Of(MonitorRow)"/> wrote.</summary>
internal static class MonitorRows
{
    public static MonitorRow Read(JsonPart json) =>
        new()
        {
            Step = json["step"].Count(),
            Seconds = json["seconds"].RequiredNumber(),
            LearningRate = json["learningRate"].MeasuredNumber(),
            Sharpness = json["sharpness"].MeasuredNumber(),
            SharpnessResidual = json["sharpnessResidual"].MeasuredNumber(),
            StabilityBound = json["stabilityBound"].MeasuredNumber(),
            Eigenvalues = json["eigenvalues"].IsNull ? null : [.. json["eigenvalues"].Items().Select(e => e.Number())],
            NoiseScale = json["noiseScale"] is { IsNull: false } noise
                ? new(noise["value"].Number(), noise["standardError"].Number())
                : null,
            Kl = json["kl"].MeasuredNumber(),
            KlSteps = json["klSteps"].OptionalCount(),
            Factors = json["factors"].IsNull
                ? null
                :
                [
                    .. json["factors"]
                        .Items()
                        .Select(f => new FactorCondition(f["layer"].Text(), f["a"].Number(), f["g"].Number(), f["damped"].Number())),
                ],
            Report = json["report"].IsNull ? null : ReportOf(json["report"]),
        };

    private static StepReport ReportOf(JsonPart json) =>
        new()
        {
            Step = json["step"].Count(),
            Outcome = json["outcome"].OneOf(Names<StepOutcome>()),
            LossBefore = json["lossBefore"].Number(),
            LossAfter = json["lossAfter"].Number(),
            GradientNorm = json["gradientNorm"].Number(),
            StepSize = json["stepSize"].Number(),
            StepNorm = json["stepNorm"].Number(),
            PredictedReduction = json["predictedReduction"].MeasuredNumber(),
            ReductionRatio = json["reductionRatio"].MeasuredNumber(),
            Damping = json["damping"].MeasuredNumber(),
            Radius = json["radius"].MeasuredNumber(),
            CgIterations = json["cgIterations"].IsNull ? null : json["cgIterations"].SmallCount(),
            TargetKl = json["askedKl"].MeasuredNumber(),
            AchievedKl = json["achievedKl"].MeasuredNumber(),
            CgStatus = json["cgStatus"].IsNull ? null : json["cgStatus"].OneOf(Names<CgStatus>()),
            SteihaugStatus = json["steihaugStatus"].IsNull ? null : json["steihaugStatus"].OneOf(Names<SteihaugStatus>()),
            Solver = json["solver"].IsNull ? null : json["solver"].OneOf(Names<LinearSolverKind>()),
            NegativeCurvature = json["negativeCurvature"].IsNull ? null : json["negativeCurvature"].Flag(),
        };

    private static (string Name, T Value)[] Names<T>()
        where T : struct, Enum => [.. Enum.GetValues<T>().Select(v => (v.ToString(), v))];
}
