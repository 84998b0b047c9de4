using System.CommandLine;
using Amari.Cli.Lecture;
using Amari.Curvature;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Solvers;
using Amari.Spectrum;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary><c>amari spectrum</c>: the eigenvalues of a network's curvature.</summary>
internal static class SpectrumCommand
{
    /// <summary>What Lanczos vectors may take.</summary>
    public const long BasisBytes = 768L << 20;

    private const long SketchBytes = 256L << 20; // of XTrace; beyond it the trace is that of the quadrature's probes
    private const int TraceProducts = 60,
        SmallestProducts = 60;
    private const long Large = 1_000_000; // parameters from which a random vector alone shows the density well: its error falls as 1/√d
    private const int FewProbes = 3;

    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        var curvature = new CurvatureOptions(common);
        var top = CommonOptions.Integer(
            "--top",
            "how many of the largest eigenvalues; the outliers are sought among them (default: 30, fewer where memory asks for it)",
            1,
            30
        );
        var probes = CommonOptions.Integer(
            "--probes",
            "random vectors of the density (default: 10; 3 from a million parameters on, where they agree)",
            1,
            10
        );
        var steps = CommonOptions.Integer("--steps", "Lanczos steps of each: more resolve more", 2, 80);
        var command = new Command(
            "spectrum",
            "Eigenvalues, density, trace and outliers of a network's Hessian, Gauss-Newton matrix or Fisher."
        )
        {
            top,
            probes,
            steps,
        };
        curvature.AddTo(command);
        command.SetAction(parsed =>
        {
            var workload = WorkloadCatalog.Find(parsed.GetValue(common.Workload), parsed.GetValue(common.Assembly));
            common.ApplyTo(parsed, output);
            using var interrupt = new Interrupt();
            using var subject = curvature.Open(parsed, workload);
            using var folder = common.FolderOf(parsed, "spectrum-" + workload.Name, [.. Figure.Files("spectrum"), "report.html"]);
            if (!curvature.Train(parsed, subject, output, path: false, interrupt.Token))
            {
                output.WriteLine("Stopped while the network was trained; nothing was written.");
                return 1;
            }
            var (name, title, matrix) = curvature.OperatorOf(parsed, subject.Objective);
            int seed = parsed.GetValue(common.Seed);
            using var view = new StageView(output);
            int count = parsed.GetValue(top);
            if (parsed.GetResult(top) is not { Implicit: false })
                count = (int)Math.Clamp(BasisBytes / (4 * matrix.Dimension) * 3 / 5, 1, count); // what memory leaves room to restart in
            int vectors =
                parsed.GetResult(probes) is not { Implicit: false } && matrix.Dimension >= Large ? FewProbes : parsed.GetValue(probes);
            var result = Measure(matrix, count, vectors, parsed.GetValue(steps), seed, view, interrupt.Token) with
            {
                Workload = workload.Name,
                Operator = name,
                Title = title,
                Layer = subject.Layer,
                Weights = subject.Origin,
                Data = subject.Data,
                Loss = subject.Objective.Loss(),
            };
            view.Dispose();
            return SpectrumReport.Write(result, folder, output);
        });
        return command;
    }

    /// <summary>All that the report says of a matrix; what a stop left undone is null.</summary>
    private static SpectrumResult Measure(
        LinearOperator matrix,
        int top,
        int probes,
        int steps,
        int seed,
        StageView view,
        CancellationToken stop
    )
    {
        long d = matrix.Dimension,
            vectors = BasisBytes / (4 * d);
        int count = (int)Math.Min(top, d);
        var options = new LanczosOptions
        {
            Count = count,
            BasisSize = (int)Math.Clamp(vectors - 1, count + 2, 2 * count + 20),
            Vectors = false,
            Seed = seed,
        };
        using var largest = Lanczos.Run(
            matrix,
            options,
            new ImmediateProgress<LanczosProgress>(p =>
                view.Report(
                    "largest eigenvalues",
                    (double)p.Converged / p.Requested,
                    $"{p.Converged} of {p.Requested} converged, {p.Products} products"
                )
            ),
            stop
        );
        if (largest.Status == LanczosStatus.NotFinite)
            return new(d, largest, null, null, null, "", Outliers.Of([]), false);
        using var smallest = stop.IsCancellationRequested
            ? null
            : Lanczos.Run(
                matrix,
                options with
                {
                    Count = 1,
                    End = SpectrumEnd.Smallest,
                    MaxProducts = SmallestProducts,
                },
                new ImmediateProgress<LanczosProgress>(p =>
                    view.Report("smallest eigenvalue", (double)p.Products / SmallestProducts, $"{p.Products} products")
                ),
                stop
            );
        var density = stop.IsCancellationRequested
            ? null
            : LanczosQuadrature.Run(
                matrix,
                new()
                {
                    Probes = probes,
                    Steps = steps,
                    MemoryLimit = BasisBytes,
                    Seed = seed,
                },
                new ImmediateProgress<double>(share => view.Report("density", share, $"{probes} probes of {steps} steps")),
                stop
            );
        bool sketch = 4L * d * 4 * Math.Min(TraceProducts / 2, d) <= SketchBytes && !stop.IsCancellationRequested;
        if (sketch)
            view.Report("trace", 0, "XTrace");
        return new(
            d,
            largest,
            smallest is { Values.Count: 1 } ? smallest : null,
            density,
            sketch ? XTrace.Trace(matrix, TraceProducts, seed) : density?.Trace(x => x),
            sketch ? "XTrace" : "Hutchinson",
            Outliers.Of(largest.Values),
            stop.IsCancellationRequested
        );
    }
}
