using System.CommandLine;
using Amari.Curvature;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Spectrum;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary><c>amari landscape</c>: the loss over a plane through the weights, with the training path on it.</summary>
internal static class LandscapeCommand
{
    private const double Room = 1.25; // around the path
    private const double Rise = 0.02; // of the loss, by its curvature, that a plane of eigenvectors reaches out to

    public static Command Create(TextWriter output)
    {
        var common = new CommonOptions();
        var curvature = new CurvatureOptions(common);
        var plane = new Option<Plane>("--plane")
        {
            Description =
                "eigenvectors (the two of the largest eigenvalues of --operator), random (filter-normalised), path (the principal "
                + "directions of the training path)",
            DefaultValueFactory = _ => Plane.Eigenvectors,
            HelpName = "NAME",
        };
        var grid = CommonOptions.Integer("--grid", "points along each side", 3, 41, most: 1001);
        var range = new Option<double?>("--range")
        {
            Description =
                "how far the plane reaches to each side; by default as far as the path and the curvature ask for, 1 for random directions",
            HelpName = "NUMBER",
        };
        range.Validators.Add(result =>
        {
            if (result.Tokens.Count == 1 && result.GetValueOrDefault<double?>() is not > 0)
                result.AddError("--range must be a number > 0.");
        });
        var command = new Command("landscape", "The loss over a plane through a network's weights, with the training path on it.")
        {
            plane,
            grid,
            range,
        };
        curvature.AddTo(command);
        command.SetAction(parsed =>
        {
            var workload = WorkloadCatalog.Find(parsed.GetValue(common.Workload), parsed.GetValue(common.Assembly));
            common.ApplyTo(parsed, output);
            using var interrupt = new Interrupt();
            using var subject = curvature.Open(parsed, workload);
            var kind = parsed.GetValue(plane);
            if (kind == Plane.Path && (parsed.GetValue(curvature.Checkpoint) is not null || parsed.GetValue(curvature.TrainBudget) == 0))
                throw new ArgumentException("--plane path needs a path: it goes with neither --checkpoint nor --train-budget 0.");
            using var folder = common.FolderOf(parsed, "landscape-" + workload.Name, [.. Figure.Files("landscape"), "report.html"]);
            if (!curvature.Train(parsed, subject, output, path: true, interrupt.Token))
            {
                output.WriteLine("Stopped while the network was trained; nothing was written.");
                return 1;
            }
            using var view = new StageView(output);
            var axes = Axes(kind);
            using var directions = axes.Directions;
            using var origin = subject.Objective.Parameters.Read();
            var path = subject.Path.Select(p => (p.Point, At: LossSurface.Project(p.Weights, origin, directions))).ToList();
            double reachA = Reach(0, path.Select(p => p.At.A)),
                reachB = Reach(1, path.Select(p => p.At.B));
            double[] side = [.. Enumerable.Range(0, parsed.GetValue(grid)).Select(i => 2.0 * i / (parsed.GetValue(grid) - 1) - 1)];
            double[] a = [.. side.Select(s => s * reachA)],
                b = [.. side.Select(s => s * reachB)];
            double[,] losses = LossSurface.Evaluate(
                subject.Objective,
                directions,
                a,
                b,
                new ImmediateProgress<double>(share => view.Report("loss over the plane", share, $"{side.Length} x {side.Length} points")),
                interrupt.Token
            );
            view.Dispose();
            return LandscapeReport.Write(
                new(
                    workload.Name,
                    subject.Layer,
                    subject.Origin,
                    subject.Data,
                    axes.Title,
                    axes.Names,
                    a,
                    b,
                    losses,
                    subject.Objective.Loss(),
                    [.. path.Select(p => (p.At.A, p.At.B, p.Point.Step, p.Point.Loss))],
                    interrupt.Token.IsCancellationRequested
                ),
                folder,
                output
            );

            (torch.Tensor Directions, string Title, string[] Names, double[]? Eigenvalues) Axes(Plane which)
            {
                int seed = parsed.GetValue(common.Seed);
                if (which == Plane.Random)
                    return (
                        LossSurface.FilterNormalised(subject.Objective.Parameters, seed),
                        "two filter-normalised random directions",
                        ["random direction 1", "random direction 2"],
                        null
                    );
                if (which == Plane.Path)
                {
                    if (subject.Path.Count < 3)
                        throw new ArgumentException("The training was too short for a path: give it a longer --train-budget.");
                    var (principal, share) = LossSurface.Principal([.. subject.Path.Select(p => p.Weights)]);
                    return (
                        principal,
                        FormattableString.Invariant($"the principal plane of the training path ({share:P0} of its variation)"),
                        ["principal direction 1", "principal direction 2"],
                        null
                    );
                }
                var (_, title, matrix) = curvature.OperatorOf(parsed, subject.Objective);
                using var pairs = Lanczos.Run(
                    matrix,
                    new()
                    {
                        Count = 2,
                        Seed = seed,
                        BasisSize = (int)Math.Clamp(SpectrumCommand.BasisBytes / (4 * matrix.Dimension) - 3, 4, 24),
                    },
                    new ImmediateProgress<LanczosProgress>(p =>
                        view.Report("two eigenvectors", p.Converged / 2.0, $"{p.Products} products")
                    )
                );
                if (pairs.Values.Count < 2)
                    throw new ArgumentException(
                        matrix.Dimension < 2 ? "A plane takes at least two parameters." : "A product of the matrix was infinite or NaN."
                    );
                return (
                    pairs.Vectors!.alias().DetachFromDisposeScope(),
                    $"the two leading eigenvectors of the {title}",
                    [.. pairs.Values.Select((l, i) => $"eigenvector {i + 1}, λ = {Number.Short(l)}")],
                    [.. pairs.Values]
                );
            }

            double Reach(int axis, IEnumerable<double> along)
            {
                if (parsed.GetValue(range) is { } asked)
                    return asked;
                if (kind == Plane.Random)
                    return 1;
                double far = Room * along.Select(Math.Abs).DefaultIfEmpty(0).Max();
                double steep = axes.Eigenvalues is { } values && values[axis] > 0 ? Math.Sqrt(2 * Rise / values[axis]) : 0;
                using var length = origin.norm();
                double most = length.ToDouble() / 2;
                return Math.Max(far, Math.Min(steep, most)) is > 0 and var reach ? reach : Math.Max(most, 1);
            }
        });
        return command;
    }

    private enum Plane
    {
        Eigenvectors,
        Random,
        Path,
    }
}
