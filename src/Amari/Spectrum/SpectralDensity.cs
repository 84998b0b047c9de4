using Amari.Native;

namespace Amari.Spectrum;

/// <summary>The distribution of an operator's d eigenvalues from the quadratures of independent probes. It gives any mean or sum over
/// eigenvalues, with its error.</summary>
/// <remarks>Standard errors account for the random probes only. A function with sharp bends between nodes also needs more steps: compare
/// with twice as many.</remarks>
/// <param name="Dimension">d.</param>
/// <param name="Probes">One quadrature per probe, at least one.</param>
/// <param name="Reorthogonalised">Whether the Lanczos vectors were reorthogonalised; see <see cref="LanczosQuadrature"/>.</param>
public sealed record SpectralDensity(long Dimension, IReadOnlyList<Quadrature> Probes, bool Reorthogonalised)
{
    /// <summary>The smallest node: near the smallest eigenvalue, never below it except for rounding.</summary>
    public double Low => Probes.Min(p => p.Nodes[0]);

    /// <summary>The largest node: near the largest eigenvalue, never above it except for rounding.</summary>
    public double High => Probes.Max(p => p.Nodes[^1]);

    /// <summary><see cref="Low"/>, and a bound of its distance from an eigenvalue.</summary>
    internal Estimate Smallest => Probes.MinBy(p => p.Nodes[0]) is { } p ? new(p.Nodes[0], p.FirstResidual) : default;

    /// <summary>tr f(C) / d, the mean of f over eigenvalues.</summary>
    public Estimate Mean(Func<double, double> f) => Estimate.OfMean([.. Probes.Select(p => p.Sum(f))]);

    /// <summary>tr f(C), the sum of f over eigenvalues.</summary>
    public Estimate Trace(Func<double, double> f) => Dimension * Mean(f);

    /// <summary>log det (C + δ I); NaN if a node of C + δ I is not positive.</summary>
    /// <param name="damping">δ.</param>
    public Estimate LogDeterminant(double damping = 0) => Trace(x => x + damping > 0 ? Math.Log(x + damping) : double.NaN);

    /// <summary>Effective dimensionality Σ λ / (λ + α): the number of parameters that the data determines (MacKay 1992; Maddox et al. 2020,
    /// arXiv:2003.02139). Eigenvalues ≤ 0, from rounding of a semidefinite C, count as 0.</summary>
    /// <param name="alpha">α > 0: the precision of the prior, or the damping.</param>
    public Estimate EffectiveDimension(double alpha)
    {
        Require.Positive(alpha);
        return Trace(x => x > 0 ? x / (x + alpha) : 0);
    }

    /// <summary>Effective rank exp(-Σ p log p), p = |λ| / Σ |λ| (Roy and Vetterli 2007): between 1 and d for the matrix, 0 for zero. An
    /// estimate from few probes may leave that range.</summary>
    public Estimate EffectiveRank()
    {
        double largest = Math.Max(Math.Abs(High), Math.Abs(Low));
        if (largest == 0)
            return new(0, Probes.Count < 2 ? double.NaN : 0);
        var mass = Probes.Select(p => p.Sum(x => Math.Abs(x) / largest)).ToList();
        var spread = Probes.Select(p => p.Sum(x => x == 0 ? 0 : Math.Abs(x) / largest * Math.Log(Math.Abs(x) / largest))).ToList();
        return Estimate.Jackknife(
            Probes.Count,
            i =>
            {
                double sum = mass.Where((_, k) => k != i).Average(),
                    entropy = spread.Where((_, k) => k != i).Average();
                return sum == 0 ? 0 : Dimension * sum * Math.Exp(-entropy / sum);
            }
        );
    }

    /// <summary>The density smoothed by a Gaussian, on an even grid that contains its tails: it integrates to 1. Empty if a node is not
    /// finite.</summary>
    /// <param name="points">≥ 2. More are used if the spacing would exceed the width of the kernel.</param>
    /// <param name="width">σ of the kernel, at least a millionth of the range; by default a hundredth of it.</param>
    public IReadOnlyList<DensityPoint> Smooth(int points = 1000, double? width = null)
    {
        Require.AtLeast(2, points);
        const double Tail = 4,
            Narrowest = 1e-6;
        if (!double.IsFinite(High - Low))
            return [];
        double sigma =
            Require.PositiveOrNull(width) ?? Math.Max((High - Low) / 100, Math.Max(1e-6 * Math.Max(Math.Abs(High), Math.Abs(Low)), 1e-100));
        if (sigma < Narrowest * (High - Low))
            throw new ArgumentOutOfRangeException(
                nameof(width),
                FormattableString.Invariant(
                    $"The width is {sigma}; it must be at least a millionth of the range, {Narrowest * (High - Low)}."
                )
            );
        double low = Low - Tail * sigma,
            high = High + Tail * sigma;
        int count = (int)Math.Max(points, Math.Ceiling((high - low) / sigma) + 1);
        return
        [
            .. Enumerable
                .Range(0, count)
                .Select(i =>
                {
                    double x = low + (high - low) * i / (count - 1);
                    return new DensityPoint(
                        x,
                        Mean(node => Math.Exp(-0.5 * Math.Pow((x - node) / sigma, 2)) / (sigma * Math.Sqrt(2 * Math.PI)))
                    );
                }),
        ];
    }
}
