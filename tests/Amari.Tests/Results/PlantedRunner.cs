using Amari.Benchmarks.Results;
using Amari.Reporting;
using Amari.Tests.Cli;
using Amari.Training;

namespace Amari.Tests.Results;

/// <summary>Writes planted results in place of running processes.</summary>
internal sealed class PlantedRunner : IPartRunner
{
    /// <summary>The arguments of all processes, one line each.</summary>
    public List<string> Lines { get; } = [];

    /// <summary>Is called before a process ends; false if it ends without its result.</summary>
    public Func<string, bool> Ends { get; init; } = _ => true;

    /// <inheritdoc/>
    public string? Missing(PartKind kind) => kind == PartKind.RankedBenchmark ? "no MPI is installed" : null;

    /// <inheritdoc/>
    public Task<int> Run(PartKind kind, IReadOnlyList<string> arguments, string log, CancellationToken stop)
    {
        string line = string.Join(' ', arguments),
            target = arguments[^1];
        lock (Lines)
            Lines.Add(line);
        File.AppendAllText(log, "planted output\n");
        if (kind == PartKind.Comparison)
        {
            Directory.CreateDirectory(target);
            File.WriteAllText(Path.Combine(target, ComparisonFile.FileName), "begun");
            File.WriteAllText(Path.Combine(target, ResultFolder.Document), ResultJson.Of([Comparison() with { Runs = [] }], partial: true));
        }
        if (!Ends(line))
            return Task.FromResult(1);
        if (kind == PartKind.Comparison)
            File.WriteAllText(Path.Combine(target, ResultFolder.Document), ResultJson.Of([Comparison()], partial: false));
        else
            File.WriteAllText(target, Documents.First(d => line.StartsWith(d.Name, StringComparison.Ordinal)).Json);
        return Task.FromResult(0);
    }

    /// <summary>AdamW ends at 1 in 10 s; K-FAC is there at 2.5 s and ends at 0.5, or at the given loss.</summary>
    public static BenchmarkResult Comparison(double kfac = 0.5) =>
        PlantedRuns.Compared(
            "held-out loss",
            0.1,
            Runs("adamw", [2, 1.5, 1.2, 1.1, 1], 0),
            Runs("kfac", [2, Math.Max(0.9, kfac), Math.Max(0.8, kfac), Math.Max(0.6, kfac), kfac], 0.01),
            Runs("sgd", [2, 1.9, 1.8, 1.7, 1.6], 0.02)
        );

    private static TrainingRun[] Runs(string optimizer, double[] heldOut, double noise) =>
        [
            .. PlantedRuns
                .Times(optimizer, [double.NaN, double.NaN, double.NaN])
                .Select(r =>
                    r with
                    {
                        HeldOut =
                        [
                            .. heldOut.Select(
                                (loss, i) =>
                                    new HeldOutPoint(250 * i, (2.5 + (i == 4 ? 0 : noise * r.Seed)) * i, loss + noise * r.Seed / 10, 0.9)
                            ),
                        ],
                        CpuOverWall = 0.97,
                    }
                ),
        ];

    private static readonly (string Name, string Json)[] Documents =
    [
        (
            "kfac",
            """
            {"threads": 2, "cases": [{"workload": "autoencoder", "batch": 512, "settings": "defaults", "adamW": 80.123456,
            "kfac": 160, "ratio": 2.0, "leastRatio": 1.9, "mostRatio": 2.1, "plain": 150, "measurement": 60,
             "refresh": 80}]}
            """
        ),
        (
            "ratios",
            """
            {"cases": [{"name": "large", "amariAdamW": 0.5, "torchSharpAdamW": 10, "libtorchFusedAdamW": 0.6, "rooflineAdamW": 0.5,
            "amariLion": 0.4, "rooflineLion": 0.4, "adamWBFloat16": 1, "adamWBlocks8": 2, "lionBFloat16": 0.8, "lionBlocks8": 1.6,
            "adamWGuard": 1.01, "lionGuard": 1.02, "adamWExactGuard": 1.2, "lionExactGuard": 1.3}]}
            """
        ),
        (
            "steps",
            """
            {"threads": 2, "product": 14.5, "cases": [{"name": "adamw", "step": 2, "leastStep": 1.9, "mostStep": 2.1, "total": 80},
            {"name": "kfac", "step": 60, "leastStep": 58, "mostStep": 66, "total": 160}]}
            """
        ),
        (
            "spectrum",
            """
            {"threads": 1, "cases": [{"method": "Lanczos, 100 vectors", "parameters": 2837314, "products": 120, "product": 200,
            "outside": 50, "least": 45, "most": 55, "share": 0.2}]}
            """
        ),
        (
            "curvature",
            """
            {"cases": [{"name": "autoencoder", "parameters": 9, "batch": 512, "gradient": {"median": 50, "lower": 50, "upper": 50},
            "hessian": {"median": 2.8, "lower": 2.8, "upper": 2.8},
            "gaussNewton": {"median": 2.1, "lower": 2.1, "upper": 2.1}, "empiricalFisher": {"median": 2, "lower": 2, "upper": 2},
            "hessianInRun": {"median": 1.7, "lower": 1.7, "upper": 1.7}, "gaussNewtonInRun": {"median": 1.3, "lower": 1.3, "upper": 1.3},
            "empiricalFisherInRun": {"median": 1.3, "lower": 1.3, "upper": 1.3},
            "hessianOfEight": {"median": 2.2, "lower": 2.2, "upper": 2.2},
            "gaussNewtonOfEight": {"median": 1.7, "lower": 1.7, "upper": 1.7}, "graphBytes": 1048576}]}
            """
        ),
        (
            "plan",
            """
            {"cases": [{"workload": "digits-conv", "optimizer": "adamw", "predictedBytes": 8, "measuredBytes": 8, "predicted": 1.1,
            "measured": 1, "ratio": 1.1, "inside": true, "remark": null},
            {"workload": "digits-conv", "optimizer": "newton", "predicted": null, "inside": null, "remark": "too large"}]}
            """
        ),
        (
            "scaling",
            """
            {"ranks": 1, "fit": null, "steps": [{"model": "mlp", "optimizer": "adamw", "batchOfRank": 128, "milliseconds": 2,
            "examplesPerSecond": 64000, "communicationShare": 0, "gradientBytes": 0}]}
            """
        ),
        (
            "busy",
            """
            {"threads": 2, "neighbours": 2, "cases": [{"workload": "digits-mlp", "optimizer": "adamw", "alone": 0.2, "busy": 0.5,
            "slowdown": 2.5, "leastSlowdown": 2.4, "mostSlowdown": 2.6, "share": 0.5, "longestStep": 12}]}
            """
        ),
        (
            "faults",
            """
            {"seed": 1, "repeats": 1, "kinds": [{"name": "kills", "promise": "continues", "missing": null,
            "faults": [{"what": "a", "loss": null}, {"what": "b", "loss": "differs"}]}]}
            """
        ),
        (
            "endurance",
            """
            {"runs": [{"workload": "digits-mlp", "optimizer": "kfac", "seed": 0, "corrupted": false, "steps": 100, "best": 1e-7,
            "end": 2e-7, "metric": 0.93, "skipped": 0, "cut": 3, "cameApart": false}]}
            """
        ),
    ];
}
