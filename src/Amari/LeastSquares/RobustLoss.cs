namespace Amari;

/// <summary>How the size of a weighted residual r counts in a curve fit: the fit minimises ½ Σ s² ρ((r / s)²), where s is the scale, as
/// SciPy's <c>least_squares</c> does. All agree for small r; the more slowly ρ grows, the less outliers count.</summary>
public enum RobustLoss
{
    /// <summary>ρ(z) = z: least squares.</summary>
    Squares,

    /// <summary>ρ(z) = z up to 1, then 2√z - 1: squares inside the scale, absolute values outside (Huber 1964).</summary>
    Huber,

    /// <summary>ρ(z) = 2 (√(1 + z) - 1): a smooth variant of Huber's.</summary>
    SoftL1,

    /// <summary>ρ(z) = log(1 + z): outliers lose their influence. The loss can have several minima, so it needs a good start.</summary>
    Cauchy,
}
