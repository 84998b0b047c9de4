namespace Amari.LeastSquares;

/// <summary>Student's t distribution with ν degrees of freedom, by the finite sums of Abramowitz and Stegun 26.7.3 and 26.7.4 in
/// θ = atan(t / √ν).</summary>
internal static class StudentT
{
    private const long Many = 200_000; // ν from which the expansion is exact
    private const int Bisections = 60;

    /// <summary>t with P(|T| ≤ t) = level.</summary>
    /// <param name="level">In (0, 1).</param>
    /// <param name="freedom">ν ≥ 1; <see cref="long.MaxValue"/> for the normal distribution.</param>
    public static double Quantile(double level, long freedom)
    {
        if (freedom >= Many)
            return Expanded(Normal(level), freedom);
        double low = 0,
            high = Math.PI / 2;
        for (int i = 0; i < Bisections; i++)
        {
            double middle = (low + high) / 2;
            (low, high) = Probability(middle, freedom) < level ? (middle, high) : (low, middle);
        }
        return Math.Tan((low + high) / 2) * Math.Sqrt(freedom);
    }

    /// <summary>z with P(|Z| ≤ z) = level for a normal Z.</summary>
    private static double Normal(double level)
    {
        using var scope = NewDisposeScope();
        return Math.Sqrt(2) * tensor(level, dtype: ScalarType.Float64).erfinv().ToDouble();
    }

    /// <summary>t of z in powers of 1 / ν (Abramowitz and Stegun 26.7.5).</summary>
    private static double Expanded(double z, double nu) =>
        z + (z * z * z + z) / (4 * nu) + (5 * Math.Pow(z, 5) + 16 * z * z * z + 3 * z) / (96 * nu * nu);

    /// <summary>P(|T| ≤ √ν tan θ).</summary>
    private static double Probability(double theta, long nu)
    {
        var (sin, cos) = Math.SinCos(theta);
        bool odd = nu % 2 == 1;
        double term = odd ? cos : 1,
            sum = 0;
        for (long k = odd ? 3 : 2; k <= nu; k += 2)
        {
            sum += term;
            term *= cos * cos * (k - 1) / k;
        }
        return odd ? 2 / Math.PI * (theta + sin * sum) : sin * sum;
    }
}
