using System.Globalization;

namespace Amari.Workloads.Data;

/// <summary>A problem of nonlinear regression with certified results: y = f(b, x) + noise, from the Statistical Reference Datasets of NIST
/// (Nonlinear Regression), or of the same format.</summary>
/// <remarks>A file has one item a line, <c>key value...</c>: <c>name</c>, <c>level</c> (of difficulty), <c>response</c> (what is fitted:
/// <c>y</c> or <c>log(y)</c>), <c>model</c> (a <see cref="Formula"/> in b1, b2, ..., x1, x2, ...), <c>start1</c>, <c>start2</c>,
/// <c>certified</c> (parameters), <c>deviation</c> (their standard errors), <c>rss</c>, and last <c>data N y x1 ..</c> with N lines of
/// numbers.</remarks>
/// <param name="Name">NIST's name.</param>
/// <param name="Level">The level of difficulty: lower, average or higher.</param>
/// <param name="Model">The formula of f.</param>
/// <param name="Starts">The prescribed starts, the far one first.</param>
/// <param name="Certified">The certified parameters.</param>
/// <param name="Deviations">Their certified standard errors.</param>
/// <param name="ResidualSumOfSquares">The certified residual sum of squares.</param>
/// <param name="Predictors">x of every datum, the same number for each.</param>
/// <param name="Responses">y, or the logarithm that is fitted, of every datum.</param>
public sealed record NistProblem(
    string Name,
    string Level,
    string Model,
    IReadOnlyList<IReadOnlyList<double>> Starts,
    IReadOnlyList<double> Certified,
    IReadOnlyList<double> Deviations,
    double ResidualSumOfSquares,
    IReadOnlyList<IReadOnlyList<double>> Predictors,
    IReadOnlyList<double> Responses
)
{
    private const string Prefix = "nist.";

    /// <summary>The names of the embedded problems.</summary>
    public static IReadOnlyList<string> Embedded { get; } =
    [
        .. typeof(NistProblem)
            .Assembly.GetManifestResourceNames()
            .Where(n => n.StartsWith(Prefix, StringComparison.Ordinal))
            .Select(n => n[Prefix.Length..^".txt".Length])
            .Order(StringComparer.OrdinalIgnoreCase),
    ];

    /// <summary>f(b, x) : [n], of b : [p] (or a column for each datum, [p, n]) and x : [n], or [n, k] for k predictors.</summary>
    public required Func<Tensor, Tensor, Tensor> Function { get; init; }

    /// <summary>An embedded problem by name, in any case, or that of a file.</summary>
    /// <param name="nameOrPath">Such as <c>Misra1a</c>, or <c>my/problem.txt</c>.</param>
    /// <exception cref="ArgumentException">There is neither, or the file is damaged; the message has the file and the line.</exception>
    public static NistProblem Find(string nameOrPath)
    {
        ArgumentNullException.ThrowIfNull(nameOrPath);
        if (Embedded.FirstOrDefault(n => n.Equals(nameOrPath, StringComparison.OrdinalIgnoreCase)) is { } name)
        {
            using var resource = new NistReader(name, typeof(NistProblem).Assembly.GetManifestResourceStream($"{Prefix}{name}.txt")!);
            return resource.Read();
        }
        if (!File.Exists(nameOrPath))
            throw new ArgumentException(
                $"The problem is '{nameOrPath}'; it must be one of {string.Join(", ", Embedded)}, or a file of the same format."
            );
        try
        {
            using var file = new NistReader(nameOrPath, File.OpenRead(nameOrPath));
            return file.Read();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new ArgumentException($"The problem '{nameOrPath}' cannot be read: {e.Message.ReplaceLineEndings(" ")}", e);
        }
    }

    /// <summary>x : [n] for one predictor, otherwise [n, k], float64; the caller owns it.</summary>
    public Tensor X()
    {
        using var all = tensor(
            Predictors.SelectMany(row => row).ToArray(),
            [Predictors.Count, Predictors[0].Count],
            dtype: ScalarType.Float64
        );
        return Predictors[0].Count == 1 ? all.squeeze(1) : all.alias();
    }

    /// <summary>y : [n], float64; the caller owns it.</summary>
    public Tensor Y() => tensor((double[])[.. Responses], dtype: ScalarType.Float64);

    /// <summary>-log10 of the largest relative error of parameters against <see cref="Certified"/>, at most 11; NaN if one is not
    /// finite.</summary>
    /// <param name="parameters">b : [p].</param>
    public double Digits(IReadOnlyList<double> parameters)
    {
        ArgumentNullException.ThrowIfNull(parameters);
        return parameters.Zip(Certified, Digits).Aggregate(Math.Min); // NaN if one is
    }

    /// <summary>-log10 of the relative error of a number, at most 11; NaN if it is not finite.</summary>
    internal static double Digits(double value, double certified)
    {
        const double most = 11; // those that are certified
        double error = Math.Abs(value - certified) / (certified == 0 ? 1 : Math.Abs(certified));
        return double.IsFinite(error) ? Math.Min(most, -Math.Log10(error)) : double.NaN;
    }
}
