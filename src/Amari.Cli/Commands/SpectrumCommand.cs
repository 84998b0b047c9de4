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
    /// <summary>Maximum bytes of Lanczos vectors.</summary>
    public const long BasisBytes = 768L << 20;

    private const long SketchBytes = 256L << 20; // of XTrace; above it the trace is estimated from the quadrature
    private const int TraceProducts = 60;
    private const long Large = 1_000_000; // parameters from which few probes suffice: their error falls as 1/√d
    private const int FewProbes = 3;

    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        var curvature = new CurvatureOptions(common);
        var top = TypedOptions.Integer(
            "--top",
            "number of largest eigenvalues, which include the outliers; by default fewer if memory is short",
            1,
            30
        );
        var probes = TypedOptions.Integer(
            "--probes",
            "random vectors for the density; by default 3 from a million parameters, where 3 are enough",
            1,
            10
        );
        var steps = TypedOptions.Integer("--steps", "Lanczos steps per random vector; more steps resolve the density more finely", 2, 80);
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
        command.SetAction(parsed => Run(parsed, common, curvature, (top, probes, steps), output));
        return command;
    }

    private static int Run(
        ParseResult parsed,
        CommonOptions common,
        CurvatureOptions curvature,
        (Option<int> Top, Option<int> Probes, Option<int> Steps) own,
        TextWriter output
    )
    {
        var (top, probes, steps) = own;
        var workload = common.WorkloadOf(parsed);
        common.ApplyTo(parsed, output);
        using var interrupt = new Interrupt();
        using var subject = curvature.Open(parsed, workload);
        using var folder = common.FolderOf(parsed, "spectrum-" + workload.Name, [.. Figure.Files("spectrum"), "report.html"]);
        if (!curvature.Train(parsed, subject, output, path: false, interrupt.Token))
        {
            output.WriteLine("Stopped during training; nothing was written.");
            return 1;
        }
        var (name, title, matrix) = curvature.OperatorOf(parsed, subject.Objective);
        int seed = parsed.GetValue(common.Seed);
        using var view = new StageView(output);
        int count = parsed.GetValue(top);
        if (parsed.GetResult(top) is not { Implicit: false })
            count = (int)Math.Clamp(BasisBytes / (4 * matrix.Dimension) * 3 / 5, 1, count); // leaves memory for restarts
        int vectors =
            parsed.GetResult(probes) is not { Implicit: false } && matrix.Dimension >= Large ? FewProbes : parsed.GetValue(probes);
        using var run = matrix.BeginRun();
        var result = Measure(matrix, count, vectors, parsed.GetValue(steps), seed, view, interrupt.Token) with
        {
            Workload = workload.Name,
            Operator = name,
            Title = title,
            Layer = subject.Layer,
            Weights = subject.Origin,
            TrainedSteps = subject.TrainedSteps,
            Data = subject.Data,
            Loss = subject.Objective.Loss(),
        };
        view.Dispose();
        return SpectrumReport.Write(result, folder, output);
    }

    /// <summary>All quantities of the report. Parts that an interruption left out are null.</summary>
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
        using var largest = Largest(matrix, options, view, stop);
        if (largest.Status == LanczosStatus.NotFinite)
            return new(d, largest, null, null, null, "", Outliers.Of([]), false);
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
            density?.Smallest,
            density,
            sketch ? XTrace.Trace(matrix, TraceProducts, seed) : density?.Trace(x => x),
            sketch ? "XTrace" : "Hutchinson",
            Outliers.Of(largest.Values),
            stop.IsCancellationRequested
        );
    }

    private static Eigenpairs Largest(LinearOperator matrix, LanczosOptions options, StageView view, CancellationToken stop) =>
        Lanczos.Run(
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
}
