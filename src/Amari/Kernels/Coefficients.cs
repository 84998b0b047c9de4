namespace Amari.Kernels;

/// <summary>The numbers of a rule that are the same for all entries. A driver spreads them over its registers before the loop, where the
/// compiler would leave it to every round.</summary>
/// <param name="Decay">λ of a decay that is added to the gradient.</param>
/// <param name="Epsilon">ε.</param>
/// <param name="Unbias">1 / √(1 - β₂ᵗ), of √v.</param>
/// <param name="Beta1">β₁, or μ.</param>
/// <param name="Rest1">1 - β₁, or 1 - the dampening.</param>
/// <param name="Beta2">β₂.</param>
/// <param name="Rest2">1 - β₂.</param>
internal readonly record struct Coefficients(float Decay, float Epsilon, float Unbias, float Beta1, float Rest1, float Beta2, float Rest2)
{
    /// <summary>Of two decays, without a correction at the start.</summary>
    public static Coefficients Of(double beta1, double beta2) =>
        new(0, 0, 1, (float)beta1, (float)(1 - beta1), (float)beta2, (float)(1 - beta2));

    /// <summary>Of an Adam.</summary>
    public static Coefficients Of(double beta1, double beta2, double epsilon, long step) =>
        Of(beta1, beta2) with
        {
            Epsilon = (float)epsilon,
            Unbias = (float)(1 / Math.Sqrt(1 - Math.Pow(beta2, step))),
        };
}
