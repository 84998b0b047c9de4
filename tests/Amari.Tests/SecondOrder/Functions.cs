namespace Amari.Tests.SecondOrder;

/// <summary>Functions of two numbers to minimise, in float64.</summary>
internal static class Functions
{
    public static double[] Values(Tensor t) => Optimizers.Problem.Values([t]);

    public static Parameter At(params double[] w) => nn.Parameter(tensor(w, dtype: ScalarType.Float64));

    /// <summary>(1 - x)² + 100 (y - x²)²</summary>
    public static Tensor Rosenbrock(Tensor w) => (1 - w[0]).square() + 100 * (w[1] - w[0].square()).square();

    /// <summary>x² - y² + y⁴/4: a saddle at 0, minima at y = ±√2.</summary>
    public static Tensor Saddle(Tensor w) => w[0].square() - w[1].square() + w[1].square().square() / 4;
}
