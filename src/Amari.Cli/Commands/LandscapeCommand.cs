using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Amari.Curvature;
using Amari.Reporting;
using Amari.Serialization;
using Amari.Spectrum;
using Amari.Training;
using Amari.Workloads;

namespace Amari.Cli.Commands;

/// <summary><c>amari landscape</c>: the loss over a plane through the weights, with the training path on it.</summary>
internal sealed class LandscapeCommand
{
    private const double PathMargin = 1.25; // extent of the plane relative to that of the path
    private const double CurvatureRise = 0.02; // predicted rise of the loss at the edge of a plane of eigenvectors
    private readonly CommonOptions _common = new();
    private readonly CurvatureOptions _curvature;
    private readonly Option<Plane> _plane = new("--plane")
    {
        Description =
            "eigenvectors (default: of the two largest eigenvalues of --operator), random (filter-normalised), path (principal "
            + "directions of the training path)",
        HelpName = "NAME",
        CustomParser = ReadPlane,
    };
    private readonly Option<int> _grid = TypedOptions.Integer("--grid", "points per side", 3, 41, max: 1001);
    private readonly Option<double?> _range = new("--range")
    {
        Description = "extent of the plane on each side (default: from the path and the curvature; 1 for random directions)",
        HelpName = "NUMBER",
        CustomParser = ReadRange,
    };
    private readonly TextWriter _output;
    private readonly Command _command;

    private LandscapeCommand(TextWriter output)
    {
        _output = output;
        _curvature = new(_common);
        _command = new("landscape", "The loss over a plane through a network's weights, with the training path on it.")
        {
            _plane,
            _grid,
            _range,
        };
        _curvature.AddTo(_command);
        _command.SetAction(Run);
    }

    public static Command Create(TextWriter output) => new LandscapeCommand(output)._command;

    /// <summary>A plane. Owns its directions.</summary>
    /// <param name="Directions">[d, 2].</param>
    /// <param name="Title">The plane, in words.</param>
    /// <param name="Names">The names of both directions.</param>
    /// <param name="Eigenvalues">The eigenvalues of both directions; null if they are no eigenvectors.</param>
    private sealed record PlaneAxes(torch.Tensor Directions, string Title, string[] Names, double[]? Eigenvalues = null) : IDisposable
    {
        public void Dispose() => Directions.Dispose();
    }

    private int Run(ParseResult parsed)
    {
        if (parsed.GetValue(_plane) != Plane.Eigenvectors && CommonOptions.FirstGiven(parsed, _curvature.Operator) is { } lone)
            throw new ArgumentException($"{lone.Name} needs --plane eigenvectors.");
        var workload = _common.WorkloadOf(parsed);
        _common.ApplyTo(parsed, _output);
        using var interrupt = new Interrupt();
        using var subject = _curvature.Open(parsed, workload);
        if (parsed.GetValue(_plane) == Plane.Path && _curvature.LengthOf(parsed) is not { IsZero: false })
            throw new ArgumentException("--plane path needs a training path: use neither --checkpoint nor --train-steps 0.");
        using var folder = _common.FolderOf(parsed, "landscape-" + workload.Name, [.. Figure.Files("landscape"), "report.html"]);
        if (!_curvature.Train(parsed, subject, _output, path: true, interrupt.Token))
        {
            _output.WriteLine("Stopped during training; nothing was written.");
            return 1;
        }
        return LandscapeReport.Write(Measure(parsed, subject, interrupt.Token), folder, _output);
    }

    private LandscapeResult Measure(ParseResult parsed, Subject subject, CancellationToken stop)
    {
        using var view = new StageView(_output);
        using var axes = AxesOf(parsed, subject, view);
        using var origin = subject.Objective.Parameters.Read();
        var path = subject.Path.Select(p => (p.Point, At: LossSurface.Project(p.Weights, origin, axes.Directions))).ToList();
        double extentA = Extent(parsed, axes, 0, origin, path.Select(p => p.At.A)),
            extentB = Extent(parsed, axes, 1, origin, path.Select(p => p.At.B));
        int points = parsed.GetValue(_grid);
        double[] side = [.. Enumerable.Range(0, points).Select(i => 2.0 * i / (points - 1) - 1)];
        double[] a = [.. side.Select(s => s * extentA)],
            b = [.. side.Select(s => s * extentB)];
        double[,] losses = LossSurface.Evaluate(
            subject.Objective,
            axes.Directions,
            a,
            b,
            new ImmediateProgress<double>(share => view.Report("loss over the plane", share, $"{points} x {points} points")),
            stop
        );
        return new(
            subject.Workload.Name,
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
            stop.IsCancellationRequested
        )
        {
            TrainedSteps = subject.TrainedSteps,
        };
    }

    private PlaneAxes AxesOf(ParseResult parsed, Subject subject, StageView view)
    {
        switch (parsed.GetValue(_plane))
        {
            case Plane.Random:
                return new(
                    LossSurface.FilterNormalised(subject.Objective.Parameters, parsed.GetValue(_common.Seed)),
                    "two filter-normalised random directions",
                    ["random direction 1", "random direction 2"]
                );
            case Plane.Path:
                if (subject.Path.Count < 3)
                    throw new ArgumentException("The training was too short for a path: increase --train-steps.");
                var (principal, share) = LossSurface.Principal([.. subject.Path.Select(p => p.Weights)]);
                return new(
                    principal,
                    FormattableString.Invariant($"the principal plane of the training path ({share:P0} of its variation)"),
                    ["principal direction 1", "principal direction 2"]
                );
            default:
                return Eigenvectors(parsed, subject, view);
        }
    }

    private PlaneAxes Eigenvectors(ParseResult parsed, Subject subject, StageView view)
    {
        var (_, title, matrix) = _curvature.OperatorOf(parsed, subject.Objective);
        using var pairs = Lanczos.Run(
            matrix,
            new()
            {
                Count = 2,
                Seed = parsed.GetValue(_common.Seed),
                BasisSize = (int)Math.Clamp(SpectrumCommand.BasisBytes / (4 * matrix.Dimension) - 3, 4, 24),
            },
            new ImmediateProgress<LanczosProgress>(p => view.Report("two eigenvectors", p.Converged / 2.0, $"{p.Products} products"))
        );
        if (pairs.Values.Count < 2)
            throw new ArgumentException(
                matrix.Dimension < 2 ? "A plane needs at least two parameters." : "A product of the matrix was infinite or NaN."
            );
        return new(
            pairs.Vectors!.alias().DetachFromDisposeScope(),
            $"the two leading eigenvectors of the {title}",
            [.. pairs.Values.Select((l, i) => $"eigenvector {i + 1}, λ = {Number.Short(l)}")],
            [.. pairs.Values]
        );
    }

    /// <summary>The extent of the plane along a direction, on each side of the weights.</summary>
    private double Extent(ParseResult parsed, PlaneAxes axes, int axis, torch.Tensor origin, IEnumerable<double> path)
    {
        if (parsed.GetValue(_range) is { } requested)
            return requested;
        if (parsed.GetValue(_plane) == Plane.Random)
            return 1;
        double far = PathMargin * path.Select(Math.Abs).DefaultIfEmpty(0).Max();
        double steep = axes.Eigenvalues is { } values && values[axis] > 0 ? Math.Sqrt(2 * CurvatureRise / values[axis]) : 0;
        using var length = origin.norm();
        double max = length.ToDouble() / 2;
        return Math.Max(far, Math.Min(steep, max)) is > 0 and var extent ? extent : Math.Max(max, 1);
    }

    private static Plane ReadPlane(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (Enum.GetNames<Plane>().FirstOrDefault(n => n.Equals(text, StringComparison.OrdinalIgnoreCase)) is { } name)
            return Enum.Parse<Plane>(name);
        result.AddError($"--plane is '{text}'; it must be one of eigenvectors, random, path.");
        return default;
    }

    private static double? ReadRange(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (
            double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out double range)
            && range > 0
            && double.IsFinite(range)
        )
            return range;
        result.AddError($"--range is '{text}'; it must be a finite number > 0.");
        return null;
    }

    private enum Plane
    {
        Eigenvectors,
        Random,
        Path,
    }
}
