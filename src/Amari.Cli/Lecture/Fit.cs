namespace Amari.Cli.Lecture;

/// <summary>Fits of measured points.</summary>
internal static class Fit
{
    /// <summary>The exponent k of y = c xᵏ: the slope of a least-squares line through the logarithms.</summary>
    public static double Exponent(IReadOnlyList<double> x, IReadOnlyList<double> y)
    {
        double mx = x.Average(Math.Log),
            my = y.Average(Math.Log);
        return x.Zip(y, (a, b) => (Math.Log(a) - mx) * (Math.Log(b) - my)).Sum() / x.Sum(a => Math.Pow(Math.Log(a) - mx, 2));
    }
}
