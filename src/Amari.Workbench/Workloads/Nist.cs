using System.Globalization;
using Amari.LeastSquares;
using Amari.Native;
using Amari.Training;
using Amari.Workloads.Data;

namespace Amari.Workloads;

/// <summary>A nonlinear regression with certified parameters, of the Statistical Reference Datasets of NIST: how many of the digits does an
/// optimizer find?</summary>
public sealed class Nist : Workload
{
    private const string ProblemName = "problem",
        StartName = "start";
    private const string Full = "0.0000000000E+00", // as NIST writes them
        Short = "0.0000E+00";
    private readonly string _problem;
    private readonly int _start;

    /// <summary>The problem Rat42 from its first start: a logistic curve of growth.</summary>
    public Nist()
        : this("Rat42", 1) { }

    /// <param name="problem">The name of an embedded problem (<see cref="NistProblem.Embedded"/>), or a file of the same format.</param>
    /// <param name="start">1 for the far start, 2 for the near one.</param>
    /// <exception cref="ArgumentException">There is no such problem or start, or the file is damaged.</exception>
    public Nist(string problem, int start)
    {
        Problem = NistProblem.Find(problem);
        _start = start is 1 or 2 ? start : throw new ArgumentException($"start is {start}; it must be 1 or 2.", nameof(start));
        bool embedded = NistProblem.Embedded.Contains(problem, StringComparer.OrdinalIgnoreCase);
        _problem = embedded ? Problem.Name : Path.GetFullPath(problem);
        Metric = new("digits", true, model => Problem.Digits(((CurveModel)model).B.Elements<double>()));
    }

    /// <summary>The problem.</summary>
    public NistProblem Problem { get; }

    /// <inheritdoc/>
    public override string Name => "nist";

    /// <inheritdoc/>
    public override string Description =>
        $"nonlinear regression {Problem.Name} from start {_start}: {Problem.Responses.Count} data, {Problem.Certified.Count} parameters";

    /// <inheritdoc/>
    public override IReadOnlyDictionary<string, string> SettingValues =>
        new Dictionary<string, string> { [ProblemName] = _problem, [StartName] = _start.ToString(CultureInfo.InvariantCulture) };

    /// <inheritdoc/>
    protected override Workload Configure(IReadOnlyDictionary<string, string> values) =>
        new Nist(
            values[ProblemName],
            int.TryParse(values[StartName], NumberStyles.None, CultureInfo.InvariantCulture, out int start)
                ? start
                : throw new ArgumentException($"start is '{values[StartName]}'; it must be 1 or 2.")
        );

    /// <summary>All of the data.</summary>
    public override int BatchSize => Problem.Responses.Count;

    /// <inheritdoc/>
    public override Likelihood Likelihood { get; } = new SquaredError();

    /// <summary>-log10 of the largest relative error over the parameters, at most 11.</summary>
    public override Metric Metric { get; }

    /// <inheritdoc/>
    public override Target Target => new(Metric.Name, 6);

    /// <summary>A pass over the data is one step.</summary>
    public override Budget DefaultBudget => Budget.OfEpochs(2000);

    /// <inheritdoc/>
    public override string DefaultOptimizer => "levenberg-marquardt";

    /// <inheritdoc/>
    public override ModelTable Describe(nn.Module<Tensor, Tensor> model)
    {
        using var scope = NewDisposeScope();
        double[] b = ((CurveModel)model).B.Elements<double>(),
            errors = StandardErrors((CurveModel)model);
        return new(
            $"{Problem.Name}: y = {Problem.Model}",
            ["parameter", "certified", "fitted", "digits", "certified standard error", "standard error"],
            [
                .. b.Select(
                    (value, i) =>
                        (IReadOnlyList<string>)
                            [
                                $"b{i + 1}",
                                Text(Problem.Certified[i], Full),
                                Text(value, Full),
                                Text(NistProblem.Digits(value, Problem.Certified[i]), "0.0"),
                                Text(Problem.Deviations[i], Short),
                                Text(errors[i], Short),
                            ]
                ),
            ]
        );

        static string Text(double value, string format) => value.ToString(format, CultureInfo.InvariantCulture);
    }

    private double[] StandardErrors(CurveModel model)
    {
        using var y = Problem.Y();
        using var x = Problem.X();
        using var at = new CurveResiduals(model.Function, x, y, model.B, null, RobustLoss.Squares, 1, null).Linearize();
        using var jacobian = at.Jacobian();
        if (!jacobian.isfinite().all().ToBoolean())
            return [.. Problem.Certified.Select(_ => double.NaN)];
        var (inverse, _) = CurveCovariance.Inverse(jacobian);
        double variance = CurveCovariance.Variance(at.R, Problem.Certified.Count, RobustLoss.Squares, 1);
        using var roots = inverse.diagonal().mul(variance).sqrt();
        inverse.Dispose();
        return roots.Elements<double>();
    }

    /// <summary>QR, because some of the problems are as ill-conditioned as float64 allows.</summary>
    public override IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>> Settings { get; } =
        new Dictionary<string, IReadOnlyDictionary<string, string>>
        {
            ["levenberg-marquardt"] = new Dictionary<string, string> { ["Solver"] = "Qr" },
            ["gauss-newton"] = new Dictionary<string, string> { ["Solver"] = "Qr" },
        };

    /// <inheritdoc/>
    public override WorkloadData Load(string? directory) => new(new(Problem.X(), Problem.Y()), null);

    /// <inheritdoc/>
    public override nn.Module<Tensor, Tensor> CreateModel() => new CurveModel(Problem.Function, Problem.Starts[_start - 1]);
}
